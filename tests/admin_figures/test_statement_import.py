"""Bringing a report in: preview without a trace, mapping by hand, import, refusals."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from openpyxl import Workbook

from django_pagoefectivo.admin import statement_forms
from django_pagoefectivo.models import Statement, StatementLine, StatementMapping
from django_pagoefectivo.services import statement_uploads
from django_pagoefectivo.services.statement_files import LONGEST_LINE
from tests.services.test_statements import cut_xlsx, zip_bomb

from .conftest import HEADINGS, IMPORT, URL, csv, kept, line, load, paid, person, said, upload

pytestmark = pytest.mark.django_db


def token_of(answer: Any) -> str:
    return str(answer.context["page"].upload.token)


def go_on(client: Any, answer: Any, do: str = "import", **columns: str) -> Any:
    named = {f"column_{name}": heading for name, heading in columns.items()}
    return client.post(IMPORT, {"token": token_of(answer), "do": do, **named})


def test_a_preview_shows_and_writes_nothing(as_role: Any, uploads: Path) -> None:
    paid(1)
    client = as_role("clerk")
    with CaptureQueriesContext(connection) as queries:
        answer = upload(client, csv(line(1), line(2), line(3, amount="x")))
    assert answer.status_code == 200
    writes = [q["sql"] for q in queries if not q["sql"].startswith(("SELECT", "PRAGMA"))]
    assert not writes
    page = answer.context["page"]
    assert [str(heading) for _, heading in page.columns] == [
        "CIP",
        "Número de operación",
        "Monto",
        "Comisión",
        "Neto",
        "Moneda",
        "Fecha de pago",
        "Estado",
    ]
    assert [count for _, count in page.counts] == [1, 1, 1]
    html = answer.content.decode()
    assert "Line 4: &#x27;x&#x27; is no amount." in html
    assert "2026-11-10 10:00" in html
    assert "What the import would find" in html
    assert not Statement.objects.exists()
    assert len(kept(uploads)) == 1


def test_an_import_from_upload_to_statement(as_role: Any, uploads: Path) -> None:
    paid(1)
    client = as_role("clerk")
    answer = go_on(client, upload(client, csv(line(1), line(2)), name="liquidación.csv"))
    statement = Statement.objects.get()
    assert answer["Location"] == f"{URL}{statement.pk}/change/"
    assert said(answer) == ["2 lines were imported."]
    assert (statement.file_name, statement.merchant) == ("liquidación.csv", "default")
    assert statement.uploaded_by == person("clerk")
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.action_flag) == ("clerk", ADDITION)
    assert entry.object_id == str(statement.pk)
    assert not kept(uploads)
    assert not StatementMapping.objects.exists()


def test_the_same_file_again_is_known_and_changes_nothing(as_role: Any) -> None:
    client = as_role("clerk")
    first = load(line(1))
    answer = upload(client, csv(line(1)), name="again.csv")
    assert answer.context["known_url"] == f"{URL}{first.pk}/change/"
    assert 'value="import"' not in answer.content.decode()
    done = go_on(client, answer)
    assert done["Location"] == f"{URL}{first.pk}/change/"
    assert "nothing has changed" in said(done)[0]
    assert Statement.objects.count() == StatementLine.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_columns_are_mapped_by_hand_once(as_role: Any) -> None:
    paid(1)
    paid(2)
    client = as_role("clerk")
    headings = "clave;valor"
    answer = upload(client, b"Title;x\n\n" + csv("1001;22.05", headings="clave;valor;dia"))
    assert not answer.context["page"].preview.ready
    html = answer.content.decode()
    assert 'name="column_cip"' in html
    assert '<option value="clave">clave</option>' in html
    assert 'value="import"' not in html
    seen = go_on(client, answer, do="preview", cip="clave", amount="valor")
    assert seen.context["page"].preview.ready
    assert [count for _, count in seen.context["page"].counts] == [1]
    assert not StatementMapping.objects.exists()
    assert '<input type="hidden" name="column_cip" value="clave">' in seen.content.decode()
    go_on(client, seen, cip="clave", amount="valor")
    assert StatementMapping.objects.get().columns == {"cip": "clave", "amount": "valor"}
    later = upload(client, csv("1002;22.05", headings=headings))
    assert later.context["page"].preview.ready


def test_a_mapping_without_an_amount_is_refused_with_a_sentence(as_role: Any) -> None:
    client = as_role("clerk")
    answer = upload(client, csv("1001;22.05", headings="clave;valor"))
    again = go_on(client, answer, do="preview", cip="clave", amount="")
    assert said(again) == ["Choose the column of the amount, and that of the CIP or the code."]
    assert not again.context["page"].preview.ready


def test_an_import_without_columns_is_refused_with_a_sentence(as_role: Any) -> None:
    client = as_role("clerk")
    answer = go_on(client, upload(client, csv("1001;22.05", headings="clave;valor")))
    assert answer["Location"] == IMPORT
    assert "clave, valor" in said(answer)[0]
    assert not Statement.objects.exists()


BROKEN = [
    ("empty", b"", "empty"),
    ("pdf", b"%PDF-1.7 whatever", "PDF"),
    ("prose", b"just prose\nwithout columns\n", "no table"),
    ("binary", b"\x00\x01\x02;binary", "NUL"),
    ("long", f"{HEADINGS}\n1001;{'x' * LONGEST_LINE}\n".encode(), "Line 2 is longer"),
    ("quote", f'{HEADINGS}\n1;"open\n'.encode() + f"{line(1)}\n".encode() * 4000, "quotation"),
    ("bytes", f"{HEADINGS}\n".encode() + b"\x81;\x8d\n", "Line 2 has bytes"),
    ("headings", f"{HEADINGS}\n".encode(), "no lines"),
    ("zip", b"PK\x03\x04damaged", "damaged"),
    ("cut", cut_xlsx(), "damaged after line 1"),
    ("bomb", zip_bomb(), "unpacks to"),
]


@pytest.mark.parametrize(
    ("content", "sentence"), [each[1:] for each in BROKEN], ids=[each[0] for each in BROKEN]
)
def test_a_broken_file_gets_a_sentence_and_leaves_nothing(
    as_role: Any, uploads: Path, content: bytes, sentence: str
) -> None:
    answer = upload(as_role("clerk"), content)
    assert answer.status_code == 200
    (error,) = answer.context["form"].errors["file"]
    assert sentence in error
    assert not Statement.objects.exists()
    assert not StatementLine.objects.exists()
    assert not kept(uploads)


def test_a_formula_is_shown_as_unreadable(as_role: Any) -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["CIP", "Monto"])
    sheet.append(["1001", "=20+2.05"])
    file = io.BytesIO()
    book.save(file)
    answer = upload(as_role("clerk"), file.getvalue(), name="report.xlsx")
    assert answer.context["page"].lines[0].line.state == "unreadable"


def test_a_large_file_is_refused_with_the_command(
    as_role: Any, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = csv(*(line(number) for number in range(1, 1200)))
    assert upload(as_role("clerk"), content).context["page"].total == 1199
    monkeypatch.setattr(statement_forms, "LARGEST", len(content))
    answer = upload(as_role("clerk"), content)
    (error,) = answer.context["form"].errors["file"]
    assert "manage.py pagoefectivo_import FILE" in error
    assert len(kept(uploads)) == 1


@pytest.mark.parametrize(
    ("fields", "field"), [({"merchant": "nobody"}, "merchant"), ({"file": ""}, "file")]
)
def test_what_is_missing_is_said(as_role: Any, fields: dict[str, str], field: str) -> None:
    client = as_role("clerk")
    file = io.BytesIO(csv(line(1)))
    file.name = "report.csv"
    answer = client.post(IMPORT, {"file": file, "merchant": "default", **fields})
    assert field in answer.context["form"].errors


# -- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "auditor", "seller", "blind", "outsider"])
def test_who_may_not_import(as_role: Any, uploads: Path, role: str) -> None:
    token = token_of(upload(as_role("clerk"), csv(line(1))))
    client = as_role(role)
    assert client.get(IMPORT).status_code == 403
    assert upload(client, csv(line(1))).status_code == 403
    assert client.post(IMPORT, {"token": token, "do": "import"}).status_code == 403
    assert not Statement.objects.exists()
    assert len(kept(uploads)) == 1


def test_an_import_needs_a_login_and_a_csrf_token(as_role: Any, client: Any) -> None:
    assert "login" in upload(client, csv(line(1)))["Location"]
    clerk = as_role("clerk")
    token = token_of(upload(clerk, csv(line(1))))
    clerk.handler.enforce_csrf_checks = True
    assert clerk.post(IMPORT, {"token": token, "do": "import"}).status_code == 403
    assert not Statement.objects.exists()


# -- between preview and import --------------------------------------------------------------------


def keep(user: Any) -> statement_uploads.Upload:
    return statement_uploads.keep(
        ContentFile(csv(line(1))), file_name="report.csv", merchant="default", user=user
    )


def test_an_upload_is_its_uploaders_alone(as_role: Any) -> None:
    upload = keep(person("viewer"))
    answer = as_role("clerk").post(IMPORT, {"token": upload.token, "do": "import"})
    assert "this one is gone" in said(answer)[0]
    assert not Statement.objects.exists()


@pytest.mark.parametrize("token", ["", "made-up", "../../etc/passwd"])
def test_a_made_up_token_reaches_no_file(as_role: Any, token: str) -> None:
    answer = as_role("clerk").post(IMPORT, {"token": token, "do": "import"})
    assert answer["Location"] == IMPORT
    assert "this one is gone" in said(answer)[0]


def test_after_an_hour_it_is_gone(as_role: Any, uploads: Path) -> None:
    client = as_role("clerk")
    token = token_of(upload(client, csv(line(1))))
    with time_machine.travel(timezone.now() + statement_uploads.KEPT * 1.1, tick=False):
        client.force_login(person("clerk"))
        answer = client.post(IMPORT, {"token": token, "do": "import"})
        assert "this one is gone" in said(answer)[0]
        (old,) = kept(uploads)
        keep(person("clerk"))
        assert old not in kept(uploads)
        assert len(kept(uploads)) == 1


def test_a_file_that_was_imported_in_another_tab_is_gone(as_role: Any) -> None:
    client = as_role("clerk")
    answer = upload(client, csv(line(1)))
    go_on(client, answer)
    assert "this one is gone" in said(go_on(client, answer))[-1]
    assert Statement.objects.count() == 1


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such rights")
def test_without_a_storage_uploads_lie_in_a_private_folder(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STORAGES = {n: s for n, s in settings.STORAGES.items() if n != "pagoefectivo"}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept_upload = keep(person("clerk"))
    (folder,) = [path for path in tmp_path.iterdir() if path.name.startswith("pagoefectivo")]
    assert folder.stat().st_mode & 0o077 == 0
    (file,) = kept(folder)
    assert file.stat().st_mode & 0o077 == 0
    with kept_upload.open() as opened:
        assert opened.read() == csv(line(1))
    folder.chmod(0o755)
    with pytest.raises(SuspiciousFileOperation, match="not private"):
        keep(person("clerk"))


def test_only_old_uploads_are_purged(uploads: Path) -> None:
    fresh = keep(person("clerk"))
    folder = kept(uploads)[0].parent
    (folder / f"{int(time.time()) - 4000}-old").write_bytes(b"x")
    (folder / "something-else").write_bytes(b"x")
    keep(person("clerk"))
    names = {path.name for path in kept(uploads)}
    assert fresh.name in names
    assert "something-else" in names
    assert len(names) == 3


@pytest.mark.parametrize("date", ["31/12/9999 23:59", "01/01/0001"])
def test_a_date_no_calendar_has_is_its_lines_fault(as_role: Any, date: str) -> None:
    client = as_role("clerk")
    answer = upload(client, csv(line(1).replace("10/11/2026 10:00", date), line(2)))
    assert answer.status_code == 200
    assert f"Line 2: &#x27;{date}&#x27; is no date" in answer.content.decode()
    go_on(client, answer)
    assert Statement.objects.get().line_count == 2


def test_a_column_with_a_nul_is_none(as_role: Any) -> None:
    client = as_role("clerk")
    asked = upload(client, csv(line(1)))
    chosen = {"cip": "C\0IP", "amount": "Monto", "net": "x\0y"}
    answer = go_on(client, asked, **chosen)
    assert said(answer) == ["1 line was imported."]
    assert StatementMapping.objects.get().columns == {"cip": "CIP", "amount": "Monto"}

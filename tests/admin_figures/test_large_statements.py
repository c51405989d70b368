"""A report too large for a request: a bounded preview, and a job that brings it in."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command

from django_pagoefectivo.admin import statement_forms, statement_import
from django_pagoefectivo.models import (
    BulkAct,
    BulkJob,
    JobState,
    Statement,
    StatementLine,
    StatementMapping,
)
from django_pagoefectivo.services import jobs, statement_jobs, statement_uploads, statements
from django_pagoefectivo.services.statement_files import read_rows

from .conftest import IMPORT, ROLES, URL, Page, csv, kept, line, paid, person, said, upload

pytestmark = pytest.mark.django_db
JOBS = "/admin/pagoefectivo/bulkjob/"
#: Bytes from which a file is large here.
LARGE = 2000
CONTENT = csv(*map(line, range(60)))
STARTED: list[int] = []


def start(job_id: int) -> None:
    STARTED.append(job_id)


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some kilobytes are a large file, and ten lines are what its preview reads."""
    assert len(CONTENT) > LARGE
    monkeypatch.setattr(statement_forms, "LARGEST", LARGE)
    monkeypatch.setattr(statement_forms, "LARGEST_QUEUED", LARGE * 10)
    monkeypatch.setattr(statement_import, "PREVIEWED", 10)
    STARTED.clear()


@pytest.fixture
def background(settings: Any) -> Any:
    """Jobs are worked on by the command."""
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": "command"}
    return settings


def post(client: Any, answer: Any, do: str = "import", **columns: str) -> Any:
    named = {f"column_{name}": heading for name, heading in columns.items()}
    token = answer.context["page"].upload.token
    return client.post(IMPORT, {"token": token, "do": do, **named})


def make_job(content: bytes = CONTENT) -> BulkJob:
    kept_upload = statement_uploads.keep(
        ContentFile(content),
        file_name="marzo.csv",
        merchant="default",
        user=person("clerk"),
    )
    return statement_jobs.make_import_job(kept_upload, user=person("clerk"))


def job_page(client: Any, job: BulkJob) -> str:
    return str(client.get(f"{JOBS}{job.pk}/change/").content.decode())


# -- the file --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, 3], ids=["not set", "wrong"])
def test_without_a_background_it_is_refused_with_the_command(
    as_role: Any, uploads: Path, settings: Any, mode: Any
) -> None:
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": mode}
    (error,) = upload(as_role("clerk"), CONTENT).context["form"].errors["file"]
    assert "manage.py pagoefectivo_import FILE" in error
    assert not kept(uploads)


@pytest.mark.parametrize("mode", ["command", "celery", "tasks", start])
def test_with_a_background_it_is_taken(as_role: Any, settings: Any, mode: Any) -> None:
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": mode}
    assert upload(as_role("clerk"), CONTENT).context["page"].preview.ready


def test_even_a_job_takes_only_so_much(as_role: Any, background: Any, uploads: Path) -> None:
    content = CONTENT + b" " * LARGE * 10
    (error,) = upload(as_role("clerk"), content).context["form"].errors["file"]
    assert "manage.py pagoefectivo_import FILE" in error
    assert not kept(uploads)


def test_its_preview_reads_the_first_lines_only(
    as_role: Any, background: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def noted(file: io.BytesIO) -> Any:
        for row in read_rows(file):
            read.append(row.number)
            yield row

    monkeypatch.setattr(statements, "read_rows", noted)
    paid(1)
    client = as_role("clerk")
    html = upload(client, CONTENT).content.decode()
    assert read == list(range(1, 12))
    assert "How many lines match is counted by the import." in html
    assert "What the import would find" not in html
    assert "<dt>Lines</dt>" not in html
    assert "The first lines" in html
    assert "Número de operación" in html
    assert 'value="import"' in html
    # A file of the usual size is counted as before.
    html = upload(client, csv(line(1))).content.decode()
    assert "What the import would find" in html
    assert "<dt>Lines</dt><dd>1</dd>" in html
    assert "counted by the import" not in html


def test_what_is_wrong_in_its_first_lines_is_said_at_once(
    as_role: Any, background: Any, uploads: Path
) -> None:
    answer = upload(as_role("clerk"), b"no table " * LARGE)
    assert "no table" in answer.context["form"].errors["file"][0]
    assert not kept(uploads)


# -- the job -----------------------------------------------------------------------------------


def test_from_the_upload_by_the_command_to_the_statement(
    as_role: Any, background: Any, uploads: Path
) -> None:
    paid(1)
    client = as_role("clerk")
    answer = post(client, upload(client, CONTENT, name="marzo.csv"))
    job = BulkJob.objects.get()
    assert answer["Location"] == f"{JOBS}{job.pk}/change/"
    assert (job.act, job.state, job.user) == (BulkAct.IMPORT, JobState.QUEUED, person("clerk"))
    assert not Statement.objects.exists()
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.get_username()) == (str(job.pk), "clerk")
    assert entry.change_message == "Import a statement: marzo.csv"
    html = job_page(client, job)
    assert "<h1>Import a statement</h1>" in html
    assert "<dt>File</dt><dd>marzo.csv</dd>" in html
    assert "queued" in html
    assert "All of the file is imported at once, or nothing." in html
    assert f"manage.py pagoefectivo_bulk --job {job.pk}" in html
    assert "Open its statement" not in html
    # How far it is cannot be told.
    (bar,) = Page(html).of("progress")
    assert not {"value", "max"} & bar.keys()
    assert client.get(f"{JOBS}{job.pk}/progress/").json()["over"] is False
    assert "marzo.csv" in client.get(f"{JOBS}{job.pk}/act/stop/").content.decode()

    out = io.StringIO()
    call_command("pagoefectivo_bulk", stdout=out)
    assert f"Job {job.pk}: import a statement, marzo.csv." in out.getvalue()
    assert "60 done, 0 not done, 60 in all." in out.getvalue()
    statement = Statement.objects.get()
    assert (statement.line_count, statement.file_name) == (60, "marzo.csv")
    assert statement.uploaded_by == person("clerk")
    assert not kept(uploads)
    html = job_page(client, job)
    assert "60 lines were imported." in html
    assert f'href="{URL}{statement.pk}/change/"' in html
    (bar,) = Page(html).of("progress")
    assert (bar["value"], bar["max"]) == ("60", "60")
    assert client.get(f"{JOBS}{job.pk}/progress/").json() == {
        "state": "done",
        "over": True,
        "worked": 60,
        "total": 60,
        "text": "60 lines were imported.",
    }
    assert client.get(JOBS).status_code == 200


def test_the_queue_is_told_the_number_of_the_job(
    as_role: Any, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": start}
    client = as_role("clerk")
    answer = upload(client, CONTENT)
    with django_capture_on_commit_callbacks(execute=True):
        post(client, answer)
    (job_id,) = STARTED
    assert job_id == BulkJob.objects.get().pk


def test_a_queue_that_cannot_be_imported_is_named_and_the_job_waits(
    as_role: Any, settings: Any
) -> None:
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": "nowhere.at_all"}
    client = as_role("clerk")
    answer = post(client, upload(client, CONTENT))
    job = BulkJob.objects.get()
    assert answer["Location"] == f"{JOBS}{job.pk}/change/"
    assert "nowhere.at_all" in said(answer)[0]
    assert list(jobs.due_jobs()) == [job]


def test_columns_mapped_by_hand_go_with_the_job(as_role: Any, background: Any) -> None:
    client = as_role("clerk")
    content = csv(*(f"{1000 + number};22.05" for number in range(300)), headings="clave;valor")
    answer = upload(client, content)
    assert not answer.context["page"].preview.ready
    seen = post(client, answer, do="preview", cip="clave", amount="valor")
    assert seen.context["page"].preview.counts.total() == 10
    post(client, seen, cip="clave", amount="valor")
    assert not StatementMapping.objects.exists()
    assert jobs.run(BulkJob.objects.get().pk).done == 300
    assert StatementMapping.objects.get().columns == {"cip": "clave", "amount": "valor"}


def test_import_pressed_twice_makes_one_job(as_role: Any, background: Any) -> None:
    client = as_role("clerk")
    answer = upload(client, CONTENT)
    post(client, answer)
    again = post(client, answer)
    assert again["Location"] == IMPORT
    assert "this one is gone" in said(again)[-1]
    assert BulkJob.objects.count() == 1


def test_a_known_file_makes_no_offer_and_its_job_shows_the_earlier_statement(
    as_role: Any, background: Any
) -> None:
    client = as_role("clerk")
    jobs.run(make_job().pk)
    statement = Statement.objects.get()
    answer = upload(client, CONTENT)
    assert answer.context["known_url"] == f"{URL}{statement.pk}/change/"
    assert 'value="import"' not in answer.content.decode()
    post(client, answer)
    job = jobs.run(BulkJob.objects.latest("pk").pk)
    assert job.statement_id == statement.pk
    assert StatementLine.objects.count() == 60


def test_the_page_says_why_it_broke_off(as_role: Any, uploads: Path) -> None:
    job = jobs.run(make_job(csv(*map(line, range(60)), "x" * 70_000)).pk)
    client = as_role("clerk")
    html = job_page(client, job)
    assert "broken off" in html
    assert "Line 62 is longer than 65536 characters." in html
    assert "Nothing was imported." in html
    assert "Open its statement" not in html
    # The file is gone with it: there is nothing to go on with.
    assert f"{JOBS}{job.pk}/act/resume/" not in html
    assert "not to be resumed" in said(client.post(f"{JOBS}{job.pk}/act/resume/"))[-1]
    assert not kept(uploads)


def test_the_command_says_why_it_broke_off() -> None:
    job = make_job(csv())
    with pytest.raises(CommandError, match="no lines"):
        call_command("pagoefectivo_bulk", "--job", str(job.pk), verbosity=0)


def test_the_command_makes_no_import() -> None:
    with pytest.raises(CommandError, match="invalid choice: 'import'"):
        call_command("pagoefectivo_bulk", "import", "--all", "--user", "clerk")


def test_stop_and_go_on_by_hand(as_role: Any) -> None:
    job = make_job()
    client = as_role("clerk")
    client.post(f"{JOBS}{job.pk}/act/stop/")
    assert jobs.run(job.pk).state == JobState.STOPPED
    assert "Nothing was imported." in job_page(client, job)
    client.post(f"{JOBS}{job.pk}/act/resume/")
    assert jobs.run(job.pk).state == JobState.DONE


# -- who may -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "seller", "auditor", "outsider", "blind"])
def test_who_may_not_import_makes_no_job(
    as_role: Any, background: Any, uploads: Path, role: str
) -> None:
    answer = upload(as_role("clerk"), CONTENT)
    client = as_role(role)
    assert upload(client, CONTENT).status_code == 403
    assert post(client, answer).status_code == 403
    assert not BulkJob.objects.exists()
    assert len(kept(uploads)) == 1


@pytest.mark.parametrize("role", sorted(ROLES))
def test_who_sees_the_job_and_its_statement(as_role: Any, role: str) -> None:
    job = jobs.run(make_job().pk)
    answer = as_role(role).get(f"{JOBS}{job.pk}/change/")
    sees = {"viewer": True, "clerk": True, "seller": True}.get(role, False)
    assert answer.status_code == (200 if sees else 403)
    # The statement is for those who see what was settled.
    assert ("Open its statement" in answer.content.decode()) is (role in ("viewer", "clerk"))

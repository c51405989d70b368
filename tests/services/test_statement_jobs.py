"""Statements imported by a job: once and as a whole, whoever dies, doubles or stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.utils import timezone

from django_pagoefectivo.models import (
    BulkAct,
    BulkJob,
    JobState,
    Statement,
    StatementLine,
    StatementMapping,
)
from django_pagoefectivo.services import jobs, statement_jobs, statement_uploads
from django_pagoefectivo.services.statement_files import LONGEST_LINE, StatementError
from django_pagoefectivo.services.statement_uploads import KEPT, KEPT_QUEUED, Upload
from django_pagoefectivo.services.statements import import_statement
from tests.people import member_of_staff
from tests.promises.kit import at_once
from tests.promises.test_crashes import database_url

from .test_statements import csv_file, line, make

pytestmark = pytest.mark.django_db
#: Dies behind the first thousand lines, inside the import's transaction.
DYING = """
import os, signal, sys
import django
django.setup()
from django_pagoefectivo.models import StatementLine
from django_pagoefectivo.services import jobs
def die(job):
    print(StatementLine.objects.count(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
jobs._must_hold = die
jobs.run(int(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where uploads lie, for this process and those it starts."""
    settings.STORAGES = {n: s for n, s in settings.STORAGES.items() if n != "pagoefectivo"}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def kept(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def clerk() -> User:
    return member_of_staff("clerk", ["reconcile_payment"])


def keep(content: bytes = b"") -> Upload:
    content = content or csv_file(line(1), line(2)).read()
    return statement_uploads.keep(
        ContentFile(content), file_name="liquidación.csv", merchant="default", user=clerk()
    )


def make_job(content: bytes = b"", columns: dict[str, str] | None = None) -> BulkJob:
    return statement_jobs.make_import_job(keep(content), columns=columns, user=clerk())


def many(count: int) -> bytes:
    return csv_file(*map(line, range(count))).read()


def fresh(job: BulkJob) -> BulkJob:
    return BulkJob.objects.get(pk=job.pk)


def first(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[], Any], after: Callable[[], Any] = int
) -> None:
    """Have the next import, and only that one, come after ``before`` and before ``after``."""
    real = import_statement

    def wrapped(*args: Any, **kwargs: Any) -> Statement:
        monkeypatch.setattr(statement_jobs, "import_statement", real)
        before()
        statement = real(*args, **kwargs)
        after()
        return statement

    monkeypatch.setattr(statement_jobs, "import_statement", wrapped)


def test_a_job_imports_the_file_in_the_persons_name(folder: Path) -> None:
    make(1)
    job = make_job()
    assert (job.act, job.total, job.user_name) == (BulkAct.IMPORT, 0, "clerk")
    assert not job.parts.exists()
    assert len(kept(folder)) == 1
    job = jobs.run(job.pk)
    statement = Statement.objects.get()
    assert (statement.file_name, statement.merchant) == ("liquidación.csv", "default")
    assert statement.uploaded_by == clerk()
    assert not StatementMapping.objects.exists()
    assert (job.state, job.total, job.done, job.failed) == (JobState.DONE, 2, 2, 0)
    assert (job.statement_id, job.error) == (statement.pk, "")
    assert job.finished_at is not None
    assert kept(folder) == []
    assert not jobs.due_jobs()
    assert jobs.run(job.pk).statement_id == statement.pk
    assert not jobs.resume(job)


def test_columns_chosen_by_hand_are_those_of_the_job() -> None:
    content = csv_file("1001;22.05", headings="clave;valor").read()
    columns = {"cip": "clave", "amount": "valor"}
    job = jobs.run(make_job(content, columns).pk)
    assert (job.state, job.done) == (JobState.DONE, 1)
    assert StatementMapping.objects.get().columns == columns


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (csv_file().read(), "no lines"),
        (csv_file("1001;22.05", headings="clave;valor").read(), "clave, valor"),
        (many(1500) + b"x" * (LONGEST_LINE + 1), "Line 1502 is longer"),
    ],
    ids=["no lines", "no columns", "damaged behind the first lines"],
)
def test_a_file_that_cannot_be_used_ends_the_job_with_the_reason(
    folder: Path, content: bytes, told: str
) -> None:
    job = jobs.run(make_job(content).pk)
    assert job.state == JobState.BROKEN
    assert told in job.error
    assert not Statement.objects.exists()
    assert not StatementLine.objects.exists()
    assert kept(folder) == []
    # There is nothing to go on with.
    assert not job.can_resume
    assert not jobs.resume(job)
    assert fresh(job).state == JobState.BROKEN


def test_an_upload_that_is_gone_ends_the_job_with_a_sentence(folder: Path) -> None:
    job = make_job()
    statement_jobs.upload_of(job).drop()
    job = jobs.run(job.pk)
    assert job.state == JobState.BROKEN
    assert job.error.startswith("The uploaded file is gone")
    assert not job.can_resume


@pytest.mark.parametrize("gone", ["right", "active", "account"])
def test_a_person_who_may_not_any_more_imports_nothing(folder: Path, gone: str) -> None:
    job, user = make_job(), clerk()
    if gone == "right":
        user.user_permissions.clear()
    elif gone == "active":
        user.is_active = False
        user.save()
    else:
        user.delete()
    job = jobs.run(job.pk)
    assert job.state == JobState.BROKEN
    assert job.error == "clerk may not do this any more. Import the file again in your own name."
    assert not Statement.objects.exists()
    # Whoever gets the right back goes on with it.
    assert len(kept(folder)) == 1
    assert job.can_resume


def test_a_fault_of_the_code_keeps_the_file_for_another_try(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()

    def fail() -> None:
        raise RuntimeError("secret-in-an-error")

    first(monkeypatch, fail)
    with pytest.raises(RuntimeError):
        jobs.run(job.pk)
    now = fresh(job)
    assert now.state == JobState.BROKEN
    assert "secret-in-an-error" not in now.error
    assert len(kept(folder)) == 1
    assert jobs.resume(now)
    assert jobs.run(job.pk).done == 2


# -- who dies, and who is faster -------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="other systems have no SIGKILL")
@pytest.mark.django_db(transaction=True)
def test_killed_before_the_commit_nothing_is_in_and_it_is_taken_up_again(folder: Path) -> None:
    job = make_job(many(1500))
    killed = subprocess.run(
        [sys.executable, "-c", DYING, str(job.pk)],
        env=os.environ
        | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "1000\n"), killed.stderr
    now = fresh(job)
    assert (now.state, now.statement_id) == (JobState.RUNNING, None)
    assert not Statement.objects.exists()
    assert len(kept(folder)) == 1
    assert list(jobs.due_jobs()) == [job]
    job = jobs.run(job.pk)
    assert (job.state, job.done) == (JobState.DONE, 1500)
    assert Statement.objects.get().lines.count() == 1500


def test_killed_between_the_commit_and_its_note_it_is_the_same_statement(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    with monkeypatch.context() as patch:

        def die(*args: Any, **kwargs: Any) -> None:
            raise SystemExit

        patch.setattr(jobs, "_end", die)
        with pytest.raises(SystemExit):
            jobs.run(job.pk)
    statement = Statement.objects.get()
    assert fresh(job).state == JobState.QUEUED
    assert len(kept(folder)) == 1
    job = jobs.run(job.pk)
    assert (job.state, job.statement_id, job.done) == (JobState.DONE, statement.pk, 2)
    assert Statement.objects.count() == 1
    assert kept(folder) == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_import_it_once(folder: Path) -> None:
    job = make_job(many(300))
    results = at_once(*[partial(jobs.run, job.pk)] * 3)
    assert all(isinstance(result, BulkJob) for result in results), results
    job = fresh(job)
    assert (job.state, job.done) == (JobState.DONE, 300)
    assert StatementLine.objects.count() == 300
    assert kept(folder) == []


@pytest.mark.django_db(transaction=True)
def test_two_jobs_for_the_same_file_lead_to_one_statement(folder: Path) -> None:
    both = [make_job(many(300)), make_job(many(300))]
    results = at_once(*(partial(jobs.run, job.pk) for job in both))
    statement = Statement.objects.get()
    assert [(job.state, job.statement_id) for job in results] == [
        (JobState.DONE, statement.pk)
    ] * 2, results
    assert statement.lines.count() == 300
    assert kept(folder) == []


def test_a_lease_that_ran_out_elsewhere_is_taken_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()

    def overtaken() -> None:
        # An import is one step, and its lease lasts for it.
        until = fresh(job).leased_until
        assert until is not None
        assert until > timezone.now() + jobs.LEASE
        BulkJob.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        assert jobs.run(job.pk).state == JobState.DONE

    first(monkeypatch, overtaken)
    assert jobs.run(job.pk).state == JobState.DONE
    assert Statement.objects.get().lines.count() == 2


def test_a_lost_machines_import_is_freed_by_stop_and_go_on(folder: Path) -> None:
    job = make_job()
    later = timezone.now() + jobs.IMPORT_LEASE
    BulkJob.objects.update(
        state=JobState.RUNNING, lease=uuid.uuid4(), leased_by="elsewhere:1:1", leased_until=later
    )
    assert jobs.run(job.pk).state == JobState.RUNNING
    assert not jobs.due_jobs()
    assert jobs.stop(fresh(job))
    assert jobs.resume(fresh(job))
    assert jobs.run(job.pk).state == JobState.DONE
    assert kept(folder) == []


def test_stopped_in_the_middle_nothing_is_in_and_a_person_can_resume_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    first(monkeypatch, lambda: jobs.stop(fresh(job)))
    job = jobs.run(job.pk)
    assert (job.state, job.statement_id) == (JobState.STOPPED, None)
    assert not Statement.objects.exists()
    assert len(kept(folder)) == 1
    assert jobs.resume(job)
    assert jobs.run(job.pk).state == JobState.DONE
    assert Statement.objects.count() == 1


def test_stopped_behind_the_last_line_what_is_in_is_noted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    first(monkeypatch, int, after=lambda: jobs.stop(fresh(job)))
    job = jobs.run(job.pk)
    assert (job.state, job.done) == (JobState.STOPPED, 2)
    assert job.statement_id == Statement.objects.get().pk
    assert kept(folder) == []
    assert not jobs.resume(job)


# -- the file ----------------------------------------------------------------------------------


def test_the_file_of_a_job_waits_for_a_week(folder: Path) -> None:
    job = make_job()
    (waiting,) = kept(folder)
    for age, there in ((KEPT * 2, True), (KEPT_QUEUED * 0.99, True), (KEPT_QUEUED * 1.01, False)):
        with time_machine.travel(time.time() + age.total_seconds(), tick=False):
            keep().drop()
            assert (waiting in kept(folder)) is there
    assert jobs.run(job.pk).state == JobState.BROKEN


def test_a_file_is_queued_once(folder: Path) -> None:
    upload = keep()
    assert upload.size == len(csv_file(line(1), line(2)).read())
    statement_jobs.make_import_job(upload, user=clerk())
    with pytest.raises(StatementError, match="this one is gone"):
        statement_jobs.make_import_job(upload, user=clerk())
    with pytest.raises(StatementError, match="this one is gone"):
        _ = upload.size
    assert BulkJob.objects.count() == len(kept(folder)) == 1

"""Large statements by real Celery workers over real brokers, also when those are killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import transaction

from django_pagoefectivo.models import BulkJob, JobState, Statement, StatementLine
from django_pagoefectivo.services import jobs, statement_jobs, statement_uploads
from django_pagoefectivo.tasks import sweep
from tests.people import member_of_staff

from .conftest import Queue, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.broker]
#: Seconds of work for a worker.
MANY = 20_000


@pytest.fixture(autouse=True)
def folder(
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configure: Callable[..., None],
) -> Path:
    """Where uploads lie, for this process and its workers."""
    settings.STORAGES = {n: s for n, s in settings.STORAGES.items() if n != "pagoefectivo"}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    configure(SIGNAL_DELIVERY="celery", BACKGROUND="celery")
    return tmp_path


def make_job(lines: int) -> BulkJob:
    """A job that imports a file of so many lines, handed to the queue."""
    clerk = member_of_staff("clerk", ["reconcile_payment"])
    rows = "".join(f"{number};22.05;PEN\n" for number in range(lines))
    upload = statement_uploads.keep(
        ContentFile(f"CIP;Monto;Moneda\n{rows}".encode()),
        file_name="marzo.csv",
        merchant="default",
        user=clerk,
    )
    with transaction.atomic():
        job = statement_jobs.make_import_job(upload, user=clerk)
        jobs.enqueue(job)
    return job


def state_of(job: BulkJob) -> JobState:
    return JobState(BulkJob.objects.get(pk=job.pk).state)


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.glob("pagoefectivo-*/**/queued-*") if path.is_file()]


def test_a_worker_imports_it(queue: Queue, folder: Path) -> None:
    job = make_job(1500)
    assert len(left_in(folder)) == 1
    with queue.worker(BACKGROUND="celery"):
        wait_for(lambda: state_of(job) == JobState.DONE)
        wait_for(lambda: not left_in(folder))
    statement = Statement.objects.get()
    assert (statement.line_count, statement.file_name) == (1500, "marzo.csv")
    assert BulkJob.objects.get().statement_id == statement.pk


def test_its_message_holds_the_jobs_id_and_nothing_else(queue: Queue) -> None:
    job = make_job(1)
    (message,) = queue.messages()
    args, kwargs, _ = message["body"]
    assert (args, kwargs) == ([job.pk], {})
    assert message["headers"]["task"] == "pagoefectivo.run_bulk_job"
    assert "marzo" not in str(message)
    assert job.options["upload"] not in str(message)


def test_a_worker_killed_in_the_middle(queue: Queue, folder: Path) -> None:
    """Nothing is half-imported, and the next sweep has another worker take it up."""
    job = make_job(MANY)
    with queue.worker(BACKGROUND="celery") as worker:
        wait_for(lambda: state_of(job) == JobState.RUNNING)
        queue.end(worker)
    assert state_of(job) == JobState.RUNNING
    assert not StatementLine.objects.exists()
    assert len(left_in(folder)) == 1
    sweep()
    with queue.worker(BACKGROUND="celery"):
        wait_for(lambda: state_of(job) == JobState.DONE)
        wait_for(lambda: not left_in(folder))
    assert Statement.objects.get().line_count == MANY
    assert StatementLine.objects.count() == MANY

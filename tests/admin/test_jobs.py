"""Bulk jobs: durable, resumable, done once, in a person's name; their page and command."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_pagoefectivo.admin import bulk
from django_pagoefectivo.exceptions import InvalidTransition
from django_pagoefectivo.gateways.wire import LIMA
from django_pagoefectivo.models import BulkAct, BulkJob, JobState, Payment, Status
from django_pagoefectivo.services import claims, jobs
from django_pagoefectivo.testing import make_payment

from .conftest import Pago, notes_of, person
from .test_payment_bulk import URL, choose, said

pytestmark = pytest.mark.django_db
JOBS = "/admin/pagoefectivo/bulkjob/"


@pytest.fixture
def background(settings: Any) -> Any:
    """Bulk jobs are worked on by the command."""
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": "command"}
    return settings


def make_job(act: str = "reconcile", count: int = 3, **more: Any) -> BulkJob:
    status = "paid" if act == "reconcile" else "pending"
    for _ in range(count):
        make_payment(status)
    return jobs.make_job(act, Payment.objects.all(), user=person("clerk"), **more)


def fresh(job: BulkJob) -> BulkJob:
    return BulkJob.objects.get(pk=job.pk)


def command(*options: str) -> str:
    out = io.StringIO()
    call_command("pagoefectivo_bulk", *options, stdout=out, stderr=io.StringIO())
    return out.getvalue()


# -- the service -----------------------------------------------------------------------------


def test_a_job_does_each_payment_once_in_the_persons_name(monkeypatch: Any) -> None:
    monkeypatch.setattr(jobs, "PART", 2)
    pending = make_payment()
    job = make_job(count=4)
    assert (job.total, job.parts.count(), job.state) == (5, 3, JobState.QUEUED)
    steps: list[int] = []
    job = jobs.run(job.pk, progress=lambda job: steps.append(job.worked))
    assert (job.state, job.done, job.failed) == (JobState.DONE, 4, 1)
    assert steps == [1, 2, 3, 4, 5]
    assert job.finished_at is not None
    [(payment, problem)] = jobs.failures_of(job, 10)
    assert payment == pending
    assert "only one that is paid" in problem
    for paid in Payment.objects.filter(status=Status.PAID):
        assert notes_of(paid) == [("change", "clerk", "Marked as reconciled.")]
    assert jobs.run(job.pk).done == 4
    assert not jobs.due_jobs()


def test_the_payments_are_those_that_were_chosen() -> None:
    chosen = make_payment("paid")
    job = jobs.make_job("reconcile", Payment.objects.filter(status="paid"), user=person("clerk"))
    later = make_payment("paid")
    jobs.run(job.pk)
    assert Payment.objects.get(pk=chosen.pk).reconciled_at
    assert not Payment.objects.get(pk=later.pk).reconciled_at


def test_a_payment_that_is_gone_is_counted_and_the_others_go_on() -> None:
    job = make_job(count=3)
    Payment.objects.all()[1].delete()
    job = jobs.run(job.pk)
    assert (job.state, job.done, job.failed) == (JobState.DONE, 2, 1)
    assert jobs.failures_of(job, 5) == [(None, "It does not exist any more.")]


def test_sync_and_extend_as_jobs(pago: Pago) -> None:
    deadline = (timezone.now() + timedelta(days=3)).replace(microsecond=0)
    job = make_job("extend", count=2, expires_at=deadline)
    for payment in Payment.objects.all():
        pago.knows(payment)
    assert jobs.run(job.pk).done == 2
    assert set(Payment.objects.values_list("expires_at", flat=True)) == {deadline}
    job = jobs.make_job("sync", Payment.objects.all(), user=person("clerk"))
    calls = pago.of("POST")
    assert jobs.run(job.pk).done == 2
    assert pago.of("POST") == calls + 1


def test_what_makes_no_job() -> None:
    with pytest.raises(InvalidTransition, match="no such payment"):
        jobs.make_job("cancel", Payment.objects.none(), user=person("clerk"))
    make_payment()
    with pytest.raises(InvalidTransition, match="new deadline"):
        jobs.make_job("extend", Payment.objects.all(), user=person("clerk"))
    assert not BulkJob.objects.exists()


@pytest.mark.parametrize("gone", ["right", "active", "account"])
def test_a_person_who_may_not_any_more_stops_the_job(gone: str) -> None:
    job = make_job()
    user = person("clerk")
    if gone == "right":
        user.user_permissions.clear()
    elif gone == "active":
        user.is_active = False
        user.save()
    else:
        user.delete()
    job = jobs.run(job.pk)
    assert (job.state, job.done) == (JobState.BROKEN, 0)
    assert job.error.startswith("clerk may not do this any more")
    assert not Payment.objects.filter(reconciled_at__isnull=False).exists()


def test_an_interruption_leaves_it_queued_and_it_goes_on_where_it_stopped() -> None:
    job = make_job(count=3)

    def interrupt(job: BulkJob) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jobs.run(job.pk, progress=interrupt)
    now = fresh(job)
    assert (now.state, now.done, now.lease) == (JobState.QUEUED, 1, None)
    assert jobs.run(job.pk).done == 3
    assert [len(notes_of(payment)) for payment in Payment.objects.all()] == [1, 1, 1]


def test_a_fault_of_the_code_breaks_it_off_and_a_person_can_resume_it(monkeypatch: Any) -> None:
    job = make_job(count=3)

    def fail(job: BulkJob) -> None:
        raise RuntimeError("secret-in-an-error")

    with pytest.raises(RuntimeError):
        jobs.run(job.pk, progress=fail)
    now = fresh(job)
    assert (now.state, now.done) == (JobState.BROKEN, 1)
    assert "RuntimeError" in now.error
    assert "secret-in-an-error" not in now.error
    assert jobs.run(job.pk).state == JobState.BROKEN
    assert jobs.resume(now)
    assert jobs.run(job.pk).done == 3


@pytest.mark.parametrize("act", ["cancel", "reconcile"])
def test_killed_between_the_act_and_its_note_nothing_is_done_twice(
    act: str, pago: Pago, monkeypatch: Any
) -> None:
    job = make_job(act, count=2)
    for payment in Payment.objects.all():
        pago.knows(payment)
    with monkeypatch.context() as patch:

        def die(*args: Any) -> None:
            raise SystemExit

        patch.setattr(jobs, "_note", die)
        with pytest.raises(SystemExit):
            jobs.run(job.pk)
    assert fresh(job).done == 0
    job = jobs.run(job.pk)
    assert (job.state, job.done, job.failed) == (JobState.DONE, 2, 0)
    assert pago.of("DELETE") == (2 if act == "cancel" else 0)
    assert [len(notes_of(payment)) for payment in Payment.objects.all()] == [1, 1]


def test_what_somebody_else_did_before_is_a_failure_all_the_same(pago: Pago) -> None:
    job = make_job("cancel", count=1)
    Payment.objects.update(status=Status.CANCELLED, cancelled_at=timezone.now(), open_key=None)
    job = jobs.run(job.pk)
    assert (job.done, job.failed) == (0, 1)


def test_a_job_that_another_process_holds_is_left_alone() -> None:
    job = make_job()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        holder = claims._identity(process.pid)
        BulkJob.objects.update(
            state=JobState.RUNNING, leased_by=holder, leased_until=timezone.now() + jobs.LEASE
        )
        assert jobs.run(job.pk).done == 0
        assert not jobs.due_jobs()
    finally:
        process.kill()
        process.communicate()
    assert list(jobs.due_jobs()) == [job]
    assert jobs.run(job.pk).state == JobState.DONE


def test_a_lease_that_ran_out_elsewhere_is_taken_over_and_the_first_one_stops() -> None:
    job = make_job(count=3)
    states: list[int] = []

    def overtaken(running: BulkJob) -> None:
        if not states:
            states.append(running.done)
            BulkJob.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
            states.append(jobs.run(job.pk).done)

    jobs.run(job.pk, progress=overtaken)
    assert states == [1, 3]
    now = fresh(job)
    assert (now.state, now.done, now.failed) == (JobState.DONE, 3, 0)


def test_stop_ends_it_after_the_step_it_is_at() -> None:
    job = make_job(count=3)

    def stop(running: BulkJob) -> None:
        jobs.stop(fresh(job))

    jobs.run(job.pk, progress=stop)
    now = fresh(job)
    assert (now.state, now.done, now.failed) == (JobState.STOPPED, 2, 0)
    assert not jobs.stop(now)
    assert sum(len(notes_of(payment)) for payment in Payment.objects.all()) == 2
    assert jobs.resume(now)
    assert not jobs.resume(now)
    assert jobs.run(job.pk).done == 3


# -- who is told of a new one ----------------------------------------------------------------

STARTED: list[int] = []


def start(job_id: int) -> None:
    STARTED.append(job_id)


def broken_start(job_id: int) -> None:
    raise ConnectionError("amqp://user:password@broker")


@pytest.fixture
def started() -> Any:
    STARTED.clear()
    yield STARTED
    STARTED.clear()


@pytest.mark.parametrize("mode", [start, f"{__name__}.start"])
def test_a_callable_is_told_the_jobs_number_after_the_commit(
    settings: Any,
    started: list[int],
    mode: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": mode}
    job = make_job()
    with django_capture_on_commit_callbacks(execute=True):
        jobs.enqueue(job)
        assert started == []
    assert started == [job.pk]


def test_a_queue_that_is_away_costs_a_warning(
    settings: Any, caplog: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": broken_start}
    job = make_job()
    with django_capture_on_commit_callbacks(execute=True):
        jobs.enqueue(job)
    assert "ConnectionError" in caplog.text
    assert "password" not in caplog.text
    assert list(jobs.due_jobs()) == [job]


@pytest.mark.parametrize("mode", ["sometimes", 3, "", "nowhere.at_all"])
def test_a_wrong_setting_is_named(settings: Any, mode: Any) -> None:
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": mode}
    with pytest.raises(ImproperlyConfigured, match="BACKGROUND"):
        jobs.enqueue(make_job())


# -- the list --------------------------------------------------------------------------------


def test_more_than_a_thousand_become_a_job(
    as_role: Any, background: Any, monkeypatch: Any, pago: Pago
) -> None:
    monkeypatch.setattr(bulk, "MOST", 2)
    payments = [make_payment() for _ in range(3)]
    for payment in payments:
        pago.knows(payment)
    paid = make_payment("paid")
    client = as_role("clerk")
    filtered = f"{URL}?status__exact=pending"
    asked = client.post(
        filtered,
        {"action": "cancel_payments", "_selected_action": [1], "select_across": "1", "index": "0"},
    )
    assert b"Cancel 3 payments?" in asked.content
    assert b"in the background" in asked.content
    assert not BulkJob.objects.exists()
    # Made after the question: it was not asked about.
    later = make_payment()
    context = asked.context
    answer = client.post(
        filtered,
        {
            "action": "cancel_payments",
            "_selected_action": context["first"],
            "select_across": "1",
            "upto": context["upto"],
            "confirmed": "yes",
        },
    )
    job = BulkJob.objects.get()
    assert answer.url == f"{JOBS}{job.pk}/change/"
    assert (job.act, job.total, job.user_name) == (BulkAct.CANCEL, 3, "clerk")
    assert LogEntry.objects.get().object_id == str(job.pk)
    assert not pago.calls
    page = client.get(answer.url).content.decode()
    assert f"manage.py pagoefectivo_bulk --job {job.pk}" in page
    assert "0 done, 0 not done, 3 in all" in page
    assert "3 done, 0 not done" in command("--job", str(job.pk))
    for payment in (later, paid):
        assert Payment.objects.get(pk=payment.pk).status == payment.status
    assert client.get(f"{JOBS}{job.pk}/progress/").json() == {
        "state": "done",
        "over": True,
        "worked": 3,
        "total": 3,
        "text": "3 done, 0 not done, 3 in all",
    }


def test_a_job_that_extends_needs_a_deadline(
    as_role: Any, background: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bulk, "MOST", 1)
    for _ in range(2):
        make_payment()
    client = as_role("clerk")
    data = {"action": "extend_payments", "_selected_action": [1], "select_across": "1"}
    asked = client.post(URL, data | {"index": "0"})
    more = data | {"confirmed": "yes", "upto": asked.context["upto"]}
    answer = client.post(URL, more | {"expires_at": "2020-01-01T00:00"})
    assert answer.context["form"].errors
    assert answer.context["upto"] == asked.context["upto"]
    deadline = (timezone.now() + timedelta(days=2)).astimezone(LIMA)
    client.post(URL, more | {"expires_at": f"{deadline:%Y-%m-%dT%H:%M}"})
    kept = BulkJob.objects.get().options["expires_at"]
    assert kept.startswith(f"{deadline:%Y-%m-%dT%H:%M}") or kept.endswith("+00:00")


def test_without_a_background_the_exact_command_is_told_and_works(
    as_role: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bulk, "MOST", 1)
    for _ in range(3):
        make_payment("paid")
    other = make_payment("refunded")
    client = as_role("clerk")
    answer = client.post(
        f"{URL}?status__exact=paid&reconciled=no&p=0",
        {"action": "mark_reconciled", "_selected_action": [1], "select_across": "1", "index": "0"},
    )
    [message] = said(answer)
    begin = "manage.py pagoefectivo_bulk "
    assert begin in message
    options = message.split(begin)[1].split()
    assert options == [
        *("reconcile", "--status", "paid", "--reconciled", "no", "--user", "clerk"),
    ]
    assert not BulkJob.objects.exists()
    assert "3 done, 0 not done" in command(*options)
    assert not Payment.objects.get(pk=other.pk).reconciled_at


def test_a_job_is_made_of_the_list_only(as_role: Any, background: Any, monkeypatch: Any) -> None:
    """Rows picked by hand are those of one page."""
    monkeypatch.setattr(bulk, "MOST", 1)
    payments = [make_payment() for _ in range(2)]
    client = as_role("clerk")
    assert said(choose(client, "cancel_payments", *payments))[0].endswith("Choose fewer.")
    searched = client.post(
        f"{URL}?q=x",
        {"action": "cancel_payments", "_selected_action": [1], "select_across": "1", "index": "0"},
    )
    assert searched.status_code == 302
    assert not BulkJob.objects.exists()


# -- the pages -------------------------------------------------------------------------------


def test_stop_and_go_on_by_hand(as_role: Any) -> None:
    job = make_job()
    client = as_role("clerk")
    act = f"{JOBS}{job.pk}/act/"
    client.post(f"{act}stop/")
    assert fresh(job).state == JobState.STOPPED
    assert "over" in said(client.post(f"{act}stop/"))[-1]
    client.post(f"{act}resume/")
    assert fresh(job).state == JobState.QUEUED
    assert "not to be resumed" in said(client.post(f"{act}resume/"))[-1]
    assert LogEntry.objects.count() == 4


def test_failures_are_named_with_a_link(as_role: Any) -> None:
    payment = make_payment()
    job = jobs.make_job("reconcile", Payment.objects.all(), user=person("clerk"))
    jobs.run(job.pk)
    client = as_role("viewer")
    page = client.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert f"/payment/{payment.pk}/change/" in page
    assert "only one that is paid" in page
    assert str(payment) in page
    assert client.get(JOBS).status_code == 200
    assert client.get(f"{JOBS}99999/change/").status_code == 404
    assert client.get(f"{JOBS}99999/progress/").status_code == 404


# -- the command -----------------------------------------------------------------------------


def test_the_command_runs_all_that_wait() -> None:
    first, second = make_job(count=1), make_job(count=1)
    out = command()
    assert f"Job {first.pk}: mark as reconciled, 1 payments." in out
    assert fresh(first).state == fresh(second).state == JobState.DONE
    assert command() == ""


def test_the_command_counts_without_doing() -> None:
    make_payment("paid")
    assert command("reconcile", "--all", "--dry-run") == "1 payments.\n"
    assert not BulkJob.objects.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["cancel"], "Say which payments"),
        (["cancel", "--all", "--status", "paid"], "Say which payments"),
        (["cancel", "--all"], r"--user \(missing\)"),
        (["cancel", "--all", "--user", "viewer"], "may reconcile"),
        (["cancel", "--status", "paid", "--user", "clerk"], "no such payment"),
        (["cancel", "--from-day", "yesterday", "--user", "clerk"], "as in 2026-01-31"),
        (["extend", "--all", "--user", "clerk"], r"--expires-at \(missing\)"),
        (["extend", "--all", "--user", "clerk", "--expires-at", "2020-01-01"], "in the future"),
        (["cancel", "--job", "1"], "or --job"),
        (["--job", "987654"], "There is no job"),
    ],
)
def test_what_the_command_cannot_do_is_a_sentence(options: list[str], told: str) -> None:
    person("clerk"), person("viewer")
    make_payment()
    with pytest.raises(CommandError, match=told):
        command(*options)
    assert not BulkJob.objects.exists()


def test_a_broken_job_makes_the_command_fail_and_the_others_go_on() -> None:
    broken, good = make_job(count=1), make_job(count=1)
    BulkJob.objects.filter(pk=broken.pk).update(user=None)
    err = io.StringIO()
    call_command("pagoefectivo_bulk", stdout=io.StringIO(), stderr=err)
    assert f"Job {broken.pk}: clerk may not" in err.getvalue()
    assert fresh(good).state == JobState.DONE
    assert jobs.resume(fresh(broken))
    with pytest.raises(CommandError, match="may not"):
        command("--job", str(broken.pk))

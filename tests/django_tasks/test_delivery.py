"""Receivers called, and bulk jobs run, by tasks of Django's own framework."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from django_pagoefectivo import queue_checks
from django_pagoefectivo.models import ApiExchange, JobState, Payment, SignalDelivery
from django_pagoefectivo.services import jobs
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import DOCUMENT, EMAIL, PHONE, Probe, at_once, notify
from tests.servers import PAID, Code, PagoEfectivo

from .conftest import AWAY, IN_DJANGO

pytestmark = pytest.mark.django_db(transaction=True)
DUMMY, IMMEDIATE = f"{IN_DJANGO}.dummy.DummyBackend", f"{IN_DJANGO}.immediate.ImmediateBackend"
Use = Callable[[str], Any]


def make_all_due() -> None:
    SignalDelivery.objects.filter(state="pending").update(due_at=timezone.now())


def run(results: list[Any]) -> None:
    """Do what a worker does."""
    for result in results:
        result.task.call(*result.args, **result.kwargs)


def test_a_worker_calls_the_receiver(backend: Use, probe: Probe) -> None:
    queue = backend(DUMMY)
    payment = make_payment()
    notify(payment)
    assert probe.heard == []
    run(queue.results)
    assert len(probe.of("payment_confirmed", payment)) == 1
    run(queue.results)
    assert len(probe.heard) == 1, "a task that comes twice does nothing"


def test_a_task_holds_an_id_and_nothing_else(backend: Use, probe: Probe) -> None:
    queue = backend(DUMMY)
    payment = make_payment()
    notify(payment)
    (result,) = queue.results
    assert (result.args, result.kwargs) == ([SignalDelivery.objects.get().pk], {})
    assert result.task.module_path == "django_pagoefectivo.django_tasks.deliver"
    for private in (EMAIL, PHONE, DOCUMENT, str(payment.cip), "test-secret", "TESTACCESS"):
        assert private not in repr(result)


def test_it_is_handed_over_after_the_commit(backend: Use, probe: Probe) -> None:
    queue = backend(DUMMY)
    payments = [make_payment(), make_payment()]
    with transaction.atomic():
        notify(payments[0])
        assert queue.results == []
    assert len(queue.results) == 1
    with transaction.atomic():
        notify(payments[1])
        transaction.set_rollback(True)
    assert len(queue.results) == 1


def test_in_the_request_with_djangos_immediate_backend(backend: Use, probe: Probe) -> None:
    backend(IMMEDIATE)
    notify(make_payment())
    assert len(probe.of("payment_confirmed")) == 1
    assert SignalDelivery.objects.get().state == "done"


def test_workers_at_once_make_the_call_once(backend: Use, probe: Probe) -> None:
    queue = backend(DUMMY)
    notify(make_payment())
    for result in at_once(*[partial(run, list(queue.results))] * 6):
        assert result is None
    assert len(probe.heard) == 1


def test_nothing_is_lost_while_the_backend_is_away(backend: Use, probe: Probe) -> None:
    backend(AWAY)
    from .backends import Away

    before = Away.asked
    payments = [make_payment() for _ in range(3)]
    for payment in payments:
        notify(payment)
    assert Away.asked == before + 1, "asked once, and then left alone for a while"
    assert probe.heard == []
    make_all_due()
    call_command("pagoefectivo_deliver", verbosity=0)
    assert len(probe.of("payment_confirmed")) == 3


def test_the_command_leaves_the_queue_a_minute(backend: Use, probe: Probe) -> None:
    backend(DUMMY)
    notify(make_payment())
    call_command("pagoefectivo_deliver", verbosity=0)
    assert probe.heard == []
    make_all_due()
    call_command("pagoefectivo_deliver", verbosity=0)
    assert len(probe.heard) == 1


def test_a_bulk_job(backend: Use) -> None:
    queue = backend(DUMMY)
    for _ in range(3):
        make_payment("paid")
    chief = User.objects.create_superuser("chief", "", "x")
    job = jobs.make_job("reconcile", Payment.objects.all(), user=chief)
    jobs.enqueue(job)
    (result,) = queue.results
    assert (result.args, result.kwargs) == ([job.pk], {})
    run(queue.results)
    job.refresh_from_db()
    assert (job.state, job.done) == (JobState.DONE, 3)


def test_a_bulk_job_waits_for_the_command_while_the_backend_is_away(backend: Use) -> None:
    backend(AWAY)
    make_payment("paid")
    chief = User.objects.create_superuser("chief", "", "x")
    job = jobs.make_job("reconcile", Payment.objects.all(), user=chief)
    jobs.enqueue(job)
    assert list(jobs.due_jobs()) == [job]


def test_polling_and_pruning_as_tasks(backend: Use, pe: PagoEfectivo, probe: Probe) -> None:
    backend(IMMEDIATE)
    from django_pagoefectivo.django_tasks import poll, prune

    lost = make_payment()
    pe.codes[str(lost.cip)] = Code(
        str(lost.cip), lost.transaction_code, lost.amount, "PEN", "1900-01-01T00:00:00-05:00", PAID
    )
    poll.enqueue()
    assert len(probe.of("payment_confirmed", lost)) == 1
    ApiExchange.objects.update(created_at=timezone.now() - timedelta(days=400))
    prune.enqueue()
    assert not ApiExchange.objects.exists()


def test_every_task_is_on_the_page(backend: Use) -> None:
    from django.tasks import Task

    from django_pagoefectivo import django_tasks

    page = Path(__file__).resolve().parents[2] / "docs" / "howto" / "django-tasks.rst"
    on_the_page = re.findall(
        r"^``(django_pagoefectivo\.django_tasks\.\w+)``", page.read_text(), re.MULTILINE
    )
    known = {each.module_path for each in vars(django_tasks).values() if isinstance(each, Task)}
    assert sorted(on_the_page) == sorted(known)


# -- system checks ---------------------------------------------------------------------------


def ids(found: list[Any]) -> list[str]:
    return [message.id for message in found]


def test_checks_of_the_backend(backend: Use) -> None:
    for kind in (DUMMY, IMMEDIATE):
        backend(kind)
        assert queue_checks.check_tasks() == []
        assert ids(queue_checks.check_task_backend()) == ["pagoefectivo.W023"]
    backend(AWAY)
    assert queue_checks.check_task_backend() == []


def test_a_backend_without_the_default_queue_is_an_error(
    backend: Use, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TASKS = {"default": {"BACKEND": DUMMY, "QUEUES": ["mail"]}}
    monkeypatch.delitem(sys.modules, "django_pagoefectivo.django_tasks")
    (error,) = queue_checks.check_tasks()
    assert error.id == "pagoefectivo.E022"
    assert "Queue 'default' is not valid" in error.msg
    assert queue_checks.check_task_backend() == []


def test_a_django_without_tasks_is_an_error(
    configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(SIGNAL_DELIVERY="worker")
    assert queue_checks.check_tasks() == queue_checks.check_task_backend() == []
    configure(SIGNAL_DELIVERY="tasks")
    monkeypatch.setattr(django, "VERSION", (5, 2, 0, "final", 0))
    (error,) = queue_checks.check_tasks()
    assert error.id == "pagoefectivo.E022"
    assert "has no task framework" in error.msg


@pytest.mark.skipif(django.VERSION >= (6, 0), reason="this Django has a task framework")
def test_nothing_is_lost_without_a_task_framework(
    configure: Callable[..., None], probe: Probe
) -> None:
    configure(SIGNAL_DELIVERY="tasks")
    notify(make_payment())
    make_all_due()
    call_command("pagoefectivo_deliver", verbosity=0)
    assert len(probe.of("payment_confirmed")) == 1

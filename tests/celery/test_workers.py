"""Deliveries by real Celery workers over real brokers, also when those are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_pagoefectivo.models import SignalDelivery
from django_pagoefectivo.tasks import sweep
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import DOCUMENT, EMAIL, PHONE, notify, refresh

from .conftest import Queue, receivers_here, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.broker]


def pending() -> int:
    return SignalDelivery.objects.filter(state="pending").count()


def make_all_due() -> None:
    SignalDelivery.objects.filter(state="pending").update(due_at=timezone.now())


def test_receivers_are_called_by_a_worker(queue: Queue) -> None:
    payments = [make_payment() for _ in range(5)]
    with queue.worker("a:ok,b:ok"), receivers_here("a", "b"):
        for payment in payments:
            notify(payment)
        wait_for(lambda: pending() == 0)
    assert queue.told == {"a": 5, "b": 5}
    assert {refresh(payment).status for payment in payments} == {"paid"}


def test_a_message_holds_an_id_and_nothing_else(queue: Queue) -> None:
    payment = make_payment()
    with receivers_here("a"):
        notify(payment)
    (message,) = queue.messages()
    delivery = SignalDelivery.objects.get()
    args, kwargs, _ = message["body"]
    assert (args, kwargs) == ([delivery.pk], {})
    assert message["headers"]["task"] == "pagoefectivo.deliver"
    for private in (EMAIL, PHONE, DOCUMENT, str(payment.cip), "test-secret", "TESTACCESS"):
        assert private not in str(message)


def test_a_raising_receiver_waits_and_is_swept(queue: Queue) -> None:
    payment = make_payment()
    with receivers_here("a", "b"):
        notify(payment)
    with queue.worker("a:ok,b:raise"):
        wait_for(lambda: SignalDelivery.objects.filter(attempts=1, last_error__gt="").exists())
        wait_for(lambda: pending() == 1)
    waits = SignalDelivery.objects.get(state="pending")
    assert waits.due_at > timezone.now(), "it is not tried again at once"
    make_all_due()
    sweep()
    with queue.worker("a:ok,b:ok"):
        wait_for(lambda: pending() == 0)
    assert queue.told == {"a": 1, "b": 2}


def test_a_child_killed_in_a_receiver(queue: Queue) -> None:
    """SIGKILL in the middle of a task: it comes back, and only that receiver's call."""
    payment = make_payment()
    with queue.worker("a:ok,b:sleep,c:ok"), receivers_here("a", "b", "c"):
        notify(payment)
        wait_for(lambda: queue.told == {"a": 1, "b": 1, "c": 1})
        queue.wake_sleepers()
        os.kill(queue.pid_that_told("b"), signal.SIGKILL)
        wait_for(lambda: pending() == 0)
    assert queue.told == {"a": 1, "b": 2, "c": 1}


def test_a_worker_killed_with_all_its_children(queue: Queue) -> None:
    """Whatever the broker makes of the lost message, the next sweep finds the call."""
    payments = [make_payment() for _ in range(3)]
    with queue.worker("a:ok,b:sleep") as worker, receivers_here("a", "b"):
        notify(payments[0])
        wait_for(lambda: queue.told == {"a": 1, "b": 1})
        wait_for(lambda: pending() == 1)
        queue.end(worker)
        for payment in payments[1:]:
            notify(payment)
    queue.wake_sleepers()
    sweep()
    with queue.worker("a:ok,b:sleep"):
        wait_for(lambda: pending() == 0)
    assert queue.told == {"a": 3, "b": 4}


def test_messages_that_come_twice_or_late_do_nothing(queue: Queue) -> None:
    payment = make_payment()
    with queue.worker("a:ok"), receivers_here("a"):
        notify(payment)
        wait_for(lambda: pending() == 0)
        delivery = SignalDelivery.objects.get()
        assert queue.app is not None
        for pk in (delivery.pk, delivery.pk, delivery.pk + 1000):
            queue.app.send_task("pagoefectivo.deliver", (pk,))
        other = make_payment()
        notify(other)
        wait_for(lambda: SignalDelivery.objects.filter(state="done").count() == 2)
        wait_for(lambda: queue.messages() == [])
    assert queue.told == {"a": 2}


def test_a_message_does_not_cut_a_wait_short(queue: Queue) -> None:
    payment = make_payment()
    with receivers_here("a"):
        notify(payment)
    soon = timezone.now() + timedelta(hours=1)
    SignalDelivery.objects.update(attempts=1, due_at=soon)
    with queue.worker("a:ok"):
        # A second one behind it is how this knows that the first was worked on.
        with receivers_here("a"):
            notify(make_payment())
        wait_for(lambda: pending() == 1)
    assert queue.told == {"a": 1}


def test_the_plain_command_does_the_same(
    queue: Queue, configure: Callable[..., None], probe: Any
) -> None:
    """Without any worker, whatever is in the queue."""
    payment = make_payment()
    notify(payment)
    make_all_due()
    call_command("pagoefectivo_deliver", verbosity=0)
    assert pending() == 0
    assert len(probe.of("payment_confirmed")) == 1

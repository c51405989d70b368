"""The tasks themselves, worked on at once: what each does is what its command does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from celery import Celery
from django.utils import timezone

from django_pagoefectivo import tasks
from django_pagoefectivo.models import ApiExchange, BulkAct, Payment, SignalDelivery
from django_pagoefectivo.services import create_payment, jobs
from django_pagoefectivo.testing import make_payment
from tests.people import member_of_staff
from tests.promises.kit import CUSTOMER, Probe, notify, refresh
from tests.servers import PAID, PagoEfectivo

from .conftest import celery_here

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at_once() -> Iterator[Celery]:
    with celery_here("memory://", "at-once") as app:
        app.conf.task_always_eager = True
        yield app


def test_a_call_that_is_owed_is_a_task(
    at_once: Celery, configure: Callable[..., None], probe: Probe
) -> None:
    configure(SIGNAL_DELIVERY="celery")
    notify(make_payment())
    assert len(probe.of("payment_confirmed")) == 1
    delivery = SignalDelivery.objects.get()
    tasks.deliver(delivery.pk)
    assert len(probe.of("payment_confirmed")) == 1


def test_the_sweep_finds_what_no_message_came_for(
    at_once: Celery, configure: Callable[..., None], probe: Probe
) -> None:
    configure(SIGNAL_DELIVERY="worker", BACKGROUND="command")
    notify(make_payment())
    payment = make_payment("paid")
    clerk = member_of_staff("clerk", ["reconcile_payment"])
    job = jobs.make_job(BulkAct.RECONCILE, Payment.objects.filter(pk=payment.pk), user=clerk)
    configure(SIGNAL_DELIVERY="celery", BACKGROUND="celery")
    tasks.sweep()
    assert len(probe.of("payment_confirmed")) == 1
    job.refresh_from_db()
    assert job.done == 1
    assert refresh(payment).reconciled_at is not None


def test_poll_asks_about_what_is_due(
    pe: PagoEfectivo, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    payment = create_payment(order_reference="A-1", amount=25, customer=CUSTOMER)
    pe.codes[str(payment.cip)].status = PAID
    Payment.objects.filter(pk=payment.pk).update(next_poll_at=timezone.now())
    make_payment(merchant="closed-shop")
    with caplog.at_level(logging.INFO, "django_pagoefectivo.tasks"):
        tasks.poll()
    assert refresh(payment).status == "paid"
    (record,) = [one for one in caplog.records if one.name == "django_pagoefectivo.tasks"]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "1 payments asked about in 1 calls, 1 changed, 1 failed, 0 left by POLL_RATE"
    )


def test_prune_drops_what_is_old(caplog: pytest.LogCaptureFixture) -> None:
    ApiExchange.objects.create(merchant="default", created_at=timezone.now() - timedelta(days=100))
    with caplog.at_level(logging.INFO, "django_pagoefectivo.tasks"):
        tasks.prune()
    assert not ApiExchange.objects.exists()
    assert "1 exchanges and 0 refused notifications dropped" in caplog.text

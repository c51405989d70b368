"""Observers are told what happens, cost no statement, and break nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_pagoefectivo import metrics
from django_pagoefectivo.exceptions import GatewayUnavailable
from django_pagoefectivo.services import poll, sync_payment
from django_pagoefectivo.services.delivery import deliver_due
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import listening
from tests.promises.kit import URL, Probe, body_of, notify, post, statements
from tests.servers import NEVER, Code, PagoEfectivo, Reply

pytestmark = pytest.mark.django_db(transaction=True)


class Counting(metrics.Observer):
    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def notification_answered(self, **what: Any) -> None:
        self.told.append(("notification", what))

    def delivery_made(self, **what: Any) -> None:
        self.told.append(("delivery", what))

    def call_made(self, **what: Any) -> None:
        self.told.append(("call", what))

    def poll_finished(self, **what: Any) -> None:
        self.told.append(("poll", what))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [what for name, what in self.told if name == kind]


class Broken(metrics.Observer):
    def notification_answered(self, **what: Any) -> None:
        raise RuntimeError("the counter is broken")

    delivery_made = call_made = poll_finished = notification_answered


@pytest.fixture
def counting() -> Iterator[Counting]:
    observer = Counting()
    metrics.observe(observer)
    yield observer
    metrics.forget(observer)


def test_notifications_by_outcome(counting: Counting) -> None:
    payment = make_payment()
    notify(payment)
    notify(payment)
    post(body_of(cip="99999999", amount=1, currency="PEN"))
    post(body_of(payment), signature="0" * 64)
    post(b"{}")
    post(b"x" * 70_000)
    post(body_of(payment), url=f"{URL}default/")
    post(body_of(payment), url=f"{URL}no-such-merchant/")
    told = counting.of("notification")
    assert Counter(one["outcome"] for one in told) == {
        "applied": 1,
        "duplicate": 2,
        "unmatched": 1,
        "refused": 1,
        "unreadable": 1,
        "too_long": 1,
        "unknown_merchant": 1,
    }
    assert {one["merchant"] for one in told} == {"", "default"}, "names from outside are no label"
    assert all(one["seconds"] >= 0 for one in told)


def test_deliveries_and_their_lag(counting: Counting) -> None:
    probe = Probe()

    def fail_once(heard: Any) -> None:
        probe.then = None
        raise ValueError("not yet")

    probe.then = fail_once
    with listening(probe, "tests.probe", ["payment_confirmed"]):
        notify(make_payment())
        with time_machine.travel(timezone.now() + timedelta(minutes=1)):
            deliver_due()
    first, second = counting.of("delivery")
    assert (first["succeeded"], second["succeeded"]) == (False, True)
    assert second["lag"] >= 60
    assert (second["signal"], second["receiver"]) == ("payment_confirmed", "tests.probe")


def test_calls_and_polls(counting: Counting, pe: PagoEfectivo) -> None:
    payment = make_payment()
    pe.codes[str(payment.cip)] = Code(
        str(payment.cip), payment.transaction_code, payment.amount, "PEN", NEVER
    )
    poll(everything=True)
    assert counting.of("poll") == [{"asked": 1, "calls": 1, "changed": 0, "failed": 0, "left": 0}]
    pe.fail_next("search", Reply(500, b"{}"), Reply(cut=True))
    with pytest.raises(GatewayUnavailable):
        sync_payment(payment)
    told = [(one["operation"], one["outcome"], one["status"]) for one in counting.of("call")]
    assert told == [
        ("authorize", "ok", 201),
        ("search", "ok", 200),
        ("search", "failed", 500),
        ("search", "no_answer", None),
    ]


def test_an_observer_costs_no_statement(counting: Counting) -> None:
    def counted() -> int:
        payment = make_payment()
        with listening(Probe(), "tests.probe", ["payment_confirmed"]), statements() as seen:
            notify(payment)
        return len(seen)

    observed = counted()
    assert len(counting.of("notification")) == 1
    metrics.forget(counting)
    assert counted() == observed


def test_a_broken_observer_breaks_nothing(
    counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken()
    metrics.forget(counting)
    metrics.observe(broken)
    metrics.observe(counting)
    try:
        notify(make_payment())
    finally:
        metrics.forget(broken)
    assert len(counting.of("notification")) == 1, "the other one is told all the same"
    assert "Observer Broken failed" in caplog.text


def test_an_observer_is_told_once_and_can_be_forgotten(counting: Counting) -> None:
    metrics.observe(counting)
    notify(make_payment())
    assert len(counting.of("notification")) == 1
    metrics.forget(counting)
    assert not metrics.is_observed()

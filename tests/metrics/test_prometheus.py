"""What Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone
from prometheus_client import CollectorRegistry

from django_pagoefectivo import metrics, prometheus
from django_pagoefectivo.models import SignalDelivery
from django_pagoefectivo.services import poll
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import listening
from tests.polling.kit import DOWN, known, make_due
from tests.promises.kit import Probe, notify, statements
from tests.servers import PAID, PagoEfectivo

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    own = CollectorRegistry()
    observer = prometheus.PrometheusObserver(own)
    own.register(prometheus.StateCollector())
    metrics.observe(observer)
    yield own
    metrics.forget(observer)


def test_what_happens_is_counted(registry: CollectorRegistry) -> None:
    with listening(Probe(), "tests.probe", ["payment_confirmed"]):
        payment = make_payment()
        notify(payment)
        notify(payment)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("pagoefectivo_notifications_total", merchant="", outcome="applied") == 1
    assert value("pagoefectivo_notifications_total", merchant="", outcome="duplicate") == 1
    assert value("pagoefectivo_notification_seconds_count") == 2
    assert value("pagoefectivo_delivery_lag_seconds_count", signal="payment_confirmed") == 1


def test_what_the_poller_did(
    registry: CollectorRegistry, pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    """Asked and paid, asked and not, not answered, and left over."""
    configure(SEARCH_BATCH_SIZE=1, POLL_RATE=3)
    paid, _waiting, _unanswered, *_left = make_due(pe, 5)
    known(pe, paid, PAID)
    pe.fail_next("search", lambda *_: None, lambda *_: None, DOWN, DOWN)
    poll()

    def value(result: str) -> float | None:
        name = "pagoefectivo_polled_payments_total"
        return registry.get_sample_value(name, {"result": result})

    assert [value(result) for result in ("changed", "unchanged", "failed", "left")] == [1, 1, 1, 2]


def test_how_things_stand(registry: CollectorRegistry) -> None:
    hour = timedelta(hours=1)
    for _ in range(3):
        make_payment(next_poll_at=timezone.now() + hour)
    make_payment(merchant="other", next_poll_at=timezone.now() - hour)
    make_payment(merchant="other", next_poll_at=None)
    make_payment("paid", attention="late_payment")
    with listening(Probe(), "tests.probe", ["payment_confirmed"]):
        notify(make_payment())
    SignalDelivery.objects.update(state="pending", created_at=timezone.now() - hour)

    def value(name: str, **labels: str) -> Any:
        return registry.get_sample_value(f"pagoefectivo_{name}", labels)

    with statements() as seen:
        list(registry.collect())
    assert len(seen) == 5
    assert value("open_payments", merchant="default") == 3
    assert value("open_payments", merchant="other") == 2
    assert value("attention_payments") == 1
    assert 0 <= value("last_notification_age_seconds") < 600
    assert 3600 <= value("poll_lag_seconds") < 4200
    assert value("given_up_payments") == 1
    assert value("pending_deliveries") == 1
    assert 3600 <= value("oldest_delivery_age_seconds") < 4200


def test_without_anything_nothing_breaks(registry: CollectorRegistry) -> None:
    assert registry.get_sample_value("pagoefectivo_pending_deliveries") == 0
    assert registry.get_sample_value("pagoefectivo_last_notification_age_seconds") is None


def test_the_view_serves_the_text_format(monkeypatch: pytest.MonkeyPatch) -> None:
    own = CollectorRegistry()
    own.register(prometheus.StateCollector())
    monkeypatch.setattr(prometheus, "REGISTRY", own)
    make_payment()
    answer = prometheus.metrics(RequestFactory().get("/metrics/"))
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    assert b'pagoefectivo_open_payments{merchant="default"} 1.0' in answer.content
    assert prometheus.metrics(RequestFactory().post("/metrics/")).status_code == 405

"""Prometheus: ``install()`` in an ``AppConfig.ready()``. Needs the extra ``prometheus``.

What happens is counted where it happens. How things stand (open payments, what is owed, the
age of the last notification) is read from the database at each scrape, in five statements,
so that those numbers are right whichever process is asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from django.contrib.auth.decorators import login_not_required
from django.db.models import Count, Max, Min, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .extras import from_extra
from .metrics import Observer, observe
from .models import DeliveryState, Outcome, Payment, SignalDelivery, Status, WebhookEvent

with from_extra("prometheus", "Metrics for Prometheus need prometheus_client"):
    from prometheus_client import (
        CONTENT_TYPE_LATEST,
        REGISTRY,
        CollectorRegistry,
        Counter,
        Histogram,
        generate_latest,
        multiprocess,
    )
    from prometheus_client.core import GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector

#: Seconds a receiver is told after the fact: from at once to the longest retry.
_LAGS = (0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)
#: Seconds of a call to PagoEfectivo, up to the default timeouts.
_CALLS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30)
_WEBHOOK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class PrometheusObserver(Observer):
    """Counts what happens in ``registry``."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._notifications = Counter(
            "pagoefectivo_notifications",
            "Notifications by what became of them.",
            ("merchant", "outcome"),
            registry=registry,
        )
        self._answering = Histogram(
            "pagoefectivo_notification_seconds",
            "Time until a notification was answered.",
            buckets=_WEBHOOK,
            registry=registry,
        )
        self._deliveries = Counter(
            "pagoefectivo_deliveries",
            "Calls of receivers.",
            ("signal", "receiver", "result"),
            registry=registry,
        )
        self._lag = Histogram(
            "pagoefectivo_delivery_lag_seconds",
            "Time from what happened until a receiver was told.",
            ("signal",),
            buckets=_LAGS,
            registry=registry,
        )
        self._calls = Counter(
            "pagoefectivo_api_calls",
            "Calls of PagoEfectivo.",
            ("merchant", "operation", "outcome"),
            registry=registry,
        )
        self._calling = Histogram(
            "pagoefectivo_api_call_seconds",
            "Time of a call of PagoEfectivo.",
            ("operation",),
            buckets=_CALLS,
            registry=registry,
        )
        self._polled = Counter(
            "pagoefectivo_polled_payments",
            "Payments the poller asked about.",
            ("result",),
            registry=registry,
        )

    def notification_answered(
        self, *, merchant: str, outcome: str, status: int, seconds: float
    ) -> None:
        """Count it by outcome, and how long it took."""
        self._notifications.labels(merchant, outcome).inc()
        self._answering.observe(seconds)

    def delivery_made(self, *, signal: str, receiver: str, succeeded: bool, lag: float) -> None:
        """Count it, and how late a success was."""
        result = "succeeded" if succeeded else "failed"
        self._deliveries.labels(signal, receiver, result).inc()
        if succeeded:
            self._lag.labels(signal).observe(max(lag, 0.0))

    def call_made(
        self, *, merchant: str, operation: str, outcome: str, status: int | None, seconds: float
    ) -> None:
        """Count it by outcome, and how long it took."""
        self._calls.labels(merchant, operation, outcome).inc()
        self._calling.labels(operation).observe(seconds)

    def poll_finished(
        self, *, asked: int, calls: int, changed: int, failed: int, left: int
    ) -> None:
        """Count the payments of the pass."""
        self._polled.labels("unchanged").inc(max(asked - changed, 0))
        self._polled.labels("changed").inc(changed)
        self._polled.labels("failed").inc(failed)
        self._polled.labels("left").inc(left)


class StateCollector(Collector):
    """How things stand in the database, read at each scrape."""

    def describe(self) -> Iterator[Metric]:
        """Nothing: to register this must not ask the database."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Five statements, each answered from an index."""
        now = timezone.now()
        open_payments = GaugeMetricFamily(
            "pagoefectivo_open_payments", "Payments that wait to be paid.", labels=("merchant",)
        )
        pending = Payment.objects.filter(status=Status.PENDING)
        for merchant, count in pending.values_list("merchant").annotate(Count("pk")).order_by():
            open_payments.add_metric((merchant,), count)
        yield open_payments
        yield GaugeMetricFamily(
            "pagoefectivo_attention_payments",
            "Payments that a person has to look at.",
            Payment.objects.filter(attention__gt="").count(),
        )
        latest = WebhookEvent.objects.exclude(outcome=Outcome.REJECTED).aggregate(
            at=Max("received_at")
        )["at"]
        if latest is not None:
            yield GaugeMetricFamily(
                "pagoefectivo_last_notification_age_seconds",
                "Time since the last genuine notification came.",
                _age(latest, now),
            )
        given_up = Q(next_poll_at__isnull=True)
        polled = pending.filter(given_up | Q(next_poll_at__lte=now)).aggregate(
            first=Min("next_poll_at"), given_up=Count("pk", filter=given_up)
        )
        yield GaugeMetricFamily(
            "pagoefectivo_poll_lag_seconds",
            "How long the poller should have asked about the payment it is most behind with.",
            _age(polled["first"], now),
        )
        yield GaugeMetricFamily(
            "pagoefectivo_given_up_payments",
            "Open payments so long over that the poller asks about them no more.",
            polled["given_up"],
        )
        owed = SignalDelivery.objects.filter(state=DeliveryState.PENDING).aggregate(
            count=Count("pk"), first=Min("created_at")
        )
        yield GaugeMetricFamily(
            "pagoefectivo_pending_deliveries", "Calls that receivers are owed.", owed["count"]
        )
        yield GaugeMetricFamily(
            "pagoefectivo_oldest_delivery_age_seconds",
            "How long the oldest call is owed.",
            _age(owed["first"], now),
        )


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)


@lru_cache(maxsize=1)
def install() -> None:
    """Count from now on, in prometheus_client's own registry. A second call does nothing."""
    observe(PrometheusObserver())
    REGISTRY.register(StateCollector())


@never_cache
@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything in the registry, of all processes with ``PROMETHEUS_MULTIPROC_DIR``.

    It is in no URLconf: route it where only Prometheus can reach it.
    """
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(StateCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

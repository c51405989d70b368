"""Dropping what need not be kept.

That is old exchanges, refused notifications and idempotency keys. Payments, genuine
notifications, deliveries and the timeline are the record of money and stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from ..conf import Config, get_config
from ..models import ApiExchange, IdempotencyKey, Outcome, WebhookEvent
from .transactions import repeated_on_conflict

#: Rows deleted in one statement, so that no lock is held for long.
BATCH = 1000


@dataclass(slots=True)
class PruneReport:
    """How many rows were dropped."""

    exchanges: int = 0
    rejected_events: int = 0
    idempotency_keys: int = 0


def prune(progress: Callable[[int], None] | None = None) -> PruneReport:
    """Drop what is older than ``RETENTION`` says, batch by batch.

    ``progress`` is told how many rows are gone. Safe to interrupt and to run beside others.
    """
    now = timezone.now()
    gone = 0

    def emptied(old: QuerySet[Any]) -> int:
        nonlocal gone
        dropped = 0
        # Named first, since not every database deletes with a limit.
        while ids := list(old.order_by("pk").values_list("pk", flat=True)[:BATCH]):
            dropped += repeated_on_conflict(old.filter(pk__in=ids).delete)[0]
            gone += len(ids)
            if progress is not None:
                progress(gone)
        return dropped

    report = PruneReport()
    for whose, retention in _terms(get_config()):
        report.exchanges += emptied(
            ApiExchange.objects.filter(whose, created_at__lt=now - retention["exchanges"])
        )
        report.rejected_events += emptied(
            WebhookEvent.objects.filter(
                whose,
                outcome=Outcome.REJECTED,
                received_at__lt=now - retention["rejected_events"],
            )
        )
    report.idempotency_keys = emptied(
        IdempotencyKey.objects.filter(
            created_at__lt=now - get_config().retention["idempotency_keys"]
        )
    )
    return report


def _terms(config: Config) -> Iterator[tuple[Q, dict[str, timedelta]]]:
    """Whose rows are kept for how long: merchants with terms of their own, then the rest.

    Raises ``ImproperlyConfigured`` while it is not known which merchants have their own.
    """
    of_merchants = {name: config.options_of(name).retention for name in config.merchant_names}
    own = {name: terms for name, terms in of_merchants.items() if terms != config.retention}
    for name, terms in own.items():
        yield Q(merchant=name), terms
    yield ~Q(merchant__in=list(own)), config.retention

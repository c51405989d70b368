"""What is dropped when its time is over, and what never is."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_pagoefectivo.models import ApiExchange, Outcome, WebhookEvent
from django_pagoefectivo.services import pruning

pytestmark = pytest.mark.django_db

OLD = timedelta(days=100)


def exchange(age: timedelta) -> ApiExchange:
    return ApiExchange.objects.create(merchant="default", created_at=timezone.now() - age)


def event(outcome: Outcome, age: timedelta) -> WebhookEvent:
    return WebhookEvent.objects.create(
        merchant="default", body=b"", outcome=outcome, received_at=timezone.now() - age
    )


def test_drops_what_is_older_than_its_retention_and_nothing_else() -> None:
    exchange(OLD)
    young = exchange(timedelta(days=89))
    event(Outcome.REJECTED, timedelta(days=31))
    kept = {
        event(Outcome.REJECTED, timedelta(days=29)),
        event(Outcome.APPLIED, OLD),
        event(Outcome.UNMATCHED, OLD),
    }
    report = pruning.prune()
    assert (report.exchanges, report.rejected_events) == (1, 1)
    assert set(ApiExchange.objects.all()) == {young}
    assert set(WebhookEvent.objects.all()) == kept


def test_the_setting_decides(settings: Any) -> None:
    settings.PAGOEFECTIVO = {
        **settings.PAGOEFECTIVO,
        "RETENTION": {"exchanges": timedelta(days=1)},
    }
    exchange(timedelta(days=2))
    assert pruning.prune().exchanges == 1


def test_goes_on_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for _ in range(5):
        exchange(OLD)
    seen: list[int] = []
    assert pruning.prune(seen.append).exchanges == 5
    assert seen == [2, 4, 5]


def test_the_command_says_what_it_dropped() -> None:
    exchange(OLD)
    out = io.StringIO()
    call_command("pagoefectivo_prune", stdout=out)
    assert "1 exchanges, 0 refused notifications and 0 idempotency keys dropped." in out.getvalue()

"""The figures that dashboard, API and shops share."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from django_pagoefectivo.models import Attention, Outcome, Payment, Status, WebhookEvent
from django_pagoefectivo.models.payment import order_key_for
from django_pagoefectivo.services.statistics import Counts, Period, statistics

pytestmark = pytest.mark.django_db

# 03:30 UTC is still the evening before in Lima.
LATE_EVENING = datetime(2026, 11, 11, 3, 30, tzinfo=UTC)
NOON = datetime(2026, 11, 11, 17, 0, tzinfo=UTC)
TENTH, ELEVENTH = date(2026, 11, 10), date(2026, 11, 11)
PERIOD = Period(TENTH, ELEVENTH)


def make(number: int, status: Status, created_at: datetime, **values: Any) -> Payment:
    reference = f"S-{number}"
    return Payment.objects.create(
        **{
            "order_reference": reference,
            "order_key": order_key_for("default", reference),
            "transaction_code": f"S-CODE-{number}",
            "amount": Decimal("10.00"),
            "currency": "PEN",
            "customer_email": "ana@shop.example",
            "expires_at": created_at + timedelta(days=1),
            "created_at": created_at,
            "status": status,
        }
        | values
    )


def pay(number: int, created_at: datetime, minutes: int, **values: Any) -> Payment:
    paid_at = created_at + timedelta(minutes=minutes)
    return make(
        number,
        Status.PAID,
        created_at,
        **{"paid_at": paid_at, "paid_amount": Decimal("10.00")} | values,
    )


def test_days_are_limas() -> None:
    make(1, Status.PENDING, LATE_EVENING)
    make(2, Status.PENDING, NOON)
    figures = statistics(PERIOD)
    assert figures.per_day == {
        TENTH: Counts(created=1, open=1),
        ELEVENTH: Counts(created=1, open=1),
    }


def test_counts_what_became_of_the_payments_and_the_success_rate() -> None:
    for number, status in enumerate(
        [
            Status.EXPIRED,
            Status.CANCELLED,
            Status.FAILED,
            Status.REFUNDED,
            Status.PENDING,
            Status.CREATED,
        ]
    ):
        make(number, status, NOON)
    pay(10, NOON, 5)
    totals = statistics(PERIOD).totals
    assert totals == Counts(created=7, paid=1, expired=1, cancelled=1, failed=1, refunded=1, open=2)
    assert totals.success_rate == pytest.approx(2 / 5)
    assert Counts(created=1, open=1).success_rate is None


def test_money_counts_on_the_day_it_was_paid_by_currency() -> None:
    pay(1, NOON - timedelta(days=30), 30 * 24 * 60)
    pay(2, NOON, 1, paid_amount=Decimal("2.50"))
    pay(3, NOON, 1, currency="USD", paid_amount=Decimal("7.00"))
    make(4, Status.PENDING, NOON, amount=Decimal("3.00"))
    figures = statistics(PERIOD)
    assert [(m.day, m.currency, m.count, m.amount) for m in figures.money] == [
        (ELEVENTH, "PEN", 2, Decimal("12.50")),
        (ELEVENTH, "USD", 1, Decimal("7.00")),
    ]
    assert figures.open_amounts == {"PEN": Decimal("3.00")}


def test_tells_why_payments_failed() -> None:
    make(1, Status.FAILED, NOON, failure_code="111")
    make(2, Status.FAILED, NOON, failure_code="111")
    make(3, Status.FAILED, NOON, failure_code="GatewayUnavailable")
    make(4, Status.EXPIRED, NOON)
    make(5, Status.CREATED, NOON, attention=Attention.OUTCOME_UNKNOWN)
    assert {(f.kind, f.code, f.count) for f in statistics(PERIOD).failures} == {
        ("refused", "111", 2),
        ("system", "GatewayUnavailable", 1),
        ("gave_up", "", 1),
        ("unknown", "", 1),
    }


def test_spreads_are_exact() -> None:
    for minutes in range(1, 11):
        pay(minutes, NOON, minutes)
    WebhookEvent.objects.create(
        merchant="default",
        digest="d",
        body=b"{}",
        outcome=Outcome.APPLIED,
        paid_at=NOON,
        received_at=NOON + timedelta(seconds=8),
    )
    figures = statistics(PERIOD)
    assert figures.time_to_pay is not None
    assert figures.time_to_pay.median == timedelta(minutes=5)
    assert figures.time_to_pay.percentile_90 == timedelta(minutes=10)
    assert figures.webhook_delay is not None
    assert figures.webhook_delay.median == timedelta(seconds=8)


def test_one_merchant_alone() -> None:
    make(1, Status.PENDING, NOON)
    make(2, Status.PENDING, NOON, merchant="usd")
    assert statistics(PERIOD, merchant="usd").totals.created == 1


def test_an_empty_period_has_every_day_and_no_spread() -> None:
    figures = statistics(PERIOD)
    assert list(figures.per_day) == [TENTH, ELEVENTH]
    assert figures.time_to_pay is None
    assert figures.totals.success_rate is None


@pytest.mark.parametrize(
    ("first", "last"), [(ELEVENTH, TENTH), (date(2020, 1, 1), date(2026, 1, 1))]
)
def test_refuses_a_period_that_cannot_be(first: date, last: date) -> None:
    with pytest.raises(ValueError, match="period"):
        Period(first, last)


def test_the_number_of_statements_is_constant(django_assert_num_queries: Any) -> None:
    WebhookEvent.objects.create(
        merchant="default",
        digest="d",
        body=b"{}",
        outcome=Outcome.APPLIED,
        paid_at=NOON,
        received_at=NOON,
    )
    pay(0, NOON, 1)
    with django_assert_num_queries(11):
        statistics(PERIOD)
    for number in range(1, 30):
        pay(number, NOON, number)
    with django_assert_num_queries(11):
        statistics(PERIOD)

"""What goes out of the figures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rest_framework import serializers

from ..services.statistics import Counts, Failure, Money, Spread, Statistics
from .fields import AmountField


class SecondsBodyField(serializers.Field[timedelta, Any, float, Any]):
    """A time span as seconds."""

    def to_representation(self, value: timedelta) -> float:
        """Seconds."""
        return value.total_seconds()


class CountsBody(serializers.Serializer[Counts]):
    """How many payments were created, and what became of them."""

    created = serializers.IntegerField()
    open = serializers.IntegerField()
    paid = serializers.IntegerField()
    expired = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    failed = serializers.IntegerField()
    refunded = serializers.IntegerField()
    success_rate = serializers.FloatField(allow_null=True, min_value=0, max_value=1)


class DayBody(CountsBody):
    """One merchant's counts of one Lima day."""

    day = serializers.DateField()
    merchant = serializers.CharField()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """The counts beside whose and when."""
        return {
            "day": instance.day.isoformat(),
            "merchant": instance.merchant,
            **CountsBody(instance.counts).data,
        }


class MoneyBody(serializers.Serializer[Money]):
    """What came in on one Lima day in one currency."""

    day = serializers.DateField()
    currency = serializers.CharField()
    count = serializers.IntegerField()
    amount = AmountField()


class FailureBody(serializers.Serializer[Failure]):
    """Why payments failed, and how many."""

    kind = serializers.ChoiceField(choices=["gave_up", "refused", "system", "unknown"])
    code = serializers.CharField()
    count = serializers.IntegerField()


class SpreadBody(serializers.Serializer[Spread]):
    """How long something took, in seconds."""

    median = SecondsBodyField()
    percentile_90 = SecondsBodyField()


class StatisticsBody(serializers.Serializer[Statistics]):
    """The figures of a period of whole Lima days, both ends included."""

    first = serializers.DateField(source="period.first")
    last = serializers.DateField(source="period.last")
    totals = CountsBody()
    by_day = DayBody(many=True)
    money = MoneyBody(many=True)
    open_amounts = serializers.DictField(child=AmountField())
    failures = FailureBody(many=True)
    time_to_pay = SpreadBody(allow_null=True)
    webhook_delay = SpreadBody(allow_null=True)

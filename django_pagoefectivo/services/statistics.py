"""Figures about payments: the same for the dashboard, the REST API and a shop's own page.

Days are Lima days. A payment counts on the day it was created, money on the day it was paid.
The number of statements does not depend on how many payments there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db.models import (
    Count,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    Q,
    QuerySet,
    Sum,
)
from django.db.models.functions import TruncDate

from ..gateways.wire import LIMA
from ..models import Attention, Payment, Status, WebhookEvent

LONGEST_PERIOD = timedelta(days=731)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole Lima days, both ends included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"The period ends ({self.last}) before it begins ({self.first}).")
        if self.last - self.first > LONGEST_PERIOD:
            raise ValueError(f"The period is longer than {LONGEST_PERIOD.days} days.")

    @classmethod
    def last_days(cls, days: int, now: datetime) -> Period:
        """The ``days`` Lima days up to and with that of ``now``."""
        today = now.astimezone(LIMA).date()
        return cls(today - timedelta(days=days - 1), today)

    @property
    def start(self) -> datetime:
        """The first moment."""
        return datetime.combine(self.first, datetime.min.time(), LIMA)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last + timedelta(days=1), datetime.min.time(), LIMA)

    @property
    def days(self) -> list[date]:
        """Each day."""
        count = (self.last - self.first).days + 1
        return [self.first + timedelta(days=number) for number in range(count)]


@dataclass(slots=True)
class Counts:
    """How many payments were created, and what became of them."""

    created: int = 0
    paid: int = 0
    expired: int = 0
    cancelled: int = 0
    failed: int = 0
    refunded: int = 0
    open: int = 0

    def add(self, other: Counts) -> None:
        """Add another one's numbers."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def success_rate(self) -> float | None:
        """Share of paid (also if refunded later) among those that are not open, 0 to 1."""
        settled = self.created - self.open
        return (self.paid + self.refunded) / settled if settled else None


@dataclass(frozen=True, slots=True)
class DayCounts:
    """One merchant's counts of one day."""

    day: date
    merchant: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Money:
    """A sum of paid payments of one day and currency."""

    day: date
    currency: str
    count: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Failure:
    """Why payments failed: ``kind`` is ``gave_up``, ``refused``, ``system`` or ``unknown``."""

    kind: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took: the middle and what nine of ten stay under."""

    median: timedelta
    percentile_90: timedelta


@dataclass(frozen=True, slots=True)
class Statistics:
    """All figures of a period."""

    period: Period
    by_day: tuple[DayCounts, ...]
    totals: Counts
    money: tuple[Money, ...]
    open_amounts: dict[str, Decimal]
    failures: tuple[Failure, ...]
    time_to_pay: Spread | None
    webhook_delay: Spread | None
    per_day: dict[date, Counts] = field(default_factory=dict)


def statistics(period: Period, *, merchant: str | None = None) -> Statistics:
    """The figures of ``period``, of one ``merchant`` or of all."""
    payments = Payment.objects.order_by()
    if merchant is not None:
        payments = payments.filter(merchant=merchant)
    created = payments.filter(created_at__gte=period.start, created_at__lt=period.end)
    by_day = _by_day(created)
    totals, per_day = Counts(), {day: Counts() for day in period.days}
    for row in by_day:
        totals.add(row.counts)
        per_day[row.day].add(row.counts)
    return Statistics(
        period=period,
        by_day=by_day,
        totals=totals,
        money=_money(payments, period),
        open_amounts=_open_amounts(payments),
        failures=_failures(created, totals),
        time_to_pay=_spread(created.filter(paid_at__isnull=False), F("paid_at") - F("created_at")),
        webhook_delay=_webhook_delay(period, merchant),
        per_day=per_day,
    )


def lima_day(column: str) -> TruncDate:
    """The Lima day of a column.

    By subtraction, since MariaDB converts between zones only where its tables of zones are
    loaded, and Lima keeps one offset all year.
    """
    lima = ExpressionWrapper(F(column) - timedelta(hours=5), output_field=DateTimeField())
    return TruncDate(lima, tzinfo=UTC)


def _by_day(created: QuerySet[Payment]) -> tuple[DayCounts, ...]:
    def having(status: Status) -> Count:
        return Count("pk", filter=Q(status=status))

    rows = (
        created.annotate(day=lima_day("created_at"))
        .values("day", "merchant")
        .annotate(
            created=Count("pk"),
            paid=having(Status.PAID),
            expired=having(Status.EXPIRED),
            cancelled=having(Status.CANCELLED),
            failed=having(Status.FAILED),
            refunded=having(Status.REFUNDED),
            open=Count("pk", filter=Q(status__in=(Status.CREATED, Status.PENDING))),
        )
        .order_by("day", "merchant")
    )
    return tuple(
        DayCounts(
            row["day"],
            row["merchant"],
            Counts(
                created=row["created"],
                paid=row["paid"],
                expired=row["expired"],
                cancelled=row["cancelled"],
                failed=row["failed"],
                refunded=row["refunded"],
                open=row["open"],
            ),
        )
        for row in rows
    )


def _money(payments: QuerySet[Payment], period: Period) -> tuple[Money, ...]:
    rows = (
        payments.filter(paid_at__gte=period.start, paid_at__lt=period.end, status=Status.PAID)
        .annotate(day=lima_day("paid_at"))
        .values("day", "currency")
        .annotate(count=Count("pk"), amount=Sum("paid_amount"))
        .order_by("day", "currency")
    )
    return tuple(
        Money(row["day"], row["currency"], row["count"], row["amount"] or Decimal(0))
        for row in rows
    )


def _open_amounts(payments: QuerySet[Payment]) -> dict[str, Decimal]:
    rows = (
        payments.filter(status=Status.PENDING)
        .values_list("currency")
        .annotate(total=Sum("amount"))
        .order_by("currency")
    )
    return dict(rows)


def _failures(created: QuerySet[Payment], totals: Counts) -> tuple[Failure, ...]:
    failed = (
        created.filter(status=Status.FAILED)
        .values_list("failure_code")
        .annotate(count=Count("pk"))
        .order_by("-count", "failure_code")
    )
    unknown = created.filter(status=Status.CREATED, attention=Attention.OUTCOME_UNKNOWN).count()
    found = [
        # An API code is a number; what the app noted by itself is the name of an error.
        Failure("refused" if code.isdigit() else "system", code, count)
        for code, count in failed
    ]
    found += [Failure("gave_up", "", totals.expired), Failure("unknown", "", unknown)]
    return tuple(failure for failure in found if failure.count)


def _webhook_delay(period: Period, merchant: str | None) -> Spread | None:
    events = WebhookEvent.objects.filter(
        received_at__gte=period.start, received_at__lt=period.end, paid_at__isnull=False
    ).order_by()
    if merchant is not None:
        events = events.filter(merchant=merchant)
    return _spread(events, F("received_at") - F("paid_at"))


def _spread(rows: QuerySet[Payment] | QuerySet[WebhookEvent], took: object) -> Spread | None:
    """Median and 90th percentile (nearest rank) of an expression; three statements."""
    count = rows.count()
    if not count:
        return None
    values: Sequence[timedelta] = (
        rows.annotate(  # type: ignore[assignment]
            took=ExpressionWrapper(took, output_field=DurationField())
        )
        .order_by("took")
        .values_list("took", flat=True)
    )
    return Spread(
        median=values[(count - 1) // 2], percentile_90=values[min(count - 1, count * 9 // 10)]
    )

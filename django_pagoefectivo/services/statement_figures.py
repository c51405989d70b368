"""What a statement comes to: its counts, its sums, and what is missing in it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from ..models import LineState, Payment, PaymentQuerySet, Statement, StatementLine
from .statement_matching import OPEN_STATES, WAS_PAID
from .statistics import Period, lima_day


@dataclass(frozen=True, slots=True)
class DayTotal:
    """One Lima day and currency of a statement. ``ours`` is what the shop holds as paid."""

    day: Any
    currency: str
    count: int
    gross: Decimal
    commission: Decimal | None
    net: Decimal | None
    ours: Decimal

    @property
    def difference(self) -> Decimal:
        """The file's gross less the shop's."""
        return self.gross - self.ours


def paid_but_not_in(statement: Statement) -> PaymentQuerySet:
    """The payments of the statement's days that are paid here but in no statement."""
    if statement.first_day is None or statement.last_day is None:
        return Payment.objects.none()
    period = Period(statement.first_day, statement.last_day)
    # A line that contradicts itself may be about another payment.
    lines = StatementLine.objects.filter(payment=OuterRef("pk")).exclude(state=LineState.UNKNOWN)
    return Payment.objects.filter(
        ~Exists(lines),
        merchant=statement.merchant,
        status__in=WAS_PAID,
        paid_at__gte=period.start,
        paid_at__lt=period.end,
    )


def counts_of(statement: Statement) -> dict[str, int]:
    """How many lines of a statement are in each state."""
    rows = statement.lines.order_by().values_list("state").annotate(count=Count("pk"))
    return dict(rows)


def waiting(lines: QuerySet[StatementLine]) -> QuerySet[StatementLine]:
    """Those of ``lines`` that somebody still has to look into."""
    return lines.filter(state__in=OPEN_STATES, settled_at__isnull=True).exclude(
        state=LineState.REFUNDED, problem=""
    )


def put_aside(lines: QuerySet[StatementLine]) -> QuerySet[StatementLine]:
    """Those of ``lines`` that somebody put aside with a comment."""
    return lines.filter(state__in=OPEN_STATES, settled_at__isnull=False)


def totals_of(statement: Statement) -> list[DayTotal]:
    """Per Lima day and currency: the file's gross, commission and net, and the shop's sum."""
    rows = (
        statement.lines.exclude(state__in=(LineState.UNREADABLE, LineState.SEEN_BEFORE))
        .filter(is_refund=False)
        .order_by()
        .annotate(day=lima_day("paid_at"))
        .values("day", "currency")
        .annotate(
            count=Count("pk"),
            gross=Sum("amount"),
            fees=Sum("commission"),
            to_get=Sum("net"),
            # A payment that was paid twice is sold once, and a line whose codes contradict
            # its payment is most likely about another one.
            ours=Sum(
                "payment__paid_amount",
                filter=Q(payment__status__in=WAS_PAID)
                & ~Q(state__in=(LineState.PAID_TWICE, LineState.UNKNOWN)),
            ),
        )
        .order_by("day", "currency")
    )
    return [
        DayTotal(
            day=row["day"],
            currency=row["currency"],
            count=row["count"],
            gross=row["gross"] or Decimal(0),
            commission=row["fees"],
            net=row["to_get"],
            ours=row["ours"] or Decimal(0),
        )
        for row in rows
    ]

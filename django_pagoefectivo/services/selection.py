"""Which payments are meant: what the list's filters and the commands' options choose by."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar

from django.db.models import QuerySet

from ..gateways.wire import LIMA
from ..models import Attention, Payment, PaymentQuerySet
from .staff import PAID_STATUSES

ANY = "any"
_Rows = TypeVar("_Rows", bound=QuerySet[Any])


def by_attention(rows: _Rows, reason: str) -> _Rows:
    """Those of ``rows`` that wait for ``reason``, or for ``any``."""
    # An "is not empty" could not use the index.
    return rows.filter(attention__in=Attention.values if reason == ANY else [reason])


def by_reconciled(rows: _Rows, answer: str) -> _Rows:
    """The paid ones that are reconciled (``yes``) or are not yet (``no``)."""
    return rows.filter(status__in=PAID_STATUSES, reconciled_at__isnull=answer == "no")


def between_days(rows: _Rows, field: str, first: str, last: str) -> _Rows:
    """Those whose ``field`` is on the Lima days ``first`` to ``last``, either may be ``""``.

    Raises ``ValueError`` or ``OverflowError`` for what is no day, as in 2026-01-31.
    """
    if first:
        rows = rows.filter(**{f"{field}__gte": _midnight(first)})
    if last:
        rows = rows.filter(**{f"{field}__lt": _midnight(last) + timedelta(days=1)})
    return rows


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), tzinfo=LIMA)


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters on payments, each ``""`` for none; the days are those of their creation."""

    status: str = ""
    merchant: str = ""
    attention: str = ""
    reconciled: str = ""
    from_day: str = ""
    to_day: str = ""

    def payments(self) -> PaymentQuerySet:
        """The payments it chooses. Raises ``ValueError`` or ``OverflowError`` for no days."""
        rows = Payment.objects.all()
        if self.status:
            rows = rows.filter(status=self.status)
        if self.merchant:
            rows = rows.filter(merchant=self.merchant)
        if self.attention:
            rows = by_attention(rows, self.attention)
        if self.reconciled:
            rows = by_reconciled(rows, self.reconciled)
        return between_days(rows, "created_at", self.from_day, self.to_day)

    def as_options(self) -> str:
        """The same as options of a command, quoted for a shell."""
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return " ".join(
            f"--{name.replace('_', '-')} {shlex.quote(value)}" for name, value in given if value
        )

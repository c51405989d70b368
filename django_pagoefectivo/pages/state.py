"""What the page shows for a payment, and how often it asks: pure decisions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from django.utils.translation import gettext_lazy as _

from ..models import Attention, Status


class PageState(StrEnum):
    """What a shopper is told, finer than the payment's status."""

    PREPARING = "preparing"
    WAITING = "waiting"
    OVERDUE = "overdue"
    CHECKING = "checking"
    CONFIRMING = "confirming"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    FAILED = "failed"


_STATES = {
    Status.CREATED: PageState.PREPARING,
    Status.PENDING: PageState.WAITING,
    Status.PAID: PageState.PAID,
    Status.EXPIRED: PageState.EXPIRED,
    Status.CANCELLED: PageState.CANCELLED,
    Status.REFUNDED: PageState.REFUNDED,
    Status.FAILED: PageState.FAILED,
}

#: Money has come that does not fit. Who is shown the code again would pay once more.
_UNDER_REVIEW = frozenset(
    {Attention.AMOUNT_MISMATCH, Attention.CURRENCY_MISMATCH, Attention.STATUS_CONFLICT}
)
_SETTLED = frozenset({Status.PAID, Status.REFUNDED})

_LABELS = {
    PageState.OVERDUE: _("no longer payable"),
    PageState.CHECKING: _("being checked by the shop"),
    PageState.CONFIRMING: _("paid, being confirmed"),
}

#: While the page is watched: up to so many seconds, ask every so many.
_PREPARING_PACE: tuple[tuple[int, int], ...] = ((60, 3), (600, 10))
_WAITING_PACE: tuple[tuple[int, int], ...] = ((120, 5), (600, 10), (1800, 20), (7200, 40))
_SLOWEST = 60


def page_state(
    status: str, attention: str, expires_at: datetime, now: datetime, *, being_checked: bool = False
) -> PageState:
    """What the shopper is told about a payment with these facts at ``now``.

    ``being_checked``: a notification says that it is paid, and PagoEfectivo is being asked.
    """
    if attention in _UNDER_REVIEW and status not in _SETTLED:
        return PageState.CHECKING
    if being_checked and status not in _SETTLED:
        return PageState.CONFIRMING
    state = _STATES[Status(status)]
    if state is PageState.WAITING and now >= expires_at:
        return PageState.OVERDUE
    return state


def state_label(status: str, state: PageState) -> str:
    """The few words for ``state``: the status's own unless the page knows better."""
    return str(_LABELS.get(state) or Status(status).label)


def next_poll(status: str, watched: float, *, being_checked: bool = False) -> int | None:
    """Seconds until the page asks again, having watched for ``watched`` seconds.

    The pace starts anew when the shopper comes back to the page, for that is when
    something may have happened. ``None``: nothing more is expected.
    """
    if status == Status.CREATED:
        paces = _PREPARING_PACE
    elif status == Status.PENDING or being_checked:
        paces = _WAITING_PACE
    else:
        return None
    return next((pace for limit, pace in paces if watched < limit), _SLOWEST)

"""When to ask PagoEfectivo about an open payment: seldom while it is young, more often near
its deadline, once after it, then ever less, and not at all when it is long over. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

#: Notifications are the normal way; a query shortly before the end catches a lost one.
_NEAR = timedelta(hours=1)
_OFTEN = timedelta(minutes=10)
_SELDOM = timedelta(hours=1)
#: PagoEfectivo closes a code some time after its deadline.
AFTER_DEADLINE = timedelta(minutes=5)
_LONGEST = timedelta(hours=24)
#: How long after its deadline a payment is asked about that does not come to an end.
GIVE_UP = timedelta(days=30)


def next_poll(created_at: datetime, expires_at: datetime, now: datetime) -> datetime | None:
    """When to ask next about a payment that is open at ``now``; ``None``: no more. All aware."""
    left = expires_at - now
    if left > _NEAR:
        return min(now + max(_SELDOM, left / 6), expires_at - _NEAR)
    if left > timedelta(0):
        return min(now + _OFTEN, expires_at + AFTER_DEADLINE)
    if left > -AFTER_DEADLINE:
        return expires_at + AFTER_DEADLINE
    if left <= -GIVE_UP:
        return None
    # The longer it is over, the less an answer will change.
    return now + min(max(_OFTEN, -left), _LONGEST)


def next_doubt(created_at: datetime, expires_at: datetime, now: datetime) -> datetime | None:
    """When to ask next about a create call of unknown outcome; ``None``: no more.

    Often while the code could be paid: its order can have no other one meanwhile.
    """
    return now + _OFTEN if now < expires_at else next_poll(created_at, expires_at, now)

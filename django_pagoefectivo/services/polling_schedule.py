"""When to ask PagoEfectivo about an open payment: seldom while it is young, more often near
its deadline, once after it, then ever less. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

#: Notifications are the normal way; a query shortly before the end catches a lost one.
_NEAR = timedelta(hours=1)
_OFTEN = timedelta(minutes=10)
_SELDOM = timedelta(hours=1)
#: PagoEfectivo closes a code some time after its deadline.
AFTER_DEADLINE = timedelta(minutes=5)
_LONGEST = timedelta(hours=24)


def next_poll(created_at: datetime, expires_at: datetime, now: datetime) -> datetime:
    """When to ask next about a payment that is open at ``now``. All aware."""
    left = expires_at - now
    if left > _NEAR:
        return min(now + max(_SELDOM, left / 6), expires_at - _NEAR)
    if left > timedelta(0):
        return min(now + _OFTEN, expires_at + AFTER_DEADLINE)
    if left > -AFTER_DEADLINE:
        return expires_at + AFTER_DEADLINE
    # The longer it is over, the less an answer will change.
    return now + min(max(_OFTEN, -left), _LONGEST)

"""What staff leave on a payment's timeline: what was done, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..models import EntryKind, Payment, Source, TimelineEntry, WebhookEvent
from .transitions import Actor

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def staff_entry(
    payment: Payment,
    user: User,
    note: str,
    *,
    kind: EntryKind = EntryKind.CHANGE,
    reason: str = "",
    event: WebhookEvent | None = None,
) -> TimelineEntry:
    """An entry in the name of ``user``, not saved."""
    return TimelineEntry(
        payment=payment,
        event=event,
        kind=kind,
        source=Source.STAFF,
        actor=user,
        actor_name=Actor(Source.STAFF, user).name,
        reason=reason,
        note=note,
    )

"""Everything that happened to a payment, in one line of time.

It is told by five tables; whatever is in two of them is told once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import (
    ApiExchange,
    DeliveryState,
    EntryKind,
    Outcome,
    Payment,
    SignalDelivery,
    Source,
    TimelineEntry,
    WebhookEvent,
)
from ..services.keys import described_key
from .formatting import lima, money

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

_M = TypeVar("_M", bound=Model)

#: Of each kind; nobody reads more, and a payment that is polled for years has many.
MOST = 200


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that happened. ``tone`` colours it: good, bad, open or plain."""

    moment: datetime
    kind: str
    title: _StrOrPromise
    detail: str = ""
    who: str = ""
    tone: str = "plain"
    source: Model | None = None

    @property
    def lima(self) -> str:
        """When, in Lima time."""
        return lima(self.moment)


def timeline_of(payment: Payment, text: Callable[[str], str]) -> tuple[list[Item], bool]:
    """What happened to ``payment``, the newest first, and whether older things are left out.

    ``text`` masks free text as far as the reader needs it.
    """
    entries = _newest(TimelineEntry.objects.filter(payment=payment))
    events = _newest(WebhookEvent.objects.filter(payment=payment).defer("body"))
    exchanges = _newest(ApiExchange.objects.filter(payment=payment).defer("request", "response"))
    deliveries = _newest(SignalDelivery.objects.filter(payment=payment))
    cut = any(len(rows) == MOST for rows in (entries, events, exchanges, deliveries))
    told = {entry.event_id for entry in entries if entry.kind == EntryKind.TRANSITION}
    items = [
        Item(
            payment.created_at,
            "created",
            _("Created over %s") % money(payment.amount, payment.currency),
        ),
        *(_exchange(row, text) for row in exchanges),
        *(_event(row, text, moved=row.pk not in told) for row in events),
        *(_entry(row, text) for row in entries),
        *(_delivery(row, text) for row in deliveries),
    ]
    # Stable: of one instant, the cause was put in before its consequence.
    items.sort(key=lambda item: item.moment)
    items.reverse()
    return items, cut


def _newest(rows: QuerySet[_M]) -> list[_M]:
    """The newest rows, the oldest of them first."""
    return list(rows.order_by("-pk")[:MOST])[::-1]


def _exchange(row: ApiExchange, text: Callable[[str], str]) -> Item:
    answer = _("HTTP %d") % row.http_status if row.http_status else _("no answer")
    code = _(", code %s") % row.api_code if row.api_code else ""
    failed = bool(row.error) or row.http_status is None or row.http_status >= 400
    return Item(
        row.created_at,
        "call",
        _("Call to PagoEfectivo: %(operation)s") % {"operation": row.operation},
        detail="\n".join(
            line for line in (f"{answer}{code}, {row.milliseconds} ms", text(row.error)) if line
        ),
        tone="bad" if failed else "plain",
        source=row,
    )


_EVENT_TONES = {
    Outcome.APPLIED: "good",
    Outcome.MISMATCH: "bad",
    Outcome.REJECTED: "bad",
    Outcome.PENDING: "open",
}


def _event(row: WebhookEvent, text: Callable[[str], str], *, moved: bool) -> Item:
    said = " · ".join(
        part
        for part in (
            money(row.amount, row.currency) if row.amount is not None else "",
            _("operation %s") % row.operation_number if row.operation_number else "",
        )
        if part
    )
    lines = [said]
    if moved and row.to_status:
        lines.append(_moved(row))
    if row.times_received > 1:
        lines.append(
            ngettext(
                "Received %(count)d time, last on %(last)s (Lima)",
                "Received %(count)d times, last on %(last)s (Lima)",
                row.times_received,
            )
            % {"count": row.times_received, "last": lima(row.last_received_at)}
        )
    if signed := described_key(row.merchant, row.signed_with):
        lines.append(_("Signed with the %s") % signed)
    lines.append(text(row.error))
    return Item(
        row.received_at,
        "notification",
        _("Notification %(type)s: %(outcome)s")
        % {"type": row.event_type or "?", "outcome": row.get_outcome_display()},
        detail="\n".join(line for line in lines if line),
        tone=_EVENT_TONES.get(Outcome(row.outcome), "plain"),
        source=row,
    )


_ENTRY_TONES = {"paid": "good", "expired": "plain", "failed": "bad", "cancelled": "plain"}


def _entry(row: TimelineEntry, text: Callable[[str], str]) -> Item:
    tone = "plain"
    if row.kind == EntryKind.TRANSITION:
        title = _moved(row)
        tone = _ENTRY_TONES.get(row.to_status, "plain")
    elif row.kind == EntryKind.FLAG:
        title = _("Needs attention: %s") % row.get_reason_display()
        tone = "bad"
    elif row.kind == EntryKind.SETTLED:
        title = _("Dealt with: %s") % row.get_reason_display()
        tone = "good"
    else:
        title = str(row.get_kind_display()).capitalize()
    return Item(
        row.created_at,
        row.kind,
        title,
        detail=text(row.note),
        who=text(row.actor_name) or str(Source(row.source).label),
        tone=tone,
    )


def _moved(row: TimelineEntry | WebhookEvent) -> str:
    return f"{row.get_from_status_display()} → {row.get_to_status_display()}"


def _delivery(row: SignalDelivery, text: Callable[[str], str]) -> Item:
    names = {"signal": row.signal, "receiver": row.receiver}
    tries = ngettext("%d try", "%d tries", row.attempts) % row.attempts
    if row.state == DeliveryState.DONE:
        return Item(
            row.finished_at or row.created_at,
            "delivery",
            _("Told %(receiver)s: %(signal)s") % names,
            detail=tries if row.attempts > 1 else "",
            tone="good",
            source=row,
        )
    failing = bool(row.last_error)
    return Item(
        row.created_at,
        "delivery",
        (_("Not told yet: %(receiver)s, %(signal)s")) % names,
        detail="\n".join(
            line
            for line in (
                text(row.last_error),
                _("%(tries)s, the next on %(when)s (Lima)")
                % {"tries": tries, "when": lima(row.due_at)},
            )
            if line
        ),
        tone="bad" if failing else "open",
        source=row,
    )

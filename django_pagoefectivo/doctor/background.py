"""What has to run in the background: delivery and the poller. And what notifications told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from ..models import DeliveryState, Outcome, Payment, SignalDelivery, Status, WebhookEvent
from ..services.heartbeat import Duty, last_beat
from ..signals import SIGNALS
from .findings import Finding, Severity, ok
from .room import Room

#: Cron runs delivery every minute and the poller every five.
DELIVERY_LATE = timedelta(minutes=5)
POLL_LATE = timedelta(minutes=30)
#: A receiver that raised so often does not get well by itself.
_OFTEN = 5
_RECENT = timedelta(days=1)


def check_delivery(room: Room) -> Iterator[Finding]:
    """The oldest call that is owed, whether anybody makes calls, and who cannot be called."""
    now = timezone.now()
    owed = SignalDelivery.objects.filter(state=DeliveryState.PENDING)
    strangers = _strangers(owed)
    for signal, receiver in strangers:
        # However well the worker runs, these fail.
        owed = owed.exclude(signal=signal, receiver=receiver)
    overdue = owed.filter(due_at__lt=now - DELIVERY_LATE)
    oldest = overdue.order_by("due_at").first()
    mode = "" if room.config is None else room.config.signal_delivery
    if oldest is not None:
        yield Finding(
            "delivery",
            Severity.ERROR,
            f"{overdue.count()} calls of receivers are overdue, the oldest ({oldest.receiver} of "
            f"{oldest.signal}) since {_ago(now - oldest.due_at)}: the delivery worker is not "
            "running.",
            _HOW_TO_DELIVER,
            "howto/troubleshooting#paid-but-the-order-is-not-confirmed",
        )
    else:
        yield _alive(room, Duty.DELIVER, DELIVERY_LATE, needed=mode != "inline")
    for (signal, receiver), (count, since) in list(strangers.items())[:5]:
        yield Finding(
            "delivery.receiver",
            Severity.ERROR,
            f"Nobody listens to {signal} as {receiver} in this process, but calls are owed to it: "
            f"{count}, the oldest for {_ago(now - since)}. They cannot be made.",
            "Connect the receiver in AppConfig.ready(), which every process runs; if it was "
            "renamed or moved, give it the old name as dispatch_uid.",
            "howto/troubleshooting#paid-but-the-order-is-not-confirmed",
        )
    for row in owed.filter(attempts__gte=_OFTEN).order_by("pk")[:5]:
        yield Finding(
            "delivery.receiver",
            Severity.ERROR,
            f"Receiver {row.receiver} of {row.signal} has raised {row.attempts} times for "
            f"payment {row.payment_id}; the last time {row.last_error[:200] or 'it died'}.",
            "Mend the receiver; it is called again by itself, or at once from the admin.",
            "howto/troubleshooting#paid-but-the-order-is-not-confirmed",
        )


def _strangers(owed: QuerySet[SignalDelivery]) -> dict[tuple[str, str], tuple[int, datetime]]:
    """Signal and receiver that nobody connected here → how many calls, since when."""
    rows = owed.order_by("signal", "receiver").values("signal", "receiver")
    known = {name: set(signal.receiver_names(Payment)) for name, signal in SIGNALS.items()}
    return {
        (row["signal"], row["receiver"]): (row["calls"], row["since"])
        for row in rows.annotate(calls=Count("pk"), since=Min("created_at"))
        if row["receiver"] not in known.get(row["signal"], ())
    }


def check_poller(room: Room) -> Iterator[Finding]:
    """Whether lost notifications would be found."""
    now = timezone.now()
    late = Payment.objects.filter(status=Status.PENDING, next_poll_at__lt=now - POLL_LATE)
    oldest = late.order_by("next_poll_at").first()
    if oldest is None or oldest.next_poll_at is None:
        yield _alive(room, Duty.POLL, POLL_LATE, needed=False)
        return
    beat = None
    with suppress(_NobodyKnows):
        beat = _heard(room, Duty.POLL)
    runs = beat is not None and now - beat <= POLL_LATE
    yield Finding(
        "poller",
        Severity.ERROR,
        f"{late.count()} open payments should have been asked about, the first of them "
        f"{_ago(now - oldest.next_poll_at)} ago: the poller "
        + ("runs, but does not keep up. " if runs else "is not running. ")
        + "A notification that is lost stays lost, and unpaid payments never expire.",
        _HOW_TO_KEEP_UP if runs else _HOW_TO_POLL,
        "explanation/polling" if runs else "howto/troubleshooting#no-notification-arrives",
    )


def check_refused(room: Room) -> Iterator[Finding]:
    """Notifications that were turned away lately."""
    since = timezone.now() - _RECENT
    refused = WebhookEvent.objects.filter(outcome=Outcome.REJECTED, received_at__gte=since)
    newest = refused.order_by("-pk").first()
    if newest is not None:
        yield Finding(
            "refused",
            Severity.WARNING,
            f"{refused.count()} notifications were refused in the last 24 hours; the newest: "
            f"{newest.error[:200]}.",
            "If they are PagoEfectivo's, the keys do not match: put the other one into "
            "SECRET_KEY_FALLBACKS while it is rotated. Forged ones need nothing.",
            "howto/troubleshooting#a-notification-is-answered-403",
        )


_HOW_TO_DELIVER = (
    "Run manage.py pagoefectivo_deliver every minute from cron, or with --loop as a service; "
    'with SIGNAL_DELIVERY = "celery" or "tasks" see that a worker of that queue runs, too.'
)
_HOW_TO_POLL = "Run manage.py pagoefectivo_poll every five minutes from cron."
_HOW_TO_KEEP_UP = (
    "Run manage.py pagoefectivo_poll by hand and read what it says: PagoEfectivo does not answer "
    "a merchant, a merchant is not configured any more, or POLL_RATE leaves too many over. With "
    "POLL_RATE run it every minute."
)
_NAMES = {Duty.DELIVER: "pagoefectivo_deliver", Duty.POLL: "pagoefectivo_poll"}


def _alive(room: Room, duty: Duty, late: timedelta, *, needed: bool) -> Finding:
    """What the last sign of life says where no row tells that the duty is neglected."""
    command = _NAMES[duty]
    name = {Duty.DELIVER: "delivery", Duty.POLL: "poller"}[duty]
    mend = _HOW_TO_DELIVER if duty is Duty.DELIVER else _HOW_TO_POLL
    try:
        beat = _heard(room, duty)
    except _NobodyKnows:
        return Finding(
            name,
            Severity.WARNING,
            f"Nothing is overdue, but whether {command} runs nobody can say: there is no cache "
            "that works and that all processes share, where it would note it.",
            f"Mend what is said of the cache. {mend}",
            "howto/go-live",
        )
    if beat is not None and timezone.now() - beat <= late:
        return ok(name, f"{command} ran {_ago(timezone.now() - beat)} ago.")
    sentence = (
        f"Nothing is overdue, but {command} last ran as far as the cache knows never."
        if beat is None
        else f"{command} last ran {_ago(timezone.now() - beat)} ago."
    )
    return Finding(
        name,
        room.grave if needed or beat is not None else Severity.WARNING,
        sentence,
        mend,
        "howto/go-live",
    )


class _NobodyKnows(Exception):
    """There is no cache that could tell."""


def _heard(room: Room, duty: Duty) -> datetime | None:
    """The last sign of life, ``None`` if there was none. Raises ``_NobodyKnows``."""
    if not room.cache_is_shared:
        raise _NobodyKnows
    try:
        return last_beat(duty)
    except Exception as error:
        raise _NobodyKnows from error


def _ago(span: timedelta) -> str:
    """A span in the largest unit that fits, like "3 hours"."""
    seconds = int(span.total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"

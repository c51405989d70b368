"""The durable signal queue: owe each receiver its call, make it, try again.

``owe`` writes one row for each receiver in the transaction of what happened. After the
commit ``inline`` delivery calls them from the same process; whatever is left, because a
receiver raised or the process died, is found by ``deliver_due``. Each row is worked on
by one process at a time, under a lease.
"""

from __future__ import annotations

import copy
import random
import time
from asyncio import CancelledError
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import F, Q
from django.utils import timezone

from .. import metrics
from ..conf import get_config
from ..gateways.masking import masker
from ..logs import logger_for
from ..models import DeliveryState, Payment, SignalDelivery, WebhookEvent
from ..signals import SIGNALS
from .claims import is_dead, machine_prefix, own_identity
from .compiled import update_if
from .handover import hands_over, wake
from .heartbeat import Duty, beat
from .time_limit import time_limit
from .transactions import repeated_alone
from .writes import AT_ONCE, Writes

logger = logger_for("django_pagoefectivo.delivery")

#: A receiver that has not come back by then is taken to be lost with its process.
LEASE = timedelta(minutes=5)
#: How long a task queue has a call to itself before the sweep looks after it.
HEAD_START = timedelta(minutes=1)
#: A worker interrupts a receiver before others may take it for lost.
_MARGIN = 0.9
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(hours=1)
#: No call ever waits this long: what is due later was written by a clock that was wrong.
_NEVER_SO_LATE = timedelta(hours=2)
_LONGEST_ERROR = 2000

#: What each receiver may take that is called in this context; ``None``: as long as it likes.
_longest_call: ContextVar[timedelta | None] = ContextVar("longest_call", default=None)
#: Calls that this process made and could not note yet, by the delivery's id.
_unnoted: dict[int, SignalDelivery] = {}
#: Deliveries that this process may have claimed before the database went away.
_dropped: set[int] = set()


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to tell: the signal's name, who brought the news, further arguments."""

    signal: str
    source: str
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class DeliveryReport:
    """What a pass over the queue did."""

    delivered: int = 0
    failed: int = 0


def owe(
    payment: Payment,
    told: Sequence[Told],
    event: WebhookEvent | None = None,
    *,
    writes: Writes = AT_ONCE,
) -> None:
    """Write down whom to tell, in the running transaction; call them after its commit.

    Costs one statement at the most, and none if nobody listens.
    """
    mode = get_config().signal_delivery
    inline = mode == "inline"
    now = timezone.now()
    rows = [
        SignalDelivery(
            payment=payment,
            event=event,
            signal=item.signal,
            receiver=name,
            source=item.source,
            extra=item.extra,
            created_at=now,
            due_at=now + LEASE if inline else now + HEAD_START if hands_over(mode) else now,
            claimed_by=own_identity() if inline else "",
            attempts=1 if inline else 0,
        )
        for item in told
        for name in SIGNALS[item.signal].receiver_names(Payment)
    ]
    if not rows:
        return
    writes.insert(rows)
    if inline:
        writes.then(lambda: _deliver_claimed(rows))
    elif hands_over(mode):
        writes.then(lambda: wake(mode, [row.pk for row in rows]))


def deliver_due(
    *, ignore_backoff: bool = False, limit: int | None = None, interrupt: bool = False
) -> DeliveryReport:
    """Make every call that is due and return how many succeeded and failed.

    ``ignore_backoff`` also makes those that wait for their next try. At most ``limit``
    calls are made if it is given. With ``interrupt``, for a process of its own, a receiver
    that does not come back is interrupted before its lease is over and counts as failed;
    its other calls are left to a later pass, so that it cannot keep the others waiting.
    """
    report = DeliveryReport()
    hanging: set[str] = set()
    for row in _claims(hanging, ignore_backoff=ignore_backoff, limit=limit):
        began = time.monotonic()
        if _call(row, limit=LEASE * _MARGIN if interrupt else None):
            report.delivered += 1
            continue
        report.failed += 1
        if interrupt and time.monotonic() - began >= (LEASE * _MARGIN).total_seconds():
            hanging.add(row.receiver)
    beat(Duty.DELIVER)
    return report


def due_ids(limit: int) -> list[int]:
    """The ids of up to ``limit`` calls that are due, the oldest first."""
    now = timezone.now()
    _release_the_dead(now)
    due = SignalDelivery.objects.filter(_is_due(now), state=DeliveryState.PENDING)
    return list(due.order_by("pk").values_list("pk", flat=True)[:limit])


def deliver_one(delivery_id: int) -> bool | None:
    """Call the receiver of one delivery; whether it succeeded.

    ``None`` where there is nothing to do: it is done, or gone, or another process is on it,
    or it waits for its next try.
    """
    _catch_up()
    row = _claim_untried_or_due(delivery_id)
    if row is None:
        held = SignalDelivery.objects.filter(pk=delivery_id, state=DeliveryState.PENDING)
        holder = held.values_list("claimed_by", flat=True).first()
        if holder and is_dead(holder):
            _release(holder, timezone.now())
            row = _claim_untried_or_due(delivery_id)
    return None if row is None else _call(row)


def _claim_untried_or_due(pk: int) -> SignalDelivery | None:
    return _claim(pk, Q(claimed_by="", attempts=0) | _is_due(timezone.now()))


def _is_due(now: datetime) -> Q:
    """What is due at ``now``, which must not be older than the claims it is compared with.

    Who still works on a call on this machine keeps it, even if the clock was set back.
    """
    too_late = Q(due_at__gt=now + _NEVER_SO_LATE) & ~Q(claimed_by__startswith=machine_prefix())
    never_tried = Q(claimed_by="", attempts=0, due_at__gt=now + HEAD_START)
    return Q(due_at__lte=now) | too_late | never_tried


def retry_now(delivery: SignalDelivery) -> bool | None:
    """Call the receiver of one pending ``delivery`` now; whether it succeeded.

    ``None`` where nothing was called: another process is on it, or it is done already.
    """
    claimed = _claim(delivery.pk, Q(claimed_by="") | Q(due_at__lte=timezone.now()))
    return None if claimed is None else _call(claimed)


@contextmanager
def receivers_limited(limit: timedelta) -> Iterator[None]:
    """Interrupt each receiver that takes longer than ``limit`` in the block; it has failed then.

    For a process's main thread; elsewhere receivers take as long as they like.
    """
    token = _longest_call.set(limit)
    try:
        yield
    finally:
        _longest_call.reset(token)


def _claims(
    leave_out: Set[str], *, ignore_backoff: bool, limit: int | None
) -> Iterator[SignalDelivery]:
    """Claim the rows that are due one by one, each once in this pass.

    Those of receivers in ``leave_out``, which may grow meanwhile, are passed over.
    """
    _catch_up()
    _release_the_dead(timezone.now())

    def due() -> Q:
        still = _is_due(timezone.now())
        return still | Q(claimed_by="") if ignore_backoff else still

    last, left = 0, limit
    while left is None or left > 0:
        batch = 100 if left is None else min(100, left)
        found = list(
            SignalDelivery.objects.filter(due(), state=DeliveryState.PENDING, pk__gt=last)
            .order_by("pk")
            .values_list("pk", "receiver")[:batch]
        )
        if not found:
            return
        last = found[-1][0]
        for pk, receiver in found:
            row = None if receiver in leave_out else _claim(pk, due())
            if row is not None:
                if left is not None:
                    left -= 1
                yield row


def _release_the_dead(now: datetime) -> None:
    """Make due at once what processes of this machine held when they died."""
    holders = (
        SignalDelivery.objects.filter(
            state=DeliveryState.PENDING,
            due_at__gt=now,
            claimed_by__startswith=machine_prefix(),
        )
        .values_list("claimed_by", flat=True)
        .distinct()
        .order_by("claimed_by")
    )
    for holder in holders:
        if is_dead(holder):
            _release(holder, now)


def _release(holder: str, now: datetime) -> None:
    held = SignalDelivery.objects.filter(state=DeliveryState.PENDING, claimed_by=holder)
    for row in held:
        # Killed more than once: it may be this very receiver that kills, and it must not
        # take every pass down with it before the others are told.
        wait = _backoff(row.attempts) if row.attempts > 1 else timedelta(0)
        freed = held.filter(pk=row.pk)
        repeated_alone(partial(freed.update, claimed_by="", due_at=now + wait))


def _claim(pk: int, still: Q) -> SignalDelivery | None:
    try:
        return _claimed(pk, still)
    except DatabaseError:
        _dropped.add(pk)
        raise


def _claimed(pk: int, still: Q) -> SignalDelivery | None:
    free = SignalDelivery.objects.filter(still, pk=pk, state=DeliveryState.PENDING)
    mine = {"claimed_by": own_identity(), "due_at": timezone.now() + LEASE}
    if not repeated_alone(partial(free.update, **mine, attempts=F("attempts") + 1)):
        return None
    return SignalDelivery.objects.select_related("payment", "event").get(pk=pk)


def _deliver_claimed(rows: Sequence[SignalDelivery]) -> None:
    for row in rows:
        if timezone.now() >= row.due_at:
            # Those before it used the lease up: the sweeper has it, or will.
            continue
        try:
            _call(row)
        except Exception:
            # What is committed is committed, and the answer must not say otherwise. The
            # row is not marked done, so the sweeper calls again.
            logger.exception("How receiver %s fared could not be written down", row.receiver)


def _call(row: SignalDelivery, *, limit: timedelta | None = None) -> bool:
    """Call one receiver and write down how it went. Nothing it raises gets out.

    A process of its own gives a ``limit`` after which the receiver is interrupted.
    """
    failure: BaseException | None = None
    try:
        with time_limit(limit or _longest_call.get()):
            SIGNALS[row.signal].call(
                row.receiver,
                Payment,
                # Copies, so that what one receiver does to them does not reach the next.
                payment=copy.copy(row.payment),
                source=row.source,
                event=copy.copy(row.event),
                **row.extra,
            )
    except (Exception, SystemExit, CancelledError) as error:
        failure = error
    if failure is not None:
        # Not in the clause above: should the database be away, the log would show the
        # receiver's words as the context of that, unmasked.
        _count(row, succeeded=False)
        _note_failure(row, failure)
        return False
    _count(row, succeeded=True)
    _note_success(row)
    return True


def _count(row: SignalDelivery, *, succeeded: bool) -> None:
    if metrics.is_observed():
        lag = (timezone.now() - row.created_at).total_seconds()
        metrics.tell(
            lambda observer: observer.delivery_made(
                signal=row.signal, receiver=row.receiver, succeeded=succeeded, lag=lag
            )
        )


def _note_success(row: SignalDelivery) -> None:
    """Mark a call as made. A connection that broke meanwhile must not have it made twice."""
    _unnoted[row.pk] = row
    try:
        _catch_up()
    except DatabaseError:
        if connection.in_atomic_block:
            raise
        connection.close()
        _catch_up()


def _catch_up() -> None:
    """Write what this process could not while the database was away.

    Calls it made are marked, and those it claimed and never came to are given back.
    """
    for row in list(_unnoted.values()):
        made = {"state": DeliveryState.DONE, "finished_at": timezone.now()}
        made |= {"claimed_by": "", "last_error": ""}
        repeated_alone(partial(update_if, SignalDelivery, made, _mine(row)))
        _unnoted.pop(row.pk, None)
    for pk in list(_dropped):
        _dropped.discard(pk)
        try:
            dropped = SignalDelivery.objects.filter(
                pk=pk, state=DeliveryState.PENDING, claimed_by=own_identity()
            )
            repeated_alone(partial(dropped.update, claimed_by="", due_at=timezone.now()))
        except DatabaseError:
            _dropped.add(pk)
            raise


def _mine(row: SignalDelivery) -> dict[str, Any]:
    """The row, as long as nobody else has taken it over after its lease."""
    return {"pk": row.pk, "state": DeliveryState.PENDING, "claimed_by": row.claimed_by}


def _backoff(attempts: int) -> timedelta:
    wait: timedelta = min(FIRST_RETRY * 2 ** min(attempts - 1, 20), LONGEST_RETRY)
    # Some jitter, so that what failed together is not all tried together again.
    return wait * random.uniform(0.9, 1.1)


def _words_of(error: BaseException, payment: Payment) -> str:
    """An error as text that can be stored and shown, without the shopper's data."""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:
        text = f"{type(error).__name__} (its text cannot be made)"
    clean = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
    _, mask_text = masker(
        (),
        (
            payment.customer_email,
            payment.customer_phone,
            payment.customer_phone_country_code + payment.customer_phone,
            payment.customer_document_number,
            payment.customer_first_name,
            payment.customer_last_name,
        ),
    )
    return mask_text(clean)


def _note_failure(row: SignalDelivery, error: BaseException) -> None:
    wait = _backoff(row.attempts)
    text = _words_of(error, row.payment)
    logger.error(
        "Receiver %s of %s failed for payment %s (attempt %d, next in %d s): %s",
        row.receiver,
        row.signal,
        row.payment_id,
        row.attempts,
        wait.total_seconds(),
        text,
    )
    tried = {"last_error": text[:_LONGEST_ERROR], "due_at": timezone.now() + wait}
    tried["claimed_by"] = ""
    repeated_alone(partial(update_if, SignalDelivery, tried, _mine(row)))


def waiting_deliveries() -> int:
    """How many calls are still owed."""
    return SignalDelivery.objects.filter(state=DeliveryState.PENDING).count()

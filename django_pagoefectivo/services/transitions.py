"""The one door through which a payment changes.

Every source of facts (notification, status query, staff, statement, the shop's own calls)
comes through ``change``, which writes what the state machine decided as one conditional
update, and ``tell``, which adds the timeline and the duty to tell the shop in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.utils import timezone

from ..gateways import RemoteStatus
from ..models import Attention, EntryKind, Payment, PaymentQuerySet, Status, TimelineEntry
from ..models.choices import Source
from .compiled import Finder
from .delivery import Told, owe
from .polling_schedule import next_poll
from .state_machine import GIVEN_UP, Decision, Fact, PaymentState
from .writes import AT_ONCE, Writes

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from ..models import WebhookEvent

#: How long after its deadline a code may still be open at PagoEfectivo.
CLOSING_LAG = timedelta(hours=6)
_SIGNAL: dict[str, str] = {
    Status.PENDING: "payment_pending",
    Status.EXPIRED: "payment_expired",
    Status.CANCELLED: "payment_cancelled",
    Status.REFUNDED: "payment_refunded",
    Status.FAILED: "payment_failed",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who brings a fact: a source and, for staff, the account."""

    source: str
    user: User | None = None

    @property
    def name(self) -> str:
        """The person's name for the timeline, ``""`` where there is no person."""
        return "" if self.user is None else self.user.get_username()


WEBHOOK = Actor(Source.WEBHOOK)
STATUS_QUERY = Actor(Source.STATUS_QUERY)
API = Actor(Source.API)


@dataclass(frozen=True, slots=True)
class Change:
    """What ``change`` wrote: the decision and the status before it."""

    decision: Decision
    from_status: str
    written: bool

    @property
    def to_status(self) -> str:
        """The new status, ``""`` if it stayed."""
        return self.decision.to or ""


def closing_since() -> datetime:
    """The deadline from which on a code may still be open at PagoEfectivo."""
    return timezone.now() - CLOSING_LAG


def can_still_be_paid(since: datetime | None = None) -> Q:
    """Payments whose code PagoEfectivo may still take money for.

    It closes a code some time after its deadline, so that includes those just expired:
    ``since``, or ``closing_since()``.
    """
    lagging = Q(status=Status.EXPIRED, expires_at__gt=since or closing_since())
    return (Q(status=Status.PENDING) | lagging) & (Q(cip__isnull=False) | ~Q(remote_id=""))


def with_order_state(payments: PaymentQuerySet, since: datetime | None = None) -> PaymentQuerySet:
    """Add ``order_paid`` and ``others_open``: how the order's other payments stand."""
    others = Payment.objects.filter(order_key=OuterRef("order_key")).exclude(pk=OuterRef("pk"))
    # Counted among the order's, and not searched for by status: while its statistics are
    # young PostgreSQL may take that for a reason to look through all paid payments.
    paid = (
        others.order_by()
        .values("order_key")
        .annotate(count=Count("pk", filter=Q(status=Status.PAID)))
    )
    return payments.annotate(
        order_paid=Subquery(paid.values("count")),
        others_open=Exists(others.filter(can_still_be_paid(since))),
    )


def _by_name(*, since: datetime, **name: Any) -> PaymentQuerySet:
    return with_order_state(Payment.objects.filter(**name), since).order_by("-pk")


_BY_NAME = Finder(Payment, _by_name)


def read_again(payment: Payment) -> Payment:
    """The payment as it is now, with its order's state."""
    name = {"transaction_code": payment.transaction_code}
    for found in _BY_NAME.find({**name, "since": closing_since()}):
        if found.pk == payment.pk:
            return found
    raise Payment.DoesNotExist(f"Payment {payment.pk} is not there any more.")


def attempts_of(order_key: str) -> list[Payment]:
    """An order's payments, the newest first, each with the order's state."""
    return _BY_NAME.find({"order_key": order_key, "since": closing_since()})


def state_of(payment: Payment) -> PaymentState:
    """The state machine's view of a payment read through ``with_order_state``."""
    return PaymentState(
        status=payment.status,
        amount=payment.amount,
        currency=payment.currency,
        operation_number=payment.operation_number,
        order_paid=bool(payment.__dict__["order_paid"]),
    )


def change(
    payment: Payment,
    decision: Decision,
    fact: Fact,
    *,
    values: Mapping[str, Any] | None = None,
    voids: Attention | None = None,
    writes: Writes = AT_ONCE,
) -> Change:
    """Write what was decided as one conditional update, in the running transaction.

    ``payment`` was read through ``with_order_state`` and is brought up to date. ``values``
    are further fields to set, ``voids`` a reason for attention that is no longer true.
    Raises ``StateChanged`` if another process has moved the payment since it was read, and
    ``IntegrityError`` if another payment of the order took its place: begin again then.
    With ``writes`` that collect, they are raised when those are run.
    """
    now = timezone.now()
    before = payment.status
    changes: dict[str, Any] = dict(values or {})
    expected: dict[str, Any] = {
        "pk": payment.pk,
        "status": before,
        "operation_number": payment.operation_number,
    }
    if decision.operation_number:
        changes["operation_number"] = decision.operation_number[:64]
    if decision.to is not None:
        changes |= _transition(payment, decision, fact, now)
    if decision.to in GIVEN_UP:
        # Not if it is paid, or being checked for it, since it was read.
        expected["updated_at"] = payment.updated_at
    if decision.flag is not None:
        changes |= {"attention": decision.flag, "attention_note": decision.note}
        # Whoever brings the same news at the same instant begins again and sees it told.
        expected["updated_at"] = payment.updated_at
    elif voids is not None:
        # A reason that comes meanwhile must not vanish with the one that is void, nor stay
        # if it is that one.
        expected["attention"] = payment.attention
        if payment.attention == voids:
            changes |= {"attention": "", "attention_note": ""}
    if not changes:
        return Change(decision, before, written=False)
    changes["updated_at"] = now
    writes.update(Payment, changes, expected)
    for name, value in changes.items():
        setattr(payment, name, value)
    return Change(decision, before, written=True)


def _transition(payment: Payment, decision: Decision, fact: Fact, now: datetime) -> dict[str, Any]:
    to = decision.to
    changes: dict[str, Any] = {"status": to}
    if to == Status.PENDING:
        expires_at = fact.expires_at or payment.expires_at
        changes |= {
            "expires_at": expires_at,
            "next_poll_at": next_poll(payment.created_at, expires_at, now),
        }
        if payment.status == Status.EXPIRED:
            taken = Payment.objects.filter(open_key=payment.order_key).exists()
            changes["open_key"] = None if taken else payment.order_key
        return changes
    changes |= {"open_key": None, "next_poll_at": None, "checking_since": None}
    if to == Status.PAID:
        changes |= {
            "paid_at": fact.paid_at or now,
            "paid_amount": fact.amount,
            "operation_number": fact.operation_number[:64],
        }
        if decision.confirms:
            # Unique: of two payments of an order that are paid at the same instant one
            # gets here first, and the other begins again and finds the order paid.
            changes["confirmed_key"] = payment.order_key
    elif to == Status.CANCELLED:
        changes["cancelled_at"] = now
    elif to == Status.REFUNDED:
        changes |= {"refunded_at": now, "confirmed_key": None}
    return changes


def tell(
    payment: Payment,
    made: Change,
    actor: Actor,
    *,
    event: WebhookEvent | None = None,
    event_tells: bool = False,
    note: str = "",
    writes: Writes = AT_ONCE,
) -> None:
    """Add the timeline and the duty to tell the shop, in the transaction of ``change``.

    ``event_tells``: the notification's own row tells the status change, so the timeline
    needs no entry for it.
    """
    decision = made.decision
    entries: list[TimelineEntry] = []
    told: list[Told] = []

    def entry(kind: EntryKind, **fields: Any) -> None:
        entries.append(
            TimelineEntry(
                payment=payment,
                event=event,
                kind=kind,
                source=actor.source,
                actor=actor.user,
                actor_name=actor.name,
                **fields,
            )
        )

    if decision.to is not None:
        if not event_tells:
            entry(
                EntryKind.TRANSITION,
                from_status=made.from_status,
                to_status=decision.to,
                note=note,
            )
        if decision.confirms:
            told.append(Told("payment_confirmed", actor.source, {"late": decision.late}))
            if payment.__dict__["others_open"]:
                told.append(Told("other_codes_open", actor.source))
        elif decision.to in _SIGNAL:
            told.append(Told(_SIGNAL[decision.to], actor.source))
    if decision.flag is not None:
        entry(EntryKind.FLAG, reason=decision.flag, note=decision.note)
        told.append(Told("payment_flagged", actor.source, {"reason": decision.flag.value}))
    if entries:
        writes.insert(entries)
    owe(payment, told, event, writes=writes)


def flag(
    payment: Payment,
    reason: Attention,
    note: str,
    actor: Actor,
    event: WebhookEvent | None = None,
    *,
    writes: Writes = AT_ONCE,
) -> bool:
    """Flag ``payment`` for a person, in the running transaction; whether that was new.

    The same reason with the same note is flagged once, also after a person dealt with it.
    """
    if already_flagged(payment, reason, note):
        return False
    decision = Decision(flag=reason, note=note)
    made = change(payment, decision, Fact(RemoteStatus.UNKNOWN), writes=writes)
    tell(payment, made, actor, event=event, writes=writes)
    return True


def already_flagged(payment: Payment, reason: Attention, note: str) -> bool:
    """Whether this very thing was put before a person already."""
    return TimelineEntry.objects.filter(
        payment=payment, kind=EntryKind.FLAG, reason=reason, note=note
    ).exists()

"""What a person of the shop's staff does, in that person's name.

Every act is one short transaction and leaves an entry in the payment's timeline. Where
two people do the same at once, one wins and the other gets ``AlreadyDone``, which says
who was faster and when.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ..conf import get_config
from ..exceptions import (
    InvalidNotification,
    InvalidPayment,
    InvalidTransition,
    PagoEfectivoError,
)
from ..gateways import RemoteStatus, gateway_class
from ..gateways.wire import LIMA
from ..models import (
    Attention,
    DeliveryState,
    EntryKind,
    Outcome,
    Payment,
    PaymentQuerySet,
    SignalDelivery,
    Source,
    Status,
    TimelineEntry,
    WebhookEvent,
)
from .applying import fact_of
from .asking import SyncReport, sync_payments
from .delivery import retry_now
from .payments import cancel_payment, extend_payment
from .staff_entries import staff_entry
from .state_machine import Decision, Fact, decide
from .sync import can_sync, sync_payment
from .transactions import StateChanged, repeated_alone, repeated_on_conflict
from .transitions import Actor, change, read_again, state_of, tell
from .unknown_outcomes import is_in_doubt
from .validation import valid_amount, valid_text

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet

PAID_STATUSES = (Status.PAID, Status.REFUNDED)
#: ``failure_code`` of a payment that a person gave up.
GIVEN_UP = "given_up"
#: Doubts that are over once a person has said what is so.
_ANSWERED = frozenset({Attention.OUTCOME_UNKNOWN, Attention.LATE_PAYMENT})


class AlreadyDone(InvalidTransition):
    """Somebody was faster; the message says who and when."""


def in_lima(moment: datetime) -> str:
    """A moment as staff read it: Lima time, to the minute."""
    return f"{moment.astimezone(LIMA):%Y-%m-%d %H:%M}"


def seen_key(payment: Payment) -> str:
    """What a person saw waiting on ``payment``: changes as soon as something else waits."""
    text = f"{payment.attention}\0{payment.attention_note}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# -- asking, extending, cancelling -----------------------------------------------------------


def ask(payment: Payment, *, user: User) -> Payment:
    """Ask PagoEfectivo about ``payment`` in the name of ``user``; returns it refreshed.

    Raises what ``sync_payment`` raises, and ``InvalidTransition`` where there is nothing
    yet that PagoEfectivo could be asked about.
    """
    if not can_sync(payment):
        raise InvalidTransition(
            f"Payment {payment.transaction_code} has no CIP yet, so PagoEfectivo cannot be "
            "asked about it.",
            payment=payment,
        )
    sync_payment(payment)
    staff_entry(payment, user, f"Asked PagoEfectivo; the payment is {payment.status}.").save()
    return payment


def ask_many(payments: PaymentQuerySet, *, user: User, patience: float = 0) -> SyncReport:
    """Ask about all of ``payments``, some hundreds, in as few calls as the batch size allows.

    A setting that is wrong is reported and the merchants that it is not about go on. ``patience``
    is how many seconds a merchant's calls may wait for their turn under ``POLL_RATE``. The
    timeline says of those that PagoEfectivo answered about that they were asked about.
    """
    answered: list[Payment] = []
    try:
        report = sync_payments(payments, patience=patience, answered=answered.extend)
    except ImproperlyConfigured as error:
        # Of one merchant it would be in the report; this is about all of them.
        report = SyncReport(failed=payments.count(), errors=[str(error)])
    TimelineEntry.objects.bulk_create(
        staff_entry(payment, user, "Asked PagoEfectivo.") for payment in answered
    )
    return report


def extend(
    payment: Payment,
    *,
    user: User,
    expires_at: datetime | None = None,
    expires_in: timedelta | None = None,
) -> Payment:
    """``extend_payment`` in the name of ``user``."""
    return extend_payment(payment, expires_at=expires_at, expires_in=expires_in, actor=_actor(user))


def cancel(payment: Payment, *, user: User) -> Payment:
    """``cancel_payment`` in the name of ``user``; ``AlreadyDone`` if somebody was faster."""
    try:
        return cancel_payment(payment, actor=_actor(user))
    except PagoEfectivoError as error:
        # PagoEfectivo, too, refuses to delete a code that somebody has just deleted.
        payment.refresh_from_db()
        if payment.status != Status.CANCELLED:
            raise
        raise AlreadyDone(_who_moved(payment, "cancelled"), payment=payment) from error


# -- what needs no call ----------------------------------------------------------------------


def reconcile(payment: Payment, *, user: User) -> Payment:
    """Note that ``user`` found ``payment`` to agree with what PagoEfectivo settled.

    Raises ``InvalidTransition`` unless it is paid or refunded, ``AlreadyDone`` if it was
    reconciled before.
    """

    def work() -> None:
        now = timezone.now()
        written = Payment.objects.filter(
            pk=payment.pk, status__in=PAID_STATUSES, reconciled_at=None
        ).update(reconciled_at=now, reconciled_by=user, updated_at=now)
        if written:
            staff_entry(payment, user, "Marked as reconciled.").save()
            return
        current = Payment.objects.select_related("reconciled_by").get(pk=payment.pk)
        if current.reconciled_at is not None:
            by = current.reconciled_by.get_username() if current.reconciled_by else "Somebody"
            raise AlreadyDone(
                f"{by} marked {current.transaction_code} as reconciled on "
                f"{in_lima(current.reconciled_at)} (Lima).",
                payment=payment,
            )
        raise InvalidTransition(
            f"Payment {current.transaction_code} is {current.status}; only one that is paid or "
            "refunded can be reconciled.",
            payment=payment,
        )

    return _done(payment, work)


def add_note(payment: Payment, *, user: User, note: str) -> None:
    """Add what ``user`` has to say to the timeline of ``payment``."""
    staff_entry(payment, user, _words("note", note), kind=EntryKind.NOTE).save()


def settle(payment: Payment, *, user: User, note: str, seen: str) -> Payment:
    """Note that ``user`` dealt with what waited on ``payment``.

    ``seen`` is the ``seen_key`` of what the person looked at. Raises ``AlreadyDone`` if
    nothing waits any more, ``InvalidTransition`` if it is something else by now.
    """
    text = _words("note", note)

    def work() -> None:
        current = read_again(payment)
        if not current.attention:
            raise AlreadyDone(_who_settled(current), payment=payment)
        if seen_key(current) != seen:
            raise InvalidTransition(
                f"Something new happened to {current.transaction_code} meanwhile: "
                f"{current.attention_note or current.attention}",
                payment=payment,
            )
        _settle(current, user, text)

    return _done(payment, work)


def confirm(
    payment: Payment,
    *,
    user: User,
    reason: str,
    amount: Decimal | None = None,
    operation_number: str = "",
) -> Payment:
    """Take ``user``'s word that ``payment`` is paid, and tell the shop.

    ``amount`` is what was really paid, in the payment's currency; the payment's own if left
    out. Raises ``AlreadyDone`` if it is paid by now.
    """
    text = _words("reason", reason)
    paid = payment.amount if amount is None else valid_amount(amount)
    operation = valid_text("operation_number", operation_number, 64)

    def work() -> None:
        current = read_again(payment)
        fact = Fact(
            RemoteStatus.PAID,
            amount=paid,
            currency=current.currency,
            operation_number=operation,
        )
        _pay(current, fact, user, text)

    return _done(payment, work)


def give_up(payment: Payment, *, user: User, reason: str) -> Payment:
    """Take ``user``'s word that PagoEfectivo made no code for a payment of unknown outcome.

    It fails and releases its order, for which a new payment can then be made. Should the
    code exist and be paid all the same, that is flagged ``late_payment``. Raises
    ``AlreadyDone`` if somebody gave it up before, ``InvalidTransition`` if it is not in doubt.
    """
    text = _words("reason", reason)
    config = get_config()

    def work() -> None:
        current = read_again(payment)
        if current.status == Status.FAILED and current.failure_code == GIVEN_UP:
            who = _who_moved(current, "gave up")
            raise AlreadyDone(f"{who} {current.failure_message}", payment=current)
        if current.status != Status.CREATED or not is_in_doubt(current, config):
            raise InvalidTransition(
                f"Payment {current.transaction_code} is {current.status}; only one whose create "
                "call has an unknown outcome can be given up.",
                payment=current,
            )
        if current.attention:
            _settle(current, user, text)
        fact = Fact(RemoteStatus.FAILED)
        values = {"failure_code": GIVEN_UP, "failure_message": text}
        made = change(current, decide(state_of(current), fact), fact, values=values)
        tell(current, made, _actor(user), note=text)

    return _done(payment, work)


def mismatch_of(payment: Payment) -> WebhookEvent | None:
    """The newest notification whose amount could be accepted as what was paid."""
    if payment.status in PAID_STATUSES:
        return None
    return _acceptable(payment).order_by("-pk").first()


def _acceptable(payment: Payment) -> QuerySet[WebhookEvent]:
    """The notifications on ``payment``'s own codes that say another amount of its currency."""
    return WebhookEvent.objects.filter(
        payment=payment,
        outcome=Outcome.MISMATCH,
        flag=Attention.AMOUNT_MISMATCH,
        currency=payment.currency,
        amount__gt=0,
    ).defer("body")


def accept_amount(payment: Payment, *, user: User, event: WebhookEvent, note: str = "") -> Payment:
    """Accept the other amount that ``event`` says as the full payment, and tell the shop.

    Raises ``AlreadyDone`` if the payment is paid by now and ``InvalidTransition`` if
    ``event`` speaks of another payment, code or currency, or of no other amount.
    """
    text = valid_text("note", note)

    def work() -> None:
        current = read_again(payment)
        if not _acceptable(current).filter(pk=event.pk).exists():
            raise InvalidTransition(
                f"Notification {event.pk} says no amount that could be accepted for "
                f"{current.transaction_code}.",
                payment=payment,
            )
        fact = Fact(
            RemoteStatus.PAID,
            amount=event.amount,
            currency=event.currency,
            operation_number=event.operation_number,
            paid_at=event.paid_at,
        )
        said = f"Accepted {event.amount} {event.currency} for {current.amount} {current.currency}."
        _pay(current, fact, user, f"{said} {text}".strip(), event)

    return _done(payment, work)


# -- notifications that nobody knew ----------------------------------------------------------


def link_event(event: WebhookEvent, payment: Payment, *, user: User, note: str = "") -> Payment:
    """Apply the unmatched ``event`` to ``payment``, which ``user`` says it belongs to.

    What it says is judged as if it had named the payment: another amount flags. Raises
    ``AlreadyDone`` if the event was dealt with before, ``InvalidTransition`` if it is
    another merchant's or cannot be read any more.
    """
    text = valid_text("note", note)
    config = get_config()
    if event.merchant != payment.merchant:
        raise InvalidTransition(
            f"The notification is merchant {event.merchant}'s, the payment {payment.merchant}'s.",
            payment=payment,
        )
    gateway = gateway_class(config.merchant(event.merchant))
    try:
        fact = fact_of(gateway.parse_notification(bytes(event.body)))
    except InvalidNotification as error:
        raise InvalidTransition(f"The notification cannot be read: {error}") from None

    def work() -> None:
        current = read_again(payment)
        decision = decide(state_of(current), fact)
        if decision.flag == Attention.OUTCOME_UNKNOWN:
            # The doubt was which notification belongs to it, and that is answered now.
            decision = replace(decision, flag=None, note="")
        if decision.to is not None and current.attention == Attention.OUTCOME_UNKNOWN:
            _settle(current, user, text)
        values = {}
        if event.cip and current.cip is None and len(event.cip) <= 14:
            values["cip"] = event.cip
        made = change(current, decision, fact, values=values)
        claimed = WebhookEvent.objects.filter(pk=event.pk, outcome=Outcome.UNMATCHED).update(
            payment=current,
            outcome=_outcome(decision),
            from_status=made.from_status if made.to_status else "",
            to_status=made.to_status,
            flag=decision.flag or "",
            error=decision.note,
        )
        if not claimed:
            raise AlreadyDone(_who_linked(event), payment=payment)
        linked = f"Linked notification {event.pk} (CIP {event.cip or 'unknown'}). {text}".strip()
        if made.to_status:
            tell(current, made, _actor(user), event=event, note=linked)
        else:
            staff_entry(current, user, linked, event=event).save()
            tell(current, made, _actor(user), event=event)

    return _done(payment, work)


def dismiss_event(event: WebhookEvent, *, user: User, note: str) -> None:
    """Note that ``user`` dealt with an unmatched ``event`` in another way.

    Raises ``AlreadyDone`` if somebody did before.
    """
    text = _words("note", note)
    unmatched = WebhookEvent.objects.filter(pk=event.pk, outcome=Outcome.UNMATCHED)
    dismiss = partial(
        unmatched.update,
        outcome=Outcome.IGNORED,
        error=f"{user.get_username()} dealt with it on {in_lima(timezone.now())} (Lima): {text}",
    )
    if not repeated_alone(dismiss):
        raise AlreadyDone(_who_linked(event))


# -- receivers -------------------------------------------------------------------------------


def retry(delivery: SignalDelivery, *, user: User) -> bool:
    """Call the receiver of a pending ``delivery`` now; whether it succeeded.

    Raises ``AlreadyDone`` if it was told before and ``InvalidTransition`` if another
    process is just telling it.
    """
    succeeded = retry_now(delivery)
    delivery.refresh_from_db()
    if succeeded is None:
        if delivery.state == DeliveryState.DONE:
            raise AlreadyDone(_who_told(delivery), payment=delivery.payment)
        raise InvalidTransition(
            f"Another process is just telling {delivery.receiver}; look again in a moment.",
            payment=delivery.payment,
        )
    result = "it succeeded" if succeeded else "it failed again"
    staff_entry(delivery.payment, user, f"{_called(delivery)}: {result}.").save()
    return succeeded


def _called(delivery: SignalDelivery) -> str:
    return f"Called {delivery.receiver} for {delivery.signal} again"


def _who_told(delivery: SignalDelivery) -> str:
    when = f" on {in_lima(delivery.finished_at)} (Lima)" if delivery.finished_at else ""
    by = TimelineEntry.objects.filter(
        payment=delivery.payment,
        source=Source.STAFF,
        note=f"{_called(delivery)}: it succeeded.",
    ).last()
    if by is not None and by.actor_name:
        return f"{by.actor_name} had {delivery.receiver} told{when}."
    return f"{delivery.receiver} was told{when}."


# -- inside ----------------------------------------------------------------------------------


def _actor(user: User) -> Actor:
    return Actor(Source.STAFF, user)


def _words(field: str, text: str) -> str:
    words = valid_text(field, text).strip()
    if not words:
        raise InvalidPayment(field, "say in a few words what was done and why.")
    return words


def _done(payment: Payment, work: Callable[[], None]) -> Payment:
    repeated_on_conflict(work)
    payment.refresh_from_db()
    return payment


def _settle(current: Payment, user: User, note: str) -> None:
    """Clear what waits on a payment read in this transaction.

    Conditional on just that, so that of two people one wins and nothing that came up
    meanwhile is cleared unseen.
    """
    reason, now = current.attention, timezone.now()
    cleared = Payment.objects.filter(
        pk=current.pk, attention=reason, attention_note=current.attention_note
    ).update(attention="", attention_note="", updated_at=now)
    if cleared != 1:
        raise StateChanged
    current.attention = current.attention_note = ""
    # What is written next in this transaction expects it.
    current.updated_at = now
    staff_entry(current, user, note, kind=EntryKind.SETTLED, reason=reason).save()


def _pay(
    current: Payment, fact: Fact, user: User, note: str, event: WebhookEvent | None = None
) -> None:
    """Make a payment read in this transaction paid on a person's word."""
    if current.status in PAID_STATUSES:
        raise AlreadyDone(_who_paid(current), payment=current)
    # The person has judged the amount; whether the payment may be paid is still decided.
    state = replace(state_of(current), amount=fact.amount or current.amount)
    decision = decide(state, fact)
    if decision.to is None:
        raise InvalidTransition(
            f"Payment {current.transaction_code} is {current.status} and cannot become paid.",
            payment=current,
        )
    if decision.flag in _ANSWERED:
        decision = replace(decision, flag=None, note="")
    if current.attention:
        _settle(current, user, note)
    made = change(current, decision, fact)
    tell(current, made, _actor(user), event=event, note=note)


def _outcome(decision: Decision) -> Outcome:
    if decision.to is not None:
        return Outcome.APPLIED
    if decision.mismatch:
        return Outcome.MISMATCH
    return Outcome.DUPLICATE if decision.repeated else Outcome.IGNORED


def _who_settled(payment: Payment) -> str:
    last = TimelineEntry.objects.filter(payment=payment, kind=EntryKind.SETTLED).last()
    if last is None:
        return f"Nothing waits on {payment.transaction_code} any more."
    return (
        f"{last.actor_name or 'Somebody'} dealt with {payment.transaction_code} on "
        f"{in_lima(last.created_at)} (Lima): {last.note}"
    )


def _who_paid(payment: Payment) -> str:
    last = TimelineEntry.objects.filter(
        payment=payment, kind=EntryKind.TRANSITION, to_status=Status.PAID
    ).last()
    if last is not None:
        by = last.actor_name or f"a {last.get_source_display()}"
        return f"{by} made {payment.transaction_code} paid on {in_lima(last.created_at)} (Lima)."
    when = f" on {in_lima(payment.paid_at)} (Lima)" if payment.paid_at else ""
    return f"Payment {payment.transaction_code} is {payment.status} already: paid{when}."


def _who_moved(payment: Payment, did: str) -> str:
    """Who brought ``payment`` into the status that it has, and when."""
    last = TimelineEntry.objects.filter(
        payment=payment, kind=EntryKind.TRANSITION, to_status=payment.status
    ).last()
    if last is None:
        return f"Payment {payment.transaction_code} is {payment.status} already."
    by = last.actor_name or f"The {last.get_source_display()}"
    return f"{by} {did} {payment.transaction_code} on {in_lima(last.created_at)} (Lima)."


def _who_linked(event: WebhookEvent) -> str:
    last = TimelineEntry.objects.filter(event=event, source=Source.STAFF).last()
    if last is not None:
        return (
            f"{last.actor_name or 'Somebody'} linked the notification on "
            f"{in_lima(last.created_at)} (Lima)."
        )
    now = WebhookEvent.objects.only("outcome", "error").get(pk=event.pk)
    if now.outcome == Outcome.IGNORED and now.error:
        return now.error
    return f"The notification is {now.outcome} by now."

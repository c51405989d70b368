"""Scenarios of a notification: as it should be, and in every way in which it goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ..logs import logger_for
from ..models import Attention, Status, WebhookEvent
from ..sandbox.faults import NotificationFault
from ..sandbox.notifications import SentNotification
from ..services import sync_payment
from ..testing.captured import listening
from .lines import Seen
from .stage import OWN, Stage

_WAY = (
    "Run manage.py pagoefectivo_doctor: it names what stands between a notification and the "
    "webhook."
)
_RECEIVER = (
    "Mend the receiver that is named; it must cope with every order it is told about. If it "
    "raised because it does not know the rehearsal's order, let the shop make one: --orders."
)
_ONCE = (
    "The order must hang on payment_confirmed alone, in a receiver with a dispatch_uid that "
    "stays; nothing else may mark it paid."
)
_FORGED = (
    "Something answers in the webhook's place, or takes the money for there. Keep the include "
    "of django_pagoefectivo.urls as it is, and SECRET_KEY secret."
)


def statuses(sent: list[SentNotification]) -> list[int]:
    """Each HTTP status that the shop answered with."""
    return [status for one in sent for status in one.statuses]


def success(stage: Stage) -> Iterator[Seen]:
    """Paid as it should be."""
    payment = stage.create()
    code = payment.cip or payment.remote_id
    yield Seen(
        f"create_payment() for order {payment.order_reference}",
        "the payment is pending and has a code",
        f"it is {payment.status}, code {code or 'none'}",
        payment.status == Status.PENDING and bool(code),
        "Read the payment's exchanges in the admin: they have PagoEfectivo's words.",
    )
    sent = stage.pay(payment)
    yield Seen(
        "the shopper pays, and PagoEfectivo notifies",
        "the webhook answers 200 and the payment is paid",
        f"it answered {_said(sent)}, the payment is {payment.status}",
        statuses(sent) == [200] and payment.status == Status.PAID,
        _WAY,
    )
    right, seen = stage.told(payment, "payment_confirmed")
    yield Seen(
        "the shop's receivers of payment_confirmed are called",
        "each is told once, and none raises",
        seen,
        right,
        _RECEIVER,
    )


def unpaid(stage: Stage) -> Iterator[Seen]:
    """Nobody pays until the term is over."""
    payment = stage.create()
    stage.let_expire(payment)
    right, seen = stage.told(payment, "payment_expired")
    yield Seen(
        "the term ends, and PagoEfectivo is asked",
        "the payment is expired and the shop is told, so that goods can be sold again",
        f"it is {payment.status}; {seen}",
        payment.status == Status.EXPIRED and right,
        f"{_RECEIVER} Run pagoefectivo_poll every five minutes: it is what asks.",
    )


def twice(stage: Stage) -> Iterator[Seen]:
    """The same notification one after the other."""
    payment = stage.create()
    sent = stage.pay(payment, NotificationFault.TWICE)
    yield from _once(stage, payment.pk, sent, "PagoEfectivo sends the same notification twice")


def at_once(stage: Stage) -> Iterator[Seen]:
    """The same notification on two connections at the same instant."""
    payment = stage.create()
    sent = stage.pay(payment, NotificationFault.TWICE_AT_ONCE)
    yield from _once(stage, payment.pk, sent, "the same notification comes twice at one instant")


def _once(stage: Stage, pk: int, sent: list[SentNotification], did: str) -> Iterator[Seen]:
    payment = stage.payments.get(pk=pk)
    right, seen = stage.told(payment, "payment_confirmed")
    events = WebhookEvent.objects.filter(payment=payment)
    received = [event.times_received for event in events]
    yield Seen(
        did,
        "both are answered 200, one event is kept, the order is confirmed once",
        f"answered {_said(sent)}; received {received} times; {seen}",
        set(statuses(sent)) == {200} and received == [2] and right and payment.is_paid,
        _ONCE,
    )


def forged(stage: Stage) -> Iterator[Seen]:
    """Signed by nobody."""
    did = "somebody who does not have the key says that it is paid"
    yield from _refused(stage, NotificationFault.WRONG_SIGNATURE, did, 403, _FORGED)


def missing_fields(stage: Stage) -> Iterator[Seen]:
    """Signed, but without the amount."""
    did = "a signed notification comes without its amount"
    yield from _refused(stage, NotificationFault.MISSING_FIELD, did, 400, _WAY)


def _refused(
    stage: Stage, fault: NotificationFault, did: str, answer: int, mend: str
) -> Iterator[Seen]:
    payment = stage.create()
    sent = stage.pay(payment, fault)
    right, seen = stage.told(payment, "payment_confirmed", times=0)
    yield Seen(
        did,
        f"the webhook answers {answer} and nothing changes",
        f"it answered {_said(sent)}, the payment is {payment.status}; {seen}",
        set(statuses(sent)) == {answer} and payment.status == Status.PENDING and right,
        mend,
    )


def wrong_amount(stage: Stage) -> Iterator[Seen]:
    """Another amount than was asked for."""
    payment = stage.create()
    sent = stage.pay(payment, NotificationFault.WRONG_AMOUNT)
    right, seen = stage.told(payment, "payment_confirmed", times=0)
    yield Seen(
        "another amount is paid than was asked for",
        "200, nothing is confirmed, and the payment waits for a person",
        f"answered {_said(sent)}, {payment.status}, attention {payment.attention or 'none'}; "
        f"{seen}",
        statuses(sent) == [200]
        and payment.status == Status.PENDING
        and payment.attention == Attention.AMOUNT_MISMATCH
        and right,
        _WAY,
    )


def late(stage: Stage) -> Iterator[Seen]:
    """Paid after the shop had given it up."""
    payment = stage.create()
    stage.let_expire(payment)
    sent = stage.pay(payment)
    right, seen = stage.told(payment, "payment_confirmed")
    yield Seen(
        "the money comes after the payment had expired",
        "200, it is paid and flagged as late, and the shop is told once",
        f"answered {_said(sent)}, {payment.status}, attention {payment.attention or 'none'}; "
        f"{seen}",
        statuses(sent) == [200]
        and payment.status == Status.PAID
        and payment.attention == Attention.LATE_PAYMENT
        and right,
        "A receiver of payment_confirmed must cope with late=True: the goods may be gone. "
        + _RECEIVER,
    )


def out_of_order(stage: Stage) -> Iterator[Seen]:
    """An older notification arrives after a newer one."""
    payment = stage.create()
    sent = stage.pay(payment, NotificationFault.PAID_THEN_EXPIRED)
    right, seen = stage.told(payment, "payment_confirmed")
    not_expired, seen_expired = stage.told(payment, "payment_expired", times=0)
    yield Seen(
        'after "paid" an older "expired" arrives',
        "both are answered 200, and it stays paid",
        f"answered {_said(sent)}, {payment.status}; {seen}; {seen_expired}",
        set(statuses(sent)) == {200} and payment.is_paid and right and not_expired,
        _WAY,
    )


def lost(stage: Stage) -> Iterator[Seen]:
    """The notification never comes."""
    payment = stage.create()
    stage.pay(payment, NotificationFault.NEVER)
    before = payment.status
    sync_payment(payment)
    stage.settle(payment)
    right, seen = stage.told(payment, "payment_confirmed")
    yield Seen(
        "it is paid, but the notification is lost; then PagoEfectivo is asked",
        "it is pending until then, and paid after it, and the shop is told once",
        f"{before}, then {payment.status}; {seen}",
        before == Status.PENDING and payment.is_paid and right,
        "Run manage.py pagoefectivo_poll every five minutes: it is what asks. " + _RECEIVER,
    )


def raising_receiver(stage: Stage) -> Iterator[Seen]:
    """One receiver raises; the others must not notice."""
    uid = f"{OWN}.raising"
    payment = stage.create()
    with listening(_raise, uid, ["payment_confirmed"]), _unlogged():
        stage.pay(payment, NotificationFault.NEVER)
        # In this process, which is the only one that knows the receiver that raises.
        sync_payment(payment)
        stage.settle(payment)
        right, seen = stage.told(payment, "payment_confirmed")
        ours = payment.deliveries.filter(receiver=uid).first()
    owed = ours is not None and ours.state == ours.State.PENDING and bool(ours.last_error)
    yield Seen(
        "a receiver beside the shop's raises",
        "the payment is paid, the shop's own receivers are told, the one that raised is owed "
        "another call",
        f"{payment.status}; {seen}; the one that raised is {'owed' if owed else 'not owed'} a call",
        payment.is_paid and right and owed,
        _RECEIVER,
    )


def _raise(**kwargs: object) -> None:
    raise RuntimeError("raised by the rehearsal, on purpose")


@contextmanager
def _unlogged() -> Iterator[None]:
    """Log nothing of the rehearsal's own receiver: nobody shall get a mail about it."""
    logger = logger_for("django_pagoefectivo.delivery")

    def is_theirs(record: logging.LogRecord) -> bool:
        return OWN not in record.getMessage()

    logger.addFilter(is_theirs)
    try:
        yield
    finally:
        logger.removeFilter(is_theirs)


def _said(sent: list[SentNotification]) -> str:
    """The statuses, and why where none came."""
    words = [f"{one.status}" if one.status else one.answer for each in sent for one in each.tries]
    return ", ".join(words) or "nothing"

"""Taking in a genuine notification: find its payment, apply it, keep it, in one transaction.

The usual one is its payment's first, and its order has no other payment. It is taken in on
that assumption, which the writing itself checks, in two statements on PostgreSQL (read the
payment; update it, insert the event and what the shop is owed as one) and four on SQLite. Any
other is taken in with care. A repeated one costs two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connections, router
from django.db.models import Q, Subquery
from django.utils import timezone

from ..conf import Config
from ..gateways import Notification
from ..models import Attention, Outcome, Payment, PaymentQuerySet, Status, WebhookEvent
from .applying import apply_notification, save_event
from .compiled import Finder, no_other_row, update_if
from .transactions import repeated_alone, repeated_on_conflict
from .transitions import WEBHOOK, closing_since, flag, with_order_state
from .writes import Together

_LARGEST_AMOUNT = Decimal("9999999999999.99")
#: MariaDB looks at no table in a condition on that table.
_CANNOT_CHECK = frozenset({"mysql"})


@dataclass(frozen=True, slots=True)
class Receipt:
    """What this receipt of a notification did, and its event where that was looked at."""

    outcome: Outcome
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A genuine notification: who signed it, the label of the key, what it says."""

    signers: tuple[str, ...]
    key: str
    notification: Notification
    digest: str
    body: bytes
    signature: str
    address: str | None


def take_in(received: Received, config: Config) -> Receipt:
    """Take in ``received``; all that it did is committed when this returns.

    Database errors are passed on, and nothing is written then.
    """
    receipt = _take_in_at_once(received, config)
    if receipt is None:
        receipt = repeated_on_conflict(lambda: _take_in(received, config))
    event_id = receipt.event_id
    if receipt.outcome == Outcome.UNMATCHED and event_id is not None:
        # The create call's answer may have been written while this was: whoever commits
        # second finds the other.
        receipt = repeated_on_conflict(lambda: _look_again(received, event_id, config))
    return receipt


# -- the usual notification, in the fewest statements ----------------------------------------

#: MariaDB looks at no table in a condition on that table.
_CANNOT_CHECK = frozenset({"mysql"})


def _take_in_at_once(received: Received, config: Config) -> Receipt | None:
    """Take in the usual notification; ``None``, and nothing is done, if it is another.

    That its event is new and its payment the only one of the order is not asked before but
    made a condition of the writing.
    """
    alias = router.db_for_write(Payment)
    payment = None
    if connections[alias].vendor not in _CANNOT_CHECK:
        payment = _usual(received)
    if payment is None:
        return None
    if payment.status != Status.PENDING or payment.attention or payment.checking_since:
        # It was paid or put before a person, most often by this very notification.
        event = {"merchant": payment.merchant, "digest": received.digest}
        # One that still waits for its payment is applied now.
        unless = {"outcome": Outcome.UNMATCHED}
        counted = repeated_alone(lambda: _count_again(received, event, unless=unless))
        return Receipt(Outcome.DUPLICATE) if counted else None
    payment.__dict__.update(order_paid=0, others_open=False)
    new_event = _new_event(received, payment.merchant)
    writes = Together(alias)
    apply_notification(payment, received.notification, new_event, config, writes)
    alone = no_other_row(connections[alias], payment, {"order_key": payment.order_key})
    if not writes.succeed(only_if=alone):
        return None
    return Receipt(Outcome(new_event.outcome), new_event.pk)


def _usual(received: Received) -> Payment | None:
    """The one payment with the notification's CIP, where the CIP leaves no doubt."""
    notification = received.notification
    if len(received.signers) > 1 or not notification.cip or notification.remote_id:
        return None
    found = _BY_CIP.find({"cip": notification.cip, "merchant": received.signers[0]})
    payment = found[0] if len(found) == 1 else None
    # Some databases compare text without case or trailing space.
    if payment is None or payment.cip != notification.cip:
        return None
    same = notification.transaction_code in ("", payment.transaction_code)
    return payment if same else None


def _by_cip(*, cip: str, merchant: str) -> PaymentQuerySet:
    return Payment.objects.filter(cip=cip, merchant=merchant).order_by()


_BY_CIP = Finder(Payment, _by_cip)


def _count_again(
    received: Received, event: Mapping[str, Any], *, unless: Mapping[str, Any] | None = None
) -> bool:
    """Count one more receipt of the event that is like ``event``; whether there is one."""
    return update_if(
        WebhookEvent,
        {
            "last_received_at": timezone.now(),
            # The newest receipt's, so that the dated log of keys is true of this one.
            "signed_with": received.key,
            "signature": received.signature[:128],
        },
        event,
        unless=unless,
        add_one=("times_received",),
    )


# -- any notification, one transaction -----------------------------------------------------


def _take_in(received: Received, config: Config) -> Receipt:
    payments = _find(received)
    seen_id, seen_outcome = _seen(received, payments)
    waits_for_payment = seen_outcome == Outcome.UNMATCHED and len(payments) == 1
    if seen_id is not None:
        _count_again(received, {"pk": seen_id})
        if not waits_for_payment:
            return Receipt(Outcome.DUPLICATE, seen_id)
        event = WebhookEvent.objects.get(pk=seen_id)
    else:
        event = _new_event(received, payments[0].merchant if payments else received.signers[0])
    if not payments:
        event.outcome = Outcome.UNMATCHED
        event.error = "No payment has this CIP or transaction code."
        save_event(event)
    elif len(payments) > 1:
        _conflict(event, payments)
    else:
        apply_notification(payments[0], received.notification, event, config)
    return Receipt(Outcome(event.outcome), event.pk)


def _look_again(received: Received, event_id: int, config: Config) -> Receipt:
    payments = _find(received)
    event = WebhookEvent.objects.get(pk=event_id)
    if len(payments) == 1 and event.outcome == Outcome.UNMATCHED:
        apply_notification(payments[0], received.notification, event, config)
    return Receipt(Outcome(event.outcome), event.pk)


def _find(received: Received) -> list[Payment]:
    """The payments the notification names, with all that decides about it, in one query.

    Where the CIP alone leaves a doubt, in two.
    """
    notification = received.notification
    if notification.cip and not notification.remote_id:
        # Any of several names costs the database three times as much as just one, and
        # the other name of the payment that has this CIP can be no other payment's.
        found = _ask(received, {"cip": notification.cip})
        if len(found) == 1 and notification.transaction_code in ("", found[0].transaction_code):
            return found
    names = {
        "cip": notification.cip,
        "transaction_code": notification.transaction_code,
        "remote_id": notification.remote_id,
    }
    return _ask(received, {name: value for name, value in names.items() if value})


def _ask(received: Received, names: Mapping[str, str]) -> list[Payment]:
    """The payments of the signers that have any of ``names``."""
    signers = {f"signer_{number}": name for number, name in enumerate(received.signers)}
    found = _NAMED.find({**names, **signers, "digest": received.digest, "since": closing_since()})
    # Some databases compare text without case or trailing space.
    return [
        payment
        for payment in found
        if any(getattr(payment, column) == value for column, value in names.items())
    ]


def _named(*, digest: str, since: datetime, **values: Any) -> PaymentQuerySet:
    """What ``_find`` asks: the payments by name, each with the event of an earlier receipt."""
    signers = [value for name, value in values.items() if name.startswith("signer_")]
    names = Q()
    for column in ("cip", "transaction_code", "remote_id"):
        if column in values:
            names |= Q(**{column: values[column]})
    seen = WebhookEvent.objects.filter(merchant__in=signers, digest=digest).order_by()
    payments = with_order_state(Payment.objects.filter(names, merchant__in=signers), since)
    return payments.annotate(
        seen_id=Subquery(seen.values("pk")[:1]), seen_outcome=Subquery(seen.values("outcome")[:1])
    ).order_by()


_NAMED = Finder(Payment, _named)


def _seen(received: Received, payments: Sequence[Payment]) -> tuple[int | None, str | None]:
    """The event of an earlier receipt and its outcome."""
    if payments:
        return payments[0].__dict__["seen_id"], payments[0].__dict__["seen_outcome"]
    found = (
        WebhookEvent.objects.filter(merchant__in=received.signers, digest=received.digest)
        .values_list("pk", "outcome")
        .first()
    )
    return found or (None, None)


def _new_event(received: Received, merchant: str) -> WebhookEvent:
    notification = received.notification
    amount = notification.amount
    if amount is not None and (
        amount > _LARGEST_AMOUNT or amount != amount.quantize(Decimal("0.01"))
    ):
        # No column keeps it exactly; the body does.
        amount = None
    now = timezone.now()
    return WebhookEvent(
        merchant=merchant,
        digest=received.digest,
        body=received.body,
        signature=received.signature[:128],
        signed_with=received.key,
        address=received.address,
        received_at=now,
        last_received_at=now,
        event_type=notification.event_type[:100],
        cip=notification.cip[:64],
        transaction_code=notification.transaction_code[:64],
        remote_id=notification.remote_id[:64],
        operation_number=notification.operation_number[:64],
        amount=amount,
        currency=notification.currency[:10],
        paid_at=notification.paid_at,
    )


def _conflict(event: WebhookEvent, payments: Sequence[Payment]) -> None:
    """CIP and transaction code name different payments: apply nothing, show it."""
    codes = " and ".join(sorted(payment.transaction_code for payment in payments))
    by_cip = [payment for payment in payments if payment.cip == event.cip]
    event.payment = (by_cip or list(payments))[0]
    event.outcome = Outcome.MISMATCH
    event.flag = Attention.STATUS_CONFLICT
    event.error = f"CIP and transaction code belong to different payments: {codes}."
    save_event(event)
    for payment in payments:
        flag(payment, Attention.STATUS_CONFLICT, event.error, WEBHOOK, event)

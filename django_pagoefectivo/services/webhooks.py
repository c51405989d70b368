"""Taking in notifications: verify, record, apply, owe the shop its signals, commit.

Everything a notification does happens in one transaction before it is answered. A new
one costs four statements (read the payment, update it, insert the event, insert what
the shop is owed), a repeated one two.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Q, Subquery
from django.utils import timezone

from ..client_address import is_allowed
from ..conf import Config, Merchant, get_config
from ..exceptions import InvalidNotification, MerchantsUnavailable, NotificationRefused
from ..gateways import Notification, gateway_class
from ..gateways.signing import digest as digest_of
from ..gateways.signing import key_label
from ..models import Attention, Outcome, Payment, PaymentQuerySet, Status, WebhookEvent
from .compiled import Finder, insert, update_if
from .delivery import Told, owe
from .rejections import keep_rejected
from .state_machine import Decision, Fact, decide
from .transactions import repeated_on_conflict
from .transitions import (
    WEBHOOK,
    already_flagged,
    change,
    closing_since,
    flag,
    read_again,
    state_of,
    tell,
    with_order_state,
)

logger = logging.getLogger("django_pagoefectivo.webhook")

_LARGEST_AMOUNT = Decimal("9999999999999.99")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a notification: its event and what this receipt of it did."""

    event_id: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Received:
    """A genuine notification: who signed it, the label of the key, what it says."""

    signers: tuple[str, ...]
    key: str
    notification: Notification
    digest: str
    body: bytes
    signature: str
    address: str | None


def fact_of(notification: Notification) -> Fact:
    """What a notification says, for the state machine."""
    return Fact(
        status=notification.status,
        amount=notification.amount,
        currency=notification.currency,
        operation_number=notification.operation_number,
        paid_at=notification.paid_at,
    )


def receive(
    body: bytes,
    headers: Mapping[str, str],
    *,
    address: str | None = None,
    merchant: str | None = None,
) -> Receipt:
    """Take in one notification.

    ``headers`` are the request's, ``address`` the sender's, ``merchant`` the one whose
    URL was called (``None``: the key that signed tells). After the return everything it
    did is committed. Raises ``NotificationRefused`` for a signature that is missing or
    wrong and ``InvalidNotification`` for a signed body that cannot be used; both are kept
    in a bounded sample. Database errors and ``ImproperlyConfigured`` (a merchant that cannot
    be read) are passed on: nothing is acknowledged then.
    """
    config = get_config()
    candidates, broken = _candidates(config, merchant, address)
    received = _verified(body, headers, address, candidates)
    if received is None and (newer := config.with_newer_merchants()) is not None:
        # A key may have been changed a moment ago, where the merchants come from.
        config = newer
        candidates, broken = _candidates(config, merchant, address)
        received = _verified(body, headers, address, candidates)
    if received is None and broken:
        raise MerchantsUnavailable(
            f"A notification fits no key, but those of {', '.join(broken)} cannot be read."
        )
    if received is None and not candidates:
        raise NotificationRefused(f"Notification refused: address {address} is not allowed.")
    if received is None:
        signature = next(
            (s for m in candidates if (s := headers.get(gateway_class(m).signature_header))), ""
        )
        reason = (
            "the signature is wrong" if signature else "there is no signature header"
        ) + f" for {' or '.join(m.name for m in candidates)}"
        keep_rejected(candidates[0].name, body, signature, address, reason)
        raise NotificationRefused(f"Notification refused: {reason}.")
    receipt = repeated_on_conflict(lambda: _take_in(received, config))
    if receipt.outcome == Outcome.UNMATCHED:
        # The create call's answer may have been written while this was: whoever commits
        # second finds the other.
        receipt = repeated_on_conflict(lambda: _look_again(received, receipt, config))
    logger.info(
        "Notification %r of merchant %s for CIP %r: %s (event %d)",
        received.notification.event_type[:100],
        received.signers[0],
        received.notification.cip[:64],
        receipt.outcome,
        receipt.event_id,
    )
    return receipt


def _candidates(
    config: Config, merchant: str | None, address: str | None
) -> tuple[list[Merchant], list[str]]:
    """The merchants that may be notified from ``address``, and those that cannot be read.

    One of many that is set up wrongly must not stop the notifications of the others.
    """
    if merchant is not None:
        return [config.merchant(merchant)] if may_notify(merchant, address, config) else [], []
    candidates, broken = [], []
    for name in config.merchant_names:
        try:
            one = config.merchant(name)
            gateway_class(one)
            if may_notify(name, address, config):
                candidates.append(one)
        except ImproperlyConfigured as error:
            logger.error("Merchant %s cannot be notified: %s", name, error)  # noqa: TRY400
            broken.append(name)
    return candidates, broken


def may_notify(merchant: str, address: str | None, config: Config) -> bool:
    """Whether notifications for ``merchant`` may come from ``address``."""
    return is_allowed(address, config.options_of(merchant))


def _verified(
    body: bytes,
    headers: Mapping[str, str],
    address: str | None,
    candidates: Sequence[Merchant],
) -> _Received | None:
    """The notification with all merchants whose key signed it; ``None`` if nobody's did."""
    signers: list[str] = []
    first: tuple[Merchant, str, str] | None = None
    for merchant in candidates:
        gateway = gateway_class(merchant)
        signature = headers.get(gateway.signature_header) or ""
        if not signature:
            continue
        place = gateway.signing_key(body, signature, merchant.secret_keys)
        if place is None:
            continue
        signers.append(merchant.name)
        first = first or (merchant, key_label(merchant.secret_keys[place]), signature)
    if first is None:
        return None
    merchant, key, signature = first
    try:
        notification = gateway_class(merchant).parse_notification(body)
    except InvalidNotification as error:
        keep_rejected(merchant.name, body, signature, address, str(error))
        raise
    return _Received(tuple(signers), key, notification, digest_of(body), body, signature, address)


# -- one notification, one transaction -----------------------------------------------------


def _take_in(received: _Received, config: Config) -> Receipt:
    payments = _find(received)
    seen_id, seen_outcome = _seen(received, payments)
    waits_for_payment = seen_outcome == Outcome.UNMATCHED and len(payments) == 1
    if seen_id is not None:
        update_if(
            WebhookEvent,
            seen_id,
            {
                "last_received_at": timezone.now(),
                # The newest receipt's, so that the dated log of keys is true of this one.
                "signed_with": received.key,
                "signature": received.signature[:128],
            },
            {},
            add_one=("times_received",),
        )
        if not waits_for_payment:
            return Receipt(seen_id, Outcome.DUPLICATE)
        event = WebhookEvent.objects.get(pk=seen_id)
    else:
        event = _new_event(received, payments[0].merchant if payments else received.signers[0])
    if not payments:
        event.outcome = Outcome.UNMATCHED
        event.error = "No payment has this CIP or transaction code."
        _save(event)
    elif len(payments) > 1:
        _conflict(event, payments)
    else:
        apply_notification(payments[0], received.notification, event, config)
    return Receipt(event.pk, Outcome(event.outcome))


def _look_again(received: _Received, receipt: Receipt, config: Config) -> Receipt:
    payments = _find(received)
    if len(payments) != 1:
        return receipt
    event = WebhookEvent.objects.get(pk=receipt.event_id)
    if event.outcome == Outcome.UNMATCHED:
        apply_notification(payments[0], received.notification, event, config)
    return Receipt(event.pk, Outcome(event.outcome))


def _find(received: _Received) -> list[Payment]:
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


def _ask(received: _Received, names: Mapping[str, str]) -> list[Payment]:
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


def _seen(received: _Received, payments: Sequence[Payment]) -> tuple[int | None, str | None]:
    """The event of an earlier receipt and its outcome."""
    if payments:
        return payments[0].__dict__["seen_id"], payments[0].__dict__["seen_outcome"]
    found = (
        WebhookEvent.objects.filter(merchant__in=received.signers, digest=received.digest)
        .values_list("pk", "outcome")
        .first()
    )
    return found or (None, None)


def _new_event(received: _Received, merchant: str) -> WebhookEvent:
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


def _save(event: WebhookEvent) -> None:
    """Insert a new event, or write the new verdict on one that waited for its payment."""
    if event.is_stored:
        event.save(
            update_fields=("payment", "outcome", "from_status", "to_status", "flag", "error")
        )
    else:
        insert(event)


def _conflict(event: WebhookEvent, payments: Sequence[Payment]) -> None:
    """CIP and transaction code name different payments: apply nothing, show it."""
    codes = " and ".join(sorted(payment.transaction_code for payment in payments))
    by_cip = [payment for payment in payments if payment.cip == event.cip]
    event.payment = (by_cip or list(payments))[0]
    event.outcome = Outcome.MISMATCH
    event.flag = Attention.STATUS_CONFLICT
    event.error = f"CIP and transaction code belong to different payments: {codes}."
    _save(event)
    for payment in payments:
        flag(payment, Attention.STATUS_CONFLICT, event.error, WEBHOOK, event)


def apply_notification(
    payment: Payment, notification: Notification, event: WebhookEvent, config: Config
) -> None:
    """Do to ``payment`` what ``notification`` says and save ``event``, in one transaction.

    ``payment`` was read through ``with_order_state`` in this transaction.
    """
    event.payment = payment
    event.error = ""
    if foreign := _foreign(payment, notification):
        event.outcome, event.flag = Outcome.MISMATCH, Attention.STATUS_CONFLICT
        event.error = foreign
        _save(event)
        flag(payment, Attention.STATUS_CONFLICT, foreign, WEBHOOK, event)
        return
    fact = fact_of(notification)
    decision = decide(state_of(payment), fact)
    if decision.flag and not decision.to:
        if already_flagged(payment, decision.flag, decision.note):
            decision = replace(decision, flag=None, repeated=True, mismatch=False)
    values: dict[str, Any] = {}
    if notification.cip and payment.cip is None and len(notification.cip) <= 14:
        values["cip"] = notification.cip
    if notification.remote_id and not payment.remote_id:
        values["remote_id"] = notification.remote_id
    if values:
        take_unmatched_after_commit(payment)
    options = config.options_of(payment.merchant)
    if decision.to == Status.PAID and options.confirm_with_status_query:
        # Not paid yet: the query has the last word, and the poller asks soon if the
        # queue cannot.
        now = timezone.now()
        values |= {"next_poll_at": now, "checking_since": payment.checking_since or now}
        change(payment, Decision(), fact, values=values)
        event.outcome = Outcome.PENDING
        _save(event)
        owe(payment, [Told("confirmation_due", WEBHOOK.source)], event)
        return
    made = change(payment, decision, fact, values=values)
    event.outcome = _outcome(decision)
    event.from_status, event.to_status = made.from_status if made.to_status else "", made.to_status
    event.flag = decision.flag or ""
    event.error = decision.note
    _save(event)
    tell(payment, made, WEBHOOK, event=event, event_tells=True)


def _foreign(payment: Payment, notification: Notification) -> str:
    """Why the notification does not belong to ``payment`` though it names it, or ``""``."""
    code = notification.transaction_code
    if code and payment.transaction_code != code:
        return f"CIP {payment.cip} belongs to {payment.transaction_code}, not to {code[:64]}."
    for name, here, there in (
        ("CIP", payment.cip, notification.cip),
        ("payment id", payment.remote_id, notification.remote_id),
    ):
        if here and there and here != there:
            return f"{payment.transaction_code} has {name} {here}, not {there[:64]}."
    return ""


def _outcome(decision: Decision) -> Outcome:
    if decision.to is not None:
        return Outcome.APPLIED
    if decision.mismatch:
        return Outcome.MISMATCH
    if decision.repeated:
        return Outcome.DUPLICATE
    return Outcome.IGNORED


def take_unmatched_after_commit(payment: Payment) -> None:
    """Apply the notifications that came for ``payment`` before its CIP was known here.

    They are looked for after the commit that made it known, and ``payment`` is refreshed.
    """
    transaction.on_commit(lambda: _take_unmatched(payment), robust=True)


def _take_unmatched(payment: Payment) -> None:
    config = get_config()
    names = Q(cip=payment.cip) if payment.cip else Q()
    if payment.remote_id:
        names |= Q(remote_id=payment.remote_id)
    waiting = WebhookEvent.objects.filter(
        names, merchant=payment.merchant, outcome=Outcome.UNMATCHED
    )
    events = list(waiting.order_by("pk").values_list("pk", flat=True)) if names else []
    for event_id in events:
        repeated_on_conflict(partial(_take_one, payment, event_id, config))
    if events:
        payment.refresh_from_db()


def _take_one(payment: Payment, event_id: int, config: Config) -> None:
    # Read first: who applied it meanwhile has moved the payment, and this begins again.
    current = read_again(payment)
    event = WebhookEvent.objects.get(pk=event_id)
    if event.outcome == Outcome.UNMATCHED:
        gateway = gateway_class(config.merchant(payment.merchant))
        notification = gateway.parse_notification(bytes(event.body))
        apply_notification(current, notification, event, config)

"""What a notification does to its payment: decided, written, told, and kept as its event."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from django.db.models import Q
from django.utils import timezone

from ..conf import Config, get_config
from ..gateways import Notification, gateway_class
from ..models import Attention, Outcome, Payment, Status, WebhookEvent
from .delivery import Told, owe
from .state_machine import GIVEN_UP, Decision, Fact, decide
from .transactions import repeated_on_conflict
from .transitions import WEBHOOK, already_flagged, change, flag, read_again, state_of, tell
from .writes import AT_ONCE, Writes


def fact_of(notification: Notification) -> Fact:
    """What a notification says, for the state machine."""
    return Fact(
        status=notification.status,
        amount=notification.amount,
        currency=notification.currency,
        operation_number=notification.operation_number,
        paid_at=notification.paid_at,
    )


def apply_notification(
    payment: Payment,
    notification: Notification,
    event: WebhookEvent,
    config: Config,
    writes: Writes = AT_ONCE,
) -> None:
    """Do to ``payment`` what ``notification`` says and save ``event``, in one transaction.

    ``payment`` was read through ``with_order_state`` in this transaction, unless ``writes``
    check what was assumed of the order.
    """
    event.payment = payment
    event.error = ""
    if foreign := _foreign(payment, notification):
        event.outcome, event.flag = Outcome.MISMATCH, Attention.STATUS_CONFLICT
        event.error = foreign
        save_event(event, writes)
        flag(payment, Attention.STATUS_CONFLICT, foreign, WEBHOOK, event, writes=writes)
        return
    fact = fact_of(notification)
    decision = decide(state_of(payment), fact)
    if decision.flag and not decision.to:
        if already_flagged(payment, decision.flag, decision.note):
            decision = replace(decision, flag=None, repeated=True, mismatch=False)
    if payment.is_being_checked and decision.to in GIVEN_UP:
        # It may be older than the notification that says paid, and the query tells.
        decision = Decision(note="It is being checked whether it is paid, and that decides.")
    values: dict[str, Any] = {}
    if notification.cip and payment.cip is None and len(notification.cip) <= 14:
        values["cip"] = notification.cip
    if notification.remote_id and not payment.remote_id:
        values["remote_id"] = notification.remote_id
    if values:
        take_unmatched_after_commit(payment, writes)
    options = config.options_of(payment.merchant)
    if decision.to == Status.PAID and options.confirm_with_status_query:
        # Not paid yet: the query has the last word, and the poller asks soon if the
        # queue cannot.
        now = timezone.now()
        values |= {"next_poll_at": now, "checking_since": payment.checking_since or now}
        change(payment, Decision(), fact, values=values, writes=writes)
        event.outcome = Outcome.PENDING
        save_event(event, writes)
        owe(payment, [Told("confirmation_due", WEBHOOK.source)], event, writes=writes)
        return
    made = change(payment, decision, fact, values=values, writes=writes)
    event.outcome = _outcome(decision)
    event.from_status, event.to_status = made.from_status if made.to_status else "", made.to_status
    event.flag = decision.flag or ""
    event.error = decision.note
    save_event(event, writes)
    tell(payment, made, WEBHOOK, event=event, event_tells=True, writes=writes)


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


def take_unmatched_after_commit(payment: Payment, writes: Writes = AT_ONCE) -> None:
    """Apply the notifications that came for ``payment`` before its CIP was known here.

    They are looked for after the commit that made it known, and ``payment`` is refreshed.
    """
    writes.then(lambda: _take_unmatched(payment))


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


def save_event(event: WebhookEvent, writes: Writes = AT_ONCE) -> None:
    """Insert a new event, or write the new verdict on one that waited for its payment."""
    if event.is_stored:
        event.save(
            update_fields=("payment", "outcome", "from_status", "to_status", "flag", "error")
        )
    else:
        writes.insert([event])

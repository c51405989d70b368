"""Asking PagoEfectivo how payments stand, and applying what it says."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ..conf import get_config
from ..exceptions import PagoEfectivoError, RequestRejected
from ..gateways import CodeRef, RemoteState, RemoteStatus, gateway_for
from ..logs import logger_for
from ..models import Attention, Outcome, Payment, Status, WebhookEvent
from .applying import take_unmatched_after_commit
from .breaker import Breaker
from .exchanges import ExchangeLog
from .pace import Pace
from .polling_schedule import AFTER_DEADLINE, next_poll
from .state_machine import Decision, Fact, decide
from .transactions import repeated_on_conflict
from .transitions import (
    STATUS_QUERY,
    Actor,
    Change,
    already_flagged,
    change,
    flag,
    read_again,
    state_of,
    tell,
)
from .unknown_outcomes import settle_never_made

logger = logger_for("django_pagoefectivo.sync")

#: How long a query may go on saying pending after a notification said paid.
LAG = timedelta(hours=1)


def ref_of(payment: Payment) -> CodeRef:
    """How PagoEfectivo can be asked about ``payment``."""
    return CodeRef(payment.transaction_code, payment.cip or "", payment.remote_id)


def named(payment: Payment) -> str:
    """What PagoEfectivo is asked about, for people."""
    if payment.cip:
        return f"CIP {payment.cip}"
    return f"payment {payment.remote_id or payment.transaction_code}"


def can_sync(payment: Payment) -> bool:
    """Whether PagoEfectivo can be asked about ``payment`` at all.

    Not before it has a CIP, for a contract that knows nothing else, and not if its merchant
    is not configured any more.
    """
    config = get_config()
    try:
        gateway = gateway_for(config.merchant(payment.merchant), config)
    except ImproperlyConfigured:
        return False
    return gateway.can_ask(ref_of(payment))


def sync_payment(payment: Payment) -> Payment:
    """Ask PagoEfectivo about ``payment`` and apply what it says; returns it refreshed.

    A payment without a CIP whose contract cannot be asked otherwise stays as it is.
    Raises ``RequestRejected``, ``AuthenticationFailed`` or ``GatewayUnavailable``; the
    payment is unchanged then.
    """
    ask_about(payment)
    return payment


def ask_about(payment: Payment) -> RemoteStatus | None:
    """``sync_payment``, but returns the status that PagoEfectivo named, ``None`` for none."""
    state: RemoteState | None = None
    config = get_config()
    options = config.options_of(payment.merchant)
    log = ExchangeLog(config)
    gateway = gateway_for(config.merchant(payment.merchant), config, log)
    ref = ref_of(payment)
    if gateway.can_ask(ref):
        try:
            with Breaker(payment.merchant, options.cache).asking():
                # One question that somebody waits for is never held back, but it counts.
                Pace(payment.merchant, options).take()
                (state,) = gateway.states([ref])
        except PagoEfectivoError as error:
            error.payment = payment
            raise
        finally:
            log.store(payment)
        absorb(payment, state)
    payment.refresh_from_db()
    return None if state is None else state.status


def absorb(payment: Payment, state: RemoteState | None, *, expire_overdue: bool = False) -> bool:
    """Apply one answer to ``payment``; whether anything changed. Unchanged costs nothing."""
    now = timezone.now()
    if _says_the_same(payment, state) and not (expire_overdue and _is_over(payment, now)):
        return False
    return repeated_on_conflict(lambda: _absorb(payment, state, expire_overdue))


def refused(stale: Payment, error: RequestRejected) -> bool:
    """Have a person look at a payment that PagoEfectivo refuses to be asked about.

    Returns whether that was new. Nothing else changes: a refusal says nothing about the money.
    """
    return repeated_on_conflict(lambda: _refused(stale, error))


def _refused(stale: Payment, error: RequestRejected) -> bool:
    payment = read_again(stale)
    return payment.status == Status.PENDING and flag(
        payment,
        Attention.STATUS_CONFLICT,
        f"PagoEfectivo refuses to be asked about {named(payment)}: {error}",
        STATUS_QUERY,
    )


def _says_the_same(payment: Payment, state: RemoteState | None) -> bool:
    return (
        state is not None
        and payment.status == Status.PENDING
        and state.status is RemoteStatus.PENDING
        and payment.attention != Attention.STATUS_CONFLICT
        and payment.checking_since is None
        and state.transaction_code in ("", payment.transaction_code)
        and state.expires_at in (None, payment.expires_at)
        and state.amount in (None, payment.amount)
        and state.currency in ("", payment.currency)
    )


def _is_over(payment: Payment, now: datetime) -> bool:
    if payment.is_being_checked:
        # It may be paid: to let it expire would tell the shop to give the goods to others.
        return False
    return payment.status == Status.PENDING and payment.expires_at + AFTER_DEADLINE <= now


def _absorb(stale: Payment, state: RemoteState | None, expire_overdue: bool) -> bool:
    payment = read_again(stale)
    if state is None and payment.status == Status.CREATED:
        return settle_never_made(payment, get_config())
    if state is None:
        missing = payment.status == Status.PENDING and flag(
            payment,
            Attention.STATUS_CONFLICT,
            f"PagoEfectivo does not know {named(payment)}, or it is another service's.",
            STATUS_QUERY,
        )
        return _expire_if_over(payment, expire_overdue) or missing
    if state.transaction_code and state.transaction_code != payment.transaction_code:
        return flag(
            payment,
            Attention.STATUS_CONFLICT,
            f"At PagoEfectivo {named(payment)} belongs to {state.transaction_code[:64]}.",
            STATUS_QUERY,
        )
    if not payment.cip and payment.remote_id and state.remote_id not in ("", payment.remote_id):
        return flag(
            payment,
            Attention.STATUS_CONFLICT,
            f"Asked about {named(payment)}, PagoEfectivo answered about {state.remote_id[:64]}.",
            STATUS_QUERY,
        )
    if state.status is RemoteStatus.UNKNOWN:
        logger.warning(
            "PagoEfectivo says %r about payment %s, which is no status this app knows; "
            "nothing was changed",
            state.status_text,
            payment.pk,
        )
        return False
    if payment.is_being_checked and state.status is not RemoteStatus.PAID:
        return _contradicted(payment, state)
    made, event = apply_state(payment, state, STATUS_QUERY)
    if event is not None and made.to_status:
        settle_waiting(event, made)
    # What PagoEfectivo calls paid waits for a person, if for nothing else.
    over = made.to_status == "" and state.status is not RemoteStatus.PAID
    expired = over and _expire_if_over(payment, expire_overdue)
    return bool(made.to_status or made.decision.flag) or expired


def _contradicted(payment: Payment, state: RemoteState) -> bool:
    """What a query says that does not confirm the notification the payment waits for.

    Whatever it says, the payment stays as it is: somebody signed that it is paid. That
    PagoEfectivo's query still calls it pending is a matter of time, for some time.
    """
    since = payment.checking_since
    lags = since is not None and timezone.now() - since < LAG
    if state.status is RemoteStatus.PENDING and lags:
        return False
    return flag(
        payment,
        Attention.STATUS_CONFLICT,
        f"A notification says that it is paid; asked, PagoEfectivo says {state.status}.",
        STATUS_QUERY,
    )


def apply_state(
    payment: Payment, state: RemoteState, actor: Actor
) -> tuple[Change, WebhookEvent | None]:
    """Apply a remote state to a payment read in this transaction.

    Returns what was written and the notification that waited for this confirmation.
    """
    fact = Fact(
        status=_status_for(payment, state),
        amount=state.amount,
        currency=state.currency,
        operation_number=state.operation_number,
        paid_at=state.paid_at,
        expires_at=state.expires_at,
        asked=True,
        is_over=(state.expires_at or payment.expires_at) <= timezone.now(),
    )
    decision = decide(state_of(payment), fact)
    if decision.flag is not None and decision.to is None:
        if already_flagged(payment, decision.flag, decision.note):
            decision = Decision()
    event = _waiting_event(payment) if decision.to == Status.PAID else None
    values = _learned(payment, state)
    made = change(
        payment,
        decision,
        _with_operation(fact, event),
        values=values,
        voids=_void(payment, state, decision),
    )
    tell(payment, made, actor, event=event, note=state.status_text)
    if values.keys() & {"cip", "remote_id"}:
        take_unmatched_after_commit(payment)
    return made, event


def _with_operation(fact: Fact, event: WebhookEvent | None) -> Fact:
    """The query confirms, but only the notification names the operation."""
    if event is None or fact.operation_number:
        return fact
    return Fact(
        fact.status,
        fact.amount,
        fact.currency,
        event.operation_number,
        fact.paid_at or event.paid_at,
        fact.expires_at,
        asked=True,
    )


def _status_for(payment: Payment, state: RemoteState) -> RemoteStatus:
    """A code that was over before its create call was answered came to nothing."""
    over = (RemoteStatus.EXPIRED, RemoteStatus.CANCELLED)
    if payment.status == Status.CREATED and state.status in over:
        return RemoteStatus.FAILED
    return state.status


def _learned(payment: Payment, state: RemoteState) -> dict[str, Any]:
    """What the answer adds to or corrects in the payment beside its status."""
    values: dict[str, Any] = {}
    if state.expires_at and state.expires_at != payment.expires_at and payment.is_open:
        values["expires_at"] = state.expires_at
        values["next_poll_at"] = next_poll(payment.created_at, state.expires_at, timezone.now())
    if state.cip and payment.cip is None:
        values["cip"] = state.cip[:14]
    if state.cip_url and not payment.cip_url:
        values["cip_url"] = state.cip_url
    if state.remote_id and not payment.remote_id:
        values["remote_id"] = state.remote_id
    return values


def _void(payment: Payment, state: RemoteState, decision: Decision) -> Attention | None:
    """The reason for attention that this answer makes untrue."""
    if decision.repeated or (payment.is_being_checked and decision.to == Status.PAID):
        return Attention.STATUS_CONFLICT
    if payment.status == Status.CREATED and _can_be_paid_or_is_over(payment, state, decision):
        return Attention.OUTCOME_UNKNOWN
    return None


def _can_be_paid_or_is_over(payment: Payment, state: RemoteState, decision: Decision) -> bool:
    """Whether a doubt is settled: a code that nobody can show the shopper settles nothing."""
    if decision.to == Status.PENDING:
        return bool(payment.cip or payment.cip_url or state.cip or state.cip_url)
    return decision.to == Status.FAILED


def _waiting_event(payment: Payment) -> WebhookEvent | None:
    return (
        WebhookEvent.objects.filter(payment=payment, outcome=Outcome.PENDING).order_by("pk").first()
    )


def settle_waiting(event: WebhookEvent, made: Change) -> None:
    """Note on a notification that waited for a query what became of it."""
    WebhookEvent.objects.filter(pk=event.pk).update(
        outcome=Outcome.APPLIED,
        from_status=made.from_status,
        to_status=made.to_status,
        flag=made.decision.flag or "",
    )


def _expire_if_over(payment: Payment, expire_overdue: bool) -> bool:
    if not expire_overdue or not _is_over(payment, timezone.now()):
        return False
    return expire(payment)


def expire(payment: Payment) -> bool:
    """Expire a pending payment read in this transaction whose term is over."""
    fact = Fact(RemoteStatus.EXPIRED)
    decision = decide(state_of(payment), fact)
    made = change(payment, decision, fact)
    tell(payment, made, STATUS_QUERY, note="Its term is over.")
    return bool(made.to_status)

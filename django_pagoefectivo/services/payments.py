"""What a shop does with payments: create, extend, cancel."""

from __future__ import annotations

import dataclasses
import re
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, models, router
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..conf import Config, get_config
from ..exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    InvalidPayment,
    InvalidTransition,
    NotSupported,
    OrderAlreadyOpen,
    OrderAlreadyPaid,
    OutcomeUnknown,
    PagoEfectivoError,
    RequestRejected,
)
from ..gateways import Charge, Customer, Gateway, IssuedCode, RemoteStatus, gateway_for
from ..models import Attention, EntryKind, Payment, Status, TimelineEntry
from ..models.payment import order_key_for
from .addresses import callback_url, return_url
from .applying import take_unmatched_after_commit
from .delivery import Told, owe
from .exchanges import ExchangeLog
from .merchants import chosen_merchant
from .polling_schedule import next_poll
from .state_machine import Decision, Fact, decide
from .sync import ask_about, expire, ref_of, sync_payment
from .transactions import repeated_on_conflict
from .transitions import (
    API,
    Actor,
    attempts_of,
    can_still_be_paid,
    change,
    flag,
    read_again,
    state_of,
    tell,
)
from .unknown_outcomes import is_in_doubt, leave_unknown
from .validation import (
    valid_amount,
    valid_currency,
    valid_customer,
    valid_expiry,
    valid_metadata,
    valid_reference,
    valid_text,
)
from .writes import AT_ONCE, Together, Writes

if TYPE_CHECKING:
    from django.http import HttpRequest

_WAIT_STEP = 0.1
_UNSAFE_IN_CODE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class _Order:
    """One wish to be paid: all that tells whether an open payment is the same."""

    shop: str
    reference: str
    amount: Decimal
    currency: str

    @property
    def key(self) -> str:
        return order_key_for(self.shop, self.reference)


class _TermOver(Exception):
    """The order's open payment is past its term and must be closed first."""

    def __init__(self, payment: Payment) -> None:
        super().__init__()
        self.payment = payment


class _InDoubt(Exception):
    """Nobody knows how the create call of the order's open payment ended: ask."""

    def __init__(self, payment: Payment) -> None:
        super().__init__()
        self.payment = payment


@sensitive_variables()
def create_payment(
    *,
    order_reference: str,
    amount: Decimal | int,
    currency: str = "PEN",
    description: str = "",
    customer: Customer,
    merchant: str | Collection[str] | None = "default",
    order: models.Model | None = None,
    user: Any = None,
    expires_in: timedelta | None = None,
    expires_at: datetime | None = None,
    metadata: dict[str, Any] | None = None,
    request: HttpRequest | None = None,
    supersede: bool = False,
    durable: bool = True,
    token: UUID | None = None,
) -> Payment:
    """Ask PagoEfectivo for a payment code and return the pending payment.

    ``order_reference`` is the shop's own (1 to 64 characters); ``amount``, in the currency's
    major unit (soles or dollars, never cents), a ``Decimal`` or ``int`` above 0 with at most 2
    decimals; ``expires_at`` an aware datetime in the next ten years, else
    ``expires_in`` or the setting ``EXPIRES_IN`` counts from now. ``order`` links any model
    instance, ``user`` the shopper's account, ``request`` tells the shop's own address
    where ``SITE_URL`` is not set. ``metadata`` is a dict that JSON can keep, nested at most 30
    levels deep. ``merchant`` is a merchant's name; ``None`` or several
    names leave it to the currency, which just one of them may take.

    While a payment of the order is open, the same amount and currency return it. If
    another process is just creating it, its answer is waited for; if that takes longer than
    ``TIMEOUT``, or with ``durable=False``, it is returned ``created``, without a code yet. After
    expiry, cancellation, failure or a refund a new payment is made. A caller that must know
    whether it was this call's gives the ``token`` that a new payment shall have.

    Raises, all of them ``PagoEfectivoError``: ``InvalidPayment`` before any call;
    ``OrderAlreadyOpen`` for another amount or currency; ``OrderAlreadyPaid``;
    ``RequestRejected``, ``AuthenticationFailed`` and ``GatewayUnavailable``, with the
    payment ``failed``; ``OutcomeUnknown``, with the payment still ``created``, and again on
    each further call until it is known, unless ``supersede=True`` says that a person chose
    to try again. Raises ``InsideTransaction`` in a transaction unless ``durable=False``, and
    ``MerchantsUnavailable`` while a callable in ``MERCHANTS`` has never given an answer.
    ``ImproperlyConfigured``, which is none of them, says which setting is wrong.
    """
    config = get_config()
    chosen = chosen_merchant(merchant, currency, config)
    options = config.options_of(chosen.name)
    wish = _Order(
        chosen.shop,
        valid_reference(order_reference),
        valid_amount(amount),
        valid_currency(currency, chosen),
    )
    customer = valid_customer(customer)
    payment = Payment(
        merchant=chosen.name,
        order_reference=wish.reference,
        order_key=wish.key,
        open_key=wish.key,
        amount=wish.amount,
        currency=wish.currency,
        description=valid_text("description", description),
        metadata=valid_metadata(metadata),
        expires_at=valid_expiry(expires_at, expires_in, options),
        user=user if getattr(user, "is_authenticated", False) else None,
        transaction_code=_transaction_code(wish.reference),
        **({} if token is None else {"token": token}),
        **_customer_fields(customer),
    )
    if order is not None:
        if order.pk is None:
            raise InvalidPayment("order", "is not saved yet, so nothing can point to it.")
        payment.order_content_type = ContentType.objects.get_for_model(order)
        payment.order_object_id = valid_text("order", str(order.pk), 64)
    log = ExchangeLog(config)
    gateway = gateway_for(chosen, config, log)
    charge = Charge(
        transaction_code=payment.transaction_code,
        amount=payment.amount,
        currency=payment.currency,
        expires_at=payment.expires_at,
        description=payment.description,
        customer=customer,
        callback_url=callback_url(chosen.name, config, request),
        return_url=return_url(payment, config, request),
    )
    gateway.validate(charge)
    existing = _reserve(payment, wish, config, supersede=supersede, durable=durable)
    if existing is not None:
        return existing
    _issue(payment, charge, gateway, log)
    return payment


# -- the row before the call -----------------------------------------------------------------


def _reserve(
    payment: Payment, wish: _Order, config: Config, *, supersede: bool, durable: bool
) -> Payment | None:
    """Commit the payment's row, or return the order's open payment instead."""
    deadline = time.monotonic() + sum(config.options_of(payment.merchant).timeout)
    asked = False
    stays: int | None = None
    while True:
        try:
            existing = repeated_on_conflict(
                partial(
                    _insert_or_find,
                    payment,
                    wish,
                    config,
                    supersede=supersede,
                    asked=asked,
                    stays=stays,
                ),
                durable=durable,
            )
        except _TermOver as over:
            if not _close(over.payment):
                stays = over.payment.pk
            continue
        except _InDoubt as doubt:
            asked = True
            # Without an answer the doubt stays.
            with suppress(PagoEfectivoError):
                sync_payment(doubt.payment)
            continue
        if existing is None or existing.status != Status.CREATED or not durable:
            return existing
        # Another process is making its code right now.
        if time.monotonic() > deadline:
            return existing
        time.sleep(_WAIT_STEP)


def _insert_or_find(
    payment: Payment,
    wish: _Order,
    config: Config,
    *,
    supersede: bool,
    asked: bool,
    stays: int | None,
) -> Payment | None:
    attempts = attempts_of(wish.key)
    for earlier in attempts:
        if earlier.status == Status.PAID:
            raise OrderAlreadyPaid(
                f"Order {wish.reference} is paid (CIP {earlier.cip or 'unknown'}).",
                payment=earlier,
            )
    for earlier in attempts:
        if earlier.open_key is None:
            continue
        if is_in_doubt(earlier, config):
            if not asked:
                raise _InDoubt(earlier)
            leave_unknown(earlier, supersede)
            break
        overdue = earlier.status == Status.PENDING and earlier.expires_at <= timezone.now()
        # One that a notification or a query calls paid is no reason for a second code.
        if overdue and not earlier.is_being_checked and earlier.pk != stays:
            raise _TermOver(earlier)
        if (earlier.amount, earlier.currency) != (wish.amount, wish.currency):
            raise OrderAlreadyOpen(
                f"Order {wish.reference} has an open payment over {earlier.amount} "
                f"{earlier.currency}; {wish.amount} {wish.currency} was asked for. Cancel the "
                "open one first.",
                payment=earlier,
            )
        return earlier
    payment.pk = None
    payment.created_at = payment.updated_at = timezone.now()
    payment.save(force_insert=True)
    owe(payment, [Told("payment_created", API.source)])
    return None


def _close(payment: Payment) -> bool:
    """Make an overdue payment give way: as PagoEfectivo says, else by its term.

    Returns whether it did; it stays if PagoEfectivo calls it paid, with money that does not fit.
    """
    said = None
    # Without an answer its term is over all the same; should it have been paid, the
    # notification says so.
    with suppress(PagoEfectivoError):
        said = ask_about(payment)
    if payment.status == Status.PENDING and said is RemoteStatus.PAID:
        return False
    if payment.status == Status.PENDING and payment.expires_at <= timezone.now():
        repeated_on_conflict(lambda: expire(read_again(payment)))
    return True


def _transaction_code(reference: str) -> str:
    """A unique code that staff recognise in PagoEfectivo's panel: reference and 60 random bits."""
    readable = _UNSAFE_IN_CODE.sub("-", reference)[:23].strip("-")
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    random = "".join(secrets.choice(alphabet) for _ in range(12))
    return f"{readable}-{random}" if readable else random


def _customer_fields(customer: Customer) -> dict[str, Any]:
    values = dataclasses.asdict(customer)
    fields = {f"customer_{name}": value for name, value in values.items()}
    fields["customer_id_in_shop"] = fields.pop("customer_customer_id")
    return fields


# -- the call and its answer -----------------------------------------------------------------


def _issue(payment: Payment, charge: Charge, gateway: Gateway, log: ExchangeLog) -> None:
    """Make the create call and write its answer down; ``payment`` is brought up to date."""
    try:
        issued = gateway.create(charge)
    except (RequestRejected, AuthenticationFailed, GatewayUnavailable) as error:
        error.payment = payment
        repeated_on_conflict(partial(_fail, payment, error, log))
        raise
    except OutcomeUnknown as error:
        error.payment = payment
        repeated_on_conflict(partial(_doubt, payment, str(error), log))
        raise
    if _accept_at_once(payment, issued, log):
        return
    try:
        repeated_on_conflict(lambda: _accept(payment, issued, log))
    except IntegrityError:
        note = (
            f"PagoEfectivo answered with CIP {issued.cip}, which belongs to another payment here."
        )
        repeated_on_conflict(lambda: _doubt(payment, note, log))
        raise OutcomeUnknown(note, payment=payment) from None


def _accept_at_once(payment: Payment, issued: IssuedCode, log: ExchangeLog) -> bool:
    """Write the code down if nobody has touched ``payment`` since it was inserted; whether so."""
    # How its order stands decides about money that comes, and none does here.
    payment.__dict__.update(order_paid=0, others_open=False)
    writes = Together(router.db_for_write(Payment))
    _take_code(payment, issued, writes)
    writes.insert(log.rows(payment))
    if not writes.succeed():
        return False
    log.clear()
    return True


def _accept(payment: Payment, issued: IssuedCode, log: ExchangeLog) -> None:
    current = read_again(payment)
    _take_code(current, issued, AT_ONCE)
    log.store(current)
    payment.__dict__.update(current.__dict__)


def _take_code(payment: Payment, issued: IssuedCode, writes: Writes) -> None:
    fact = Fact(RemoteStatus.PENDING, expires_at=issued.expires_at)
    values: dict[str, Any] = {
        "cip": issued.cip or None,
        "cip_url": issued.cip_url,
        "remote_id": issued.remote_id,
    }
    made = change(
        payment,
        decide(state_of(payment), fact),
        fact,
        values=values,
        voids=Attention.OUTCOME_UNKNOWN,
        writes=writes,
    )
    tell(payment, made, API, writes=writes)
    take_unmatched_after_commit(payment, writes)


def _fail(payment: Payment, error: PagoEfectivoError, log: ExchangeLog) -> None:
    current = read_again(payment)
    fact = Fact(RemoteStatus.FAILED)
    values = {
        "failure_code": (getattr(error, "code", "") or type(error).__name__)[:50],
        "failure_message": str(error),
    }
    made = change(current, decide(state_of(current), fact), fact, values=values)
    tell(current, made, API, note=str(error))
    log.store(current)
    payment.__dict__.update(current.__dict__)


def _doubt(payment: Payment, note: str, log: ExchangeLog) -> None:
    current = read_again(payment)
    if current.status == Status.CREATED:
        flag(current, Attention.OUTCOME_UNKNOWN, note, API)
    log.store(current)
    payment.__dict__.update(current.__dict__)


# -- extend and cancel -----------------------------------------------------------------------


def extend_payment(
    payment: Payment,
    *,
    expires_at: datetime | None = None,
    expires_in: timedelta | None = None,
    actor: Actor = API,
) -> Payment:
    """Move the deadline of a pending payment, or bring an expired one back; returns it.

    ``expires_at`` is an aware datetime; else ``expires_in`` or the setting ``EXPIRES_IN``
    counts from now. Raises ``InvalidPayment`` for a deadline that cannot be, ``NotSupported``,
    ``InvalidTransition`` for another status or when the order is paid or has another open
    payment, and what a call can raise; after ``OutcomeUnknown`` a sync tells how it went.
    """
    config = get_config()
    deadline = valid_expiry(expires_at, expires_in, config.options_of(payment.merchant))
    gateway, log = _gateway_of(payment, config)
    current = read_again(payment)
    if not gateway.can_extend:
        raise NotSupported(
            f"Merchant {payment.merchant}'s contract has no extend.", payment=payment
        )
    _require(current, (Status.PENDING, Status.EXPIRED), "extended")
    if current.status == Status.EXPIRED:
        if current.__dict__["order_paid"]:
            raise InvalidTransition(
                f"Order {current.order_reference} is paid; its expired code stays closed.",
                payment=payment,
            )
        if Payment.objects.filter(open_key=current.order_key).exists():
            raise InvalidTransition(
                f"Order {current.order_reference} has a newer open payment; extend that one.",
                payment=payment,
            )
    with _recorded(payment, log):
        gateway.extend(ref_of(current), deadline)
    repeated_on_conflict(lambda: _extended(payment, deadline, actor))
    payment.refresh_from_db()
    return payment


def _extended(payment: Payment, deadline: datetime, actor: Actor) -> None:
    current = read_again(payment)
    fact = Fact(RemoteStatus.PENDING, expires_at=deadline)
    decision = decide(state_of(current), fact)
    values: dict[str, Any] = {}
    if current.status == Status.PENDING:
        values = {
            "expires_at": deadline,
            "next_poll_at": next_poll(current.created_at, deadline, timezone.now()),
        }
        TimelineEntry.objects.create(
            payment=current,
            kind=EntryKind.CHANGE,
            source=actor.source,
            actor=actor.user,
            actor_name=actor.name,
            note=f"Deadline moved to {deadline.isoformat()}.",
        )
    made = change(current, decision, fact, values=values)
    tell(current, made, actor)


def cancel_payment(payment: Payment, *, actor: Actor = API) -> Payment:
    """Delete a pending payment's code at PagoEfectivo; returns the cancelled payment.

    Raises ``NotSupported``, ``InvalidTransition`` for another status, and what a call can
    raise; after ``OutcomeUnknown`` a sync tells how it went. If the shopper paid at the
    same moment the payment is returned ``paid``.
    """
    gateway, log = _gateway_of(payment, get_config())
    current = read_again(payment)
    if not gateway.can_cancel:
        raise NotSupported(
            f"Merchant {payment.merchant}'s contract has no cancel.", payment=payment
        )
    _require(current, (Status.PENDING,), "cancelled")
    with _recorded(payment, log):
        gateway.cancel(ref_of(current))
    repeated_on_conflict(lambda: _cancelled(payment, actor))
    payment.refresh_from_db()
    return payment


def _cancelled(payment: Payment, actor: Actor) -> None:
    current = read_again(payment)
    fact = Fact(RemoteStatus.CANCELLED)
    decision: Decision = decide(state_of(current), fact)
    made = change(current, decision, fact)
    tell(current, made, actor)


def _require(payment: Payment, statuses: tuple[Status, ...], done: str) -> None:
    has_code = bool(payment.cip or payment.remote_id)
    if payment.status not in statuses or not has_code:
        allowed = " or ".join(statuses)
        raise InvalidTransition(
            f"Payment {payment.transaction_code} is {payment.status}"
            f"{'' if has_code else ' and has no CIP'}; only one that is {allowed} can be "
            f"{done}.",
            payment=payment,
        )


def _gateway_of(payment: Payment, config: Config) -> tuple[Gateway, ExchangeLog]:
    """The gateway of the payment's merchant and the log of what it exchanges."""
    log = ExchangeLog(config)
    return gateway_for(config.merchant(payment.merchant), config, log), log


@contextmanager
def _recorded(payment: Payment, log: ExchangeLog) -> Iterator[None]:
    """Store the exchanges of a call however it ends and link its error to the payment."""
    try:
        yield
    except PagoEfectivoError as error:
        error.payment = payment
        raise
    finally:
        log.store(payment)


def _delete_lagging(payment: Payment) -> None:
    """Delete the code of an expired payment, which PagoEfectivo may not have closed yet."""
    gateway, log = _gateway_of(payment, get_config())
    if gateway.can_cancel:
        # A refusal says that it is closed already.
        with suppress(RequestRejected), _recorded(payment, log):
            gateway.cancel(ref_of(payment))


def cancel_other_codes(*, payment: Payment, **kwargs: Any) -> None:
    """Receiver of ``other_codes_open``: delete the codes of a paid order that are still open.

    Raises what the first failing call raises, after having tried all, so that the durable
    queue tries again.
    """
    failure: PagoEfectivoError | None = None
    others = Payment.objects.filter(can_still_be_paid(), order_key=payment.order_key)
    for other in others.exclude(pk=payment.pk).order_by("pk"):
        try:
            if other.status == Status.PENDING:
                cancel_payment(other)
            else:
                _delete_lagging(other)
        except (NotSupported, InvalidTransition):
            # It cannot be deleted, or it has moved on; should it be paid, it is flagged.
            continue
        except PagoEfectivoError as error:
            failure = failure or error
    if failure is not None:
        raise failure

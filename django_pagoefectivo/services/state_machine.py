"""The payment's life as a pure decision: its state and a fact give what to do.

Nothing here reads or writes anything. What may follow what:

========== ==================================================================
from       to
========== ==================================================================
created    pending, failed, paid (flagged: the create call's outcome was unknown)
pending    paid, expired, cancelled
expired    pending (extended), paid (flagged ``late_payment``)
cancelled  paid (flagged ``late_payment``)
failed     paid (flagged ``late_payment``)
paid       refunded
========== ==================================================================

Anything else changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..gateways import RemoteStatus
from ..models.choices import Attention, Status

LAWFUL: dict[str, frozenset[str]] = {
    Status.CREATED: frozenset({Status.PENDING, Status.FAILED, Status.PAID}),
    Status.PENDING: frozenset({Status.PAID, Status.EXPIRED, Status.CANCELLED}),
    Status.EXPIRED: frozenset({Status.PENDING, Status.PAID}),
    Status.CANCELLED: frozenset({Status.PAID}),
    Status.FAILED: frozenset({Status.PAID}),
    Status.PAID: frozenset({Status.REFUNDED}),
    Status.REFUNDED: frozenset(),
}
_TARGET: dict[RemoteStatus, Status] = {
    RemoteStatus.PENDING: Status.PENDING,
    RemoteStatus.PAID: Status.PAID,
    RemoteStatus.EXPIRED: Status.EXPIRED,
    RemoteStatus.CANCELLED: Status.CANCELLED,
    RemoteStatus.REFUNDED: Status.REFUNDED,
    RemoteStatus.FAILED: Status.FAILED,
}
#: The ends that give an order up; money that comes afterwards is late.
GIVEN_UP = frozenset({Status.EXPIRED, Status.CANCELLED, Status.FAILED})
_WAS_PAID = frozenset({Status.PAID, Status.REFUNDED})
#: What an open code at PagoEfectivo contradicts: here nobody waits for it any more.
_CLOSED_BY_SHOP = frozenset({Status.CANCELLED, Status.FAILED})


@dataclass(frozen=True, slots=True)
class PaymentState:
    """What the decision needs to know of a payment.

    ``order_paid`` says whether another payment of the order is paid.
    """

    status: str
    amount: Decimal
    currency: str
    operation_number: str = ""
    order_paid: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """What somebody trustworthy says about a payment.

    ``amount`` and ``currency`` are compared wherever they are given; without both, nothing
    is paid. ``asked`` tells a status query, which speaks of now, from a notification, which
    speaks of a moment that may be long past. ``is_over`` says that the code's deadline has
    passed all the same.
    """

    status: RemoteStatus
    amount: Decimal | None = None
    currency: str = ""
    operation_number: str = ""
    paid_at: datetime | None = None
    expires_at: datetime | None = None
    asked: bool = False
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do. ``to`` is the new status or ``None``, ``flag`` a reason for a person.

    ``confirms`` says that the order is confirmed by it, ``late`` that the shop had already
    given the payment up, ``repeated`` that the fact was known, ``mismatch`` that it does
    not fit the payment, ``operation_number`` what to add to a paid payment that has none.
    """

    to: Status | None = None
    flag: Attention | None = None
    note: str = ""
    confirms: bool = False
    late: bool = False
    repeated: bool = False
    mismatch: bool = False
    operation_number: str = ""


def decide(state: PaymentState, fact: Fact) -> Decision:
    """What ``fact`` means for a payment in ``state``. Pure; raises nothing."""
    if fact.status is RemoteStatus.UNKNOWN:
        return Decision()
    if fact.status is RemoteStatus.PAID:
        return _paid(state, fact)
    target = _TARGET[fact.status]
    if state.status == target:
        return Decision(repeated=True)
    if target == Status.REFUNDED and state.status == Status.PAID and _differs(state, fact):
        return _mismatch(state, fact, _said(fact), "refunded")
    if target == Status.PENDING and state.status == Status.EXPIRED and fact.is_over:
        # PagoEfectivo closes a code some time after its deadline. Until then it only lags.
        return Decision()
    if target in LAWFUL[state.status]:
        return Decision(to=target)
    return _unlawful(state, fact)


def _paid(state: PaymentState, fact: Fact) -> Decision:
    said = _said(fact)
    if state.status in _WAS_PAID:
        if not fact.operation_number or fact.operation_number == state.operation_number:
            if _differs(state, fact):
                return _mismatch(state, fact, said)
            return Decision(repeated=True)
        if not state.operation_number and not _differs(state, fact):
            return Decision(repeated=True, operation_number=fact.operation_number)
        return Decision(
            flag=Attention.DUPLICATE_PAYMENT,
            repeated=True,
            note=f"Paid once more: {said}; it was paid with operation "
            f"{state.operation_number or 'unknown'} before.",
        )
    if fact.amount is None or not fact.currency:
        return Decision(
            flag=Attention.STATUS_CONFLICT,
            note=f"PagoEfectivo says that it is paid, and of the sum only: {said}.",
            mismatch=True,
        )
    if _differs(state, fact):
        return _mismatch(state, fact, said)
    late = state.status in GIVEN_UP
    if state.order_paid:
        return Decision(
            to=Status.PAID,
            flag=Attention.DUPLICATE_PAYMENT,
            note=f"Paid {said}, though another payment had already paid this order.",
            late=late,
        )
    if late:
        return Decision(
            to=Status.PAID,
            flag=Attention.LATE_PAYMENT,
            note=f"Paid {said} after it was {state.status}.",
            confirms=True,
            late=True,
        )
    if state.status == Status.CREATED:
        return Decision(
            to=Status.PAID,
            flag=Attention.OUTCOME_UNKNOWN,
            note=f"Paid {said} while the outcome of the create call was unknown.",
            confirms=True,
        )
    return Decision(to=Status.PAID, confirms=True)


def _said(fact: Fact) -> str:
    """The sum as a person reads it, the same for ``100`` and ``100.00``.

    What came from outside may be of any length.
    """
    amount = "?" if fact.amount is None else f"{fact.amount.normalize():f}"[:40]
    text = f"{amount} {fact.currency[:10] or '?'}"
    return f"{text} (operation {fact.operation_number})" if fact.operation_number else text


def _differs(state: PaymentState, fact: Fact) -> bool:
    return (fact.amount is not None and fact.amount != state.amount) or (
        bool(fact.currency) and fact.currency != state.currency
    )


def _mismatch(state: PaymentState, fact: Fact, said: str, happened: str = "paid") -> Decision:
    wrong_currency = bool(fact.currency) and fact.currency != state.currency
    return Decision(
        flag=Attention.CURRENCY_MISMATCH if wrong_currency else Attention.AMOUNT_MISMATCH,
        note=f"PagoEfectivo says {said} was {happened}; the payment is over "
        f"{state.amount} {state.currency}.",
        mismatch=True,
    )


def _unlawful(state: PaymentState, fact: Fact) -> Decision:
    """A query that contradicts what the shop holds for certain is for a person to see.

    A paid payment that PagoEfectivo still calls pending only lags behind, and an old
    notification that arrives late contradicts nothing.
    """
    if not fact.asked:
        return Decision()
    contradicts = (
        state.status == Status.PAID
        and fact.status in (RemoteStatus.EXPIRED, RemoteStatus.CANCELLED)
    ) or (state.status in _CLOSED_BY_SHOP and fact.status is RemoteStatus.PENDING)
    if not contradicts:
        return Decision()
    return Decision(
        flag=Attention.STATUS_CONFLICT,
        note=f"PagoEfectivo says {fact.status}; here the payment is {state.status}.",
        mismatch=True,
    )

"""The decision, as the table of the contract says, for every state and every fact."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from django_pagoefectivo.gateways import RemoteStatus
from django_pagoefectivo.models import Attention, Status
from django_pagoefectivo.services.state_machine import Decision, Fact, PaymentState, decide

AMOUNT = Decimal("22.05")

# from → {fact → (to, flag)}; what is not here changes nothing.
TABLE: dict[str, dict[str, tuple[str, str | None]]] = {
    "created": {
        "pending": ("pending", None),
        "failed": ("failed", None),
        "paid": ("paid", "outcome_unknown"),
    },
    "pending": {
        "paid": ("paid", None),
        "expired": ("expired", None),
        "cancelled": ("cancelled", None),
    },
    "expired": {"pending": ("pending", None), "paid": ("paid", "late_payment")},
    "cancelled": {"paid": ("paid", "late_payment")},
    "failed": {"paid": ("paid", "late_payment")},
    "paid": {"refunded": ("refunded", None)},
    "refunded": {},
}


def state(status: str, **changes: Any) -> PaymentState:
    operation = "1" if status in ("paid", "refunded") else ""
    return replace(PaymentState(status, AMOUNT, "PEN", operation), **changes)


def fact(status: str, **changes: Any) -> Fact:
    return replace(Fact(RemoteStatus(status), AMOUNT, "PEN", "1"), **changes)


@pytest.mark.parametrize(
    ("before", "said"), list(product([s.value for s in Status], [r.value for r in RemoteStatus]))
)
def test_every_pair_of_state_and_fact(before: str, said: str) -> None:
    decision = decide(state(before), fact(said))
    to, flag = TABLE[before].get(said, (None, None))
    assert (decision.to, decision.flag) == (to, flag)
    assert decision.confirms == (to == "paid")
    assert decision.late == (to == "paid" and before in ("expired", "cancelled", "failed"))


@pytest.mark.parametrize("before", ["created", "pending", "expired", "cancelled", "failed"])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": Decimal("22.04")}, Attention.AMOUNT_MISMATCH),
        ({"amount": Decimal("22.051")}, Attention.AMOUNT_MISMATCH),
        ({"amount": Decimal(2205)}, Attention.AMOUNT_MISMATCH),
        ({"amount": Decimal(0)}, Attention.AMOUNT_MISMATCH),
        ({"currency": "USD"}, Attention.CURRENCY_MISMATCH),
        ({"currency": "pen"}, Attention.CURRENCY_MISMATCH),
        ({"currency": "USD", "amount": Decimal(1)}, Attention.CURRENCY_MISMATCH),
    ],
)
def test_another_amount_or_currency_confirms_nothing(
    before: str, changes: dict[str, Any], reason: Attention
) -> None:
    decision = decide(state(before), fact("paid", **changes))
    assert (decision.to, decision.flag, decision.confirms) == (None, reason, False)
    assert decision.mismatch


@pytest.mark.parametrize("missing", [{"amount": None}, {"currency": ""}])
@pytest.mark.parametrize("before", ["created", "pending", "expired", "cancelled", "failed"])
def test_paid_without_a_sum_confirms_nothing(before: str, missing: dict[str, Any]) -> None:
    decision = decide(state(before), fact("paid", **missing))
    assert decision.to is None
    assert not decision.confirms


@pytest.mark.parametrize("before", ["created", "pending", "expired", "cancelled", "failed"])
def test_an_order_that_is_paid_is_not_confirmed_again(before: str) -> None:
    decision = decide(state(before, order_paid=True), fact("paid"))
    assert (decision.to, decision.flag) == (Status.PAID, Attention.DUPLICATE_PAYMENT)
    assert not decision.confirms


@pytest.mark.parametrize("before", ["paid", "refunded"])
def test_a_second_operation_number_is_a_second_payment(before: str) -> None:
    decision = decide(state(before), fact("paid", operation_number="2"))
    assert (decision.to, decision.flag) == (None, Attention.DUPLICATE_PAYMENT)


def test_the_operation_number_is_learnt_once_and_then_is_known() -> None:
    decision = decide(state("paid", operation_number=""), fact("paid", operation_number="7"))
    assert decision == Decision(repeated=True, operation_number="7")


@pytest.mark.parametrize("before", [s.value for s in Status])
def test_an_unknown_status_never_decides_anything(before: str) -> None:
    assert decide(state(before), fact("unknown")) == Decision()
    assert decide(state(before), fact("unknown", asked=True)) == Decision()


@pytest.mark.parametrize(
    "changes", [{"amount": Decimal("1.00")}, {"currency": "USD"}], ids=["amount", "currency"]
)
def test_a_refund_over_another_sum_is_not_a_refund_of_the_payment(
    changes: dict[str, Any],
) -> None:
    # "Bind every notification to CIP, merchant, amount and currency before anything changes."
    decision = decide(state("paid"), fact("refunded", **changes))
    assert decision.to is None
    assert decision.flag is not None

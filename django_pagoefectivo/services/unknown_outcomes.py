"""Create calls of which nobody knows how they ended, until PagoEfectivo or a person says so.

Where the contract can be asked by transaction code, they settle themselves: what is there
becomes pending or paid, what is not failed. Elsewhere a notification or a person settles
them.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.utils import timezone

from ..conf import Config, Options
from ..exceptions import OutcomeUnknown
from ..gateways import RemoteStatus
from ..models import Attention, Payment, Status
from .state_machine import Fact, decide
from .transactions import StateChanged, repeated_on_conflict
from .transitions import API, STATUS_QUERY, change, flag, read_again, state_of, tell

#: How long after a create call's last possible answer its outcome counts as unknown.
_SLACK = timedelta(seconds=10)
#: ``failure_code`` of a payment that never came to be at PagoEfectivo.
NEVER_MADE = "never_made"


def longest_create(options: Options) -> timedelta:
    """How long a payment may be ``created`` before the outcome of its call is unknown.

    A token call and, after a refused token, a second pair of calls may go before.
    """
    return timedelta(seconds=6 * sum(options.timeout)) + _SLACK


def is_in_doubt(payment: Payment, config: Config) -> bool:
    """Whether nobody knows how its create call ended, or its answer was lost with the address.

    Flagged so, or its create call must be over and nobody wrote an answer.
    """
    flagged = payment.attention == Attention.OUTCOME_UNKNOWN
    if payment.status == Status.PENDING:
        return flagged and not payment.cip and not payment.cip_url
    return payment.status == Status.CREATED and (flagged or _must_be_over(payment, config))


def leave_unknown(payment: Payment, supersede: bool) -> None:
    """Raise for a payment of unknown outcome, or let it give up the order's open place."""
    if not supersede:
        raise OutcomeUnknown(
            f"It is not known whether PagoEfectivo made a code for order "
            f"{payment.order_reference} (transaction code {payment.transaction_code}). Look it "
            "up in PagoEfectivo's panel or wait for its notification; if a person decides to "
            "try again, pass supersede=True.",
            payment=payment,
        )
    flag(payment, Attention.OUTCOME_UNKNOWN, "The outcome of the create call is unknown.", API)
    released = Payment.objects.filter(
        pk=payment.pk, status=payment.status, open_key=payment.order_key
    ).update(open_key=None)
    if not released:
        raise StateChanged


def flag_unknown_outcomes(config: Config) -> int:
    """Flag the payments whose create call left no answer, its process having died; how many."""
    stale = Payment.objects.filter(
        status=Status.CREATED,
        attention="",
        created_at__lt=timezone.now() - longest_create(config),
    )
    flagged = 0
    for payment in stale.order_by("pk")[:1000]:
        if _must_be_over(payment, config):
            flagged += repeated_on_conflict(partial(_flag_unknown, payment))
    return flagged


def _must_be_over(payment: Payment, config: Config) -> bool:
    longest = longest_create(config.options_of(payment.merchant))
    return payment.created_at < timezone.now() - longest


def _flag_unknown(stale: Payment) -> bool:
    payment = read_again(stale)
    if payment.status != Status.CREATED:
        return False
    return flag(
        payment,
        Attention.OUTCOME_UNKNOWN,
        "The create call was begun, but nothing tells how it ended.",
        API,
    )


def settle_never_made(payment: Payment, config: Config) -> bool:
    """Fail a created payment that PagoEfectivo, asked by its transaction code, does not know.

    Not before its create call must be over, since it may just be on its way. ``payment`` was
    read in this transaction; returns whether it failed.
    """
    if payment.status != Status.CREATED or not _must_be_over(payment, config):
        return False
    fact = Fact(RemoteStatus.FAILED)
    note = (
        f"PagoEfectivo knows no payment with transaction code {payment.transaction_code}: the "
        "create call did not arrive."
    )
    values: dict[str, Any] = {"failure_code": NEVER_MADE, "failure_message": note}
    made = change(
        payment,
        decide(state_of(payment), fact),
        fact,
        values=values,
        voids=Attention.OUTCOME_UNKNOWN,
    )
    tell(payment, made, STATUS_QUERY, note=note)
    return bool(made.to_status)

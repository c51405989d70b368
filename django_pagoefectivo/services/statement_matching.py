"""How the lines of a statement agree with the shop's payments."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ..models import LineState, Payment, StatementLine, Status

#: What people write between the digits of a CIP.
_AS_WRITTEN = re.compile(r"[\s-]")

WAS_PAID = (Status.PAID, Status.REFUNDED)
#: States that wait for a person; a refund does only where it disagrees with the payment.
OPEN_STATES = (
    LineState.AMOUNT_DIFFERS,
    LineState.NOT_PAID_HERE,
    LineState.UNKNOWN,
    LineState.PAID_TWICE,
    LineState.REFUNDED,
    LineState.UNREADABLE,
)
#: Lines that say a payment was paid, however it stands here.
PAYING_STATES = (
    LineState.MATCHED,
    LineState.AMOUNT_DIFFERS,
    LineState.NOT_PAID_HERE,
)


def match(batch: Sequence[StatementLine], merchant: str) -> None:
    """Give each readable line its payment and its state; four statements a batch."""
    readable = [line for line in batch if line.state != LineState.UNREADABLE]
    digests = {line.digest for line in readable}
    known = set(StatementLine.objects.filter(digest__in=digests).values_list("digest", flat=True))
    by_cip = _payments_by("cip", merchant, readable)
    by_code = _payments_by("transaction_code", merchant, readable)
    paying = paying_lines({payment.pk for payment in (*by_cip.values(), *by_code.values())})
    here: set[str] = set()
    for line in readable:
        payment = by_cip.get(line.cip) or by_code.get(line.transaction_code)
        line.payment = payment
        if line.digest in known or line.digest in here:
            line.state = LineState.SEEN_BEFORE
        else:
            line.state, line.problem = compare(line, payment)
            if payment is not None and not line.is_refund and line.state in PAYING_STATES:
                first = paying.setdefault(payment.pk, line)
                line.state, line.problem = beside(line, first)
        here.add(line.digest)


def _payments_by(column: str, merchant: str, lines: Sequence[StatementLine]) -> dict[str, Payment]:
    wanted = {value for line in lines if (value := getattr(line, column))}
    if not wanted:
        return {}
    found = Payment.objects.filter(merchant=merchant, **{f"{column}__in": wanted}).order_by()
    return {getattr(payment, column): payment for payment in found}


def compare(
    line: StatementLine, payment: Payment | None, *, by_hand: bool = False
) -> tuple[LineState, str]:
    """How a readable line and its payment agree, and the sentence if they do not. Pure.

    ``by_hand``: a person says that the line is about the payment, whatever its codes are.
    """
    if payment is None:
        return LineState.UNKNOWN, "No payment has this code."
    if not by_hand and (contradiction := _contradiction(line, payment)):
        return LineState.UNKNOWN, contradiction
    # What was paid counts: staff may have accepted another amount than was asked for.
    amount = payment.amount
    if payment.status in WAS_PAID and payment.paid_amount is not None:
        amount = payment.paid_amount
    if line.amount != amount or (line.currency and line.currency != payment.currency):
        there = f"{line.amount} {line.currency}".strip()
        return LineState.AMOUNT_DIFFERS, f"{there} there, {amount} {payment.currency} here."
    if line.is_refund:
        return LineState.REFUNDED, (
            "" if payment.status == Status.REFUNDED else f"Here it is {payment.status}."
        )
    if payment.status not in WAS_PAID:
        return LineState.NOT_PAID_HERE, f"Here it is {payment.status}."
    return LineState.MATCHED, ""


def _contradiction(line: StatementLine, payment: Payment) -> str:
    """Why ``line`` may be about another payment though one of its codes is this one's, or ``""``.

    Any other CIP is another code that money was paid on, as it is in a notification.
    """
    cip = _AS_WRITTEN.sub("", line.cip)
    if not cip or not payment.cip:
        return ""
    if cip != payment.cip:
        return f"{payment.transaction_code} has CIP {payment.cip} here, not {line.cip}."
    if line.transaction_code and payment.transaction_code != line.transaction_code:
        return f"CIP {line.cip} belongs to {payment.transaction_code} here."
    return ""


def paying_lines(payments: Collection[int]) -> dict[int, StatementLine]:
    """The first line that says so of each of ``payments`` that one says was paid."""
    rows = StatementLine.objects.filter(
        payment__in=payments, state__in=PAYING_STATES, is_refund=False, settled_at__isnull=True
    )
    found: dict[int, StatementLine] = {}
    for line in rows.select_related("statement").order_by("pk"):
        if line.payment_id is not None:
            found.setdefault(line.payment_id, line)
    return found


def beside(line: StatementLine, first: StatementLine) -> tuple[LineState, str]:
    """What ``line`` is where ``first`` already says that its payment was paid. Pure.

    Another operation number is another payment of the same code: money to give back.
    """
    state = LineState(line.state)
    if first is line:
        return state, line.problem
    if line.operation_number and line.operation_number == first.operation_number:
        if state == first.state == LineState.MATCHED:
            return LineState.SEEN_BEFORE, ""
        return state, line.problem
    problem = (
        f"Operation {line.operation_number or '?'}, beside operation "
        f"{first.operation_number or '?'} in {line_name(first)}."
    )
    return LineState.PAID_TWICE, f"{problem} {line.problem}".strip()


def line_name(line: StatementLine) -> str:
    """A line as sentences call it."""
    return f"line {line.number} of {line.statement.file_name}"

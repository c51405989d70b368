"""What a person of the shop's staff does with the lines of a statement, in that person's name.

Each act is a conditional update: where two people settle the same line at once, one wins
and the other gets ``AlreadyDone``, which says who was faster and when. What concerns a
payment stands in its timeline.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils import timezone

from ..exceptions import InvalidTransition
from ..models import (
    LineState,
    Payment,
    Source,
    Statement,
    StatementLine,
    TimelineEntry,
)
from . import staff
from .staff import AlreadyDone, in_lima
from .staff_entries import staff_entry
from .statement_matching import OPEN_STATES, PAYING_STATES, WAS_PAID, beside, compare, paying_lines
from .statements import BATCH
from .transactions import repeated_on_conflict
from .validation import valid_text

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def ask_again(line: StatementLine, *, user: User) -> StatementLine:
    """Ask PagoEfectivo about the payment of ``line`` and compare the two again.

    Raises what ``staff.ask`` raises, ``AlreadyDone`` if the line is put aside, and
    ``InvalidTransition`` if it has no payment.
    """
    seen = _read_again(line)
    if seen.settled_at is not None:
        raise AlreadyDone(_who_settled(seen), payment=seen.payment)
    if seen.payment is None:
        raise InvalidTransition(f"{_name(seen)} has no payment to ask about.")
    payment = staff.ask(seen.payment, user=user)
    # An unknown code that has a payment contradicts it; every other link stands.
    state, problem = compare(seen, payment, by_hand=seen.state != LineState.UNKNOWN)
    if not seen.is_refund and state in PAYING_STATES:
        first = paying_lines([payment.pk]).get(payment.pk)
        if first is not None and first.pk != seen.pk:
            asked = StatementLine(
                operation_number=seen.operation_number, state=state, problem=problem
            )
            state, problem = beside(asked, first)
    _write(seen, payment=payment, state=state, problem=problem)
    line.refresh_from_db()
    return line


def link(
    line: StatementLine,
    payment: Payment,
    *,
    user: User,
    seen: int | None,
    note: str = "",
) -> StatementLine:
    """Say which payment ``line`` is about, and compare the two.

    ``seen`` is the id of the payment that the person saw at the line, if any. Raises
    ``AlreadyDone`` if somebody linked or put it aside meanwhile, and
    ``InvalidTransition`` where it cannot be: another merchant's payment, one that another
    line settles already, a line that agrees or cannot be read.
    """
    text = valid_text("note", note)

    def work() -> None:
        now = _read_again(line)
        if now.payment_id != seen:
            raise _refusal(now)
        _refuse_link(now, payment)
        # Takes the payment's row, so that two lines cannot be linked to it at once.
        Payment.objects.filter(pk=payment.pk).update(updated_at=timezone.now())
        payment.refresh_from_db()
        if not now.is_refund:
            _refuse_twice(now, payment)
        state, problem = compare(now, payment, by_hand=True)
        _write(now, payment=payment, state=state, problem=problem)
        staff_entry(payment, user, f"Linked {_name(now)}. {text}".strip()).save()

    repeated_on_conflict(work)
    line.refresh_from_db()
    return line


def discard(line: StatementLine, *, user: User, comment: str) -> StatementLine:
    """Put ``line`` aside with a comment.

    Raises ``InvalidTransition`` without a comment or if the line agrees by now, and
    ``AlreadyDone`` if somebody put it aside before.
    """
    text = valid_text("comment", comment).strip()
    if not text:
        raise InvalidTransition("Say why the line is put aside.")

    def work() -> None:
        written = StatementLine.objects.filter(
            pk=line.pk, settled_at__isnull=True, state__in=OPEN_STATES
        ).update(comment=text, settled_at=timezone.now(), settled_by=user)
        seen = _read_again(line)
        if not written:
            raise _refusal(seen)
        if seen.payment is not None:
            staff_entry(seen.payment, user, f"Put aside {_name(seen)}: {text}").save()

    repeated_on_conflict(work)
    line.refresh_from_db()
    return line


def reconcile_matched(
    statement: Statement, *, user: User, until: float | None = None
) -> tuple[int, bool]:
    """Mark the payments of all matched lines as reconciled, and say so in their timelines.

    Returns how many were not yet, and whether all lines were gone through: past the
    ``time.monotonic()`` of ``until`` it stops between two thousands, and can be called
    again for the rest.
    """
    done, last = 0, 0
    while True:
        rows = list(
            statement.lines.filter(state=LineState.MATCHED, number__gt=last)
            .order_by("number")
            .values_list("number", "payment_id")[:BATCH]
        )
        if not rows:
            return done, True
        if last and until is not None and time.monotonic() > until:
            return done, False
        last = rows[-1][0]
        payments = {payment for _, payment in rows if payment is not None}
        done += _reconcile(statement, payments, user)


def _reconcile(statement: Statement, payments: set[int], user: User) -> int:
    def work() -> int:
        now = timezone.now()
        chosen = Payment.objects.filter(pk__in=payments)
        written = chosen.filter(status__in=WAS_PAID, reconciled_at__isnull=True).update(
            reconciled_at=now, reconciled_by=user, updated_at=now
        )
        if written:
            # The ones just written and no others: somebody may have been faster with some.
            mine = chosen.filter(reconciled_at=now, reconciled_by=user).order_by("pk")
            note = f"Marked as reconciled: matched in statement {statement.file_name}."
            TimelineEntry.objects.bulk_create(staff_entry(payment, user, note) for payment in mine)
        return written

    return repeated_on_conflict(work)


# -- inside ----------------------------------------------------------------------------------


def _read_again(line: StatementLine) -> StatementLine:
    rows = StatementLine.objects.select_related("statement", "payment", "settled_by")
    return rows.get(pk=line.pk)


def _write(seen: StatementLine, *, payment: Payment, state: LineState, problem: str) -> None:
    """Write the outcome of a comparison, if the line is still as it was ``seen``."""
    same = Q(payment__isnull=True) if seen.payment is None else Q(payment=seen.payment)
    unchanged = StatementLine.objects.filter(
        same, pk=seen.pk, settled_at__isnull=True, state=seen.state
    )
    if not unchanged.update(payment=payment, state=state, problem=problem):
        raise _refusal(_read_again(seen))


def _refuse_link(seen: StatementLine, payment: Payment) -> None:
    if (
        seen.settled_at is not None
        or seen.state not in OPEN_STATES
        or seen.state == LineState.UNREADABLE
    ):
        raise _refusal(seen)
    if payment.merchant != seen.statement.merchant:
        raise InvalidTransition(
            f"The statement is merchant {seen.statement.merchant}'s, the payment "
            f"{payment.merchant}'s.",
            payment=payment,
        )


def _refuse_twice(seen: StatementLine, payment: Payment) -> None:
    others = StatementLine.objects.filter(payment=payment, state=LineState.MATCHED)
    other = others.exclude(pk=seen.pk).select_related("statement").first()
    if other is not None:
        raise InvalidTransition(
            f"{_name(other)} settles {payment.transaction_code} already.", payment=payment
        )


def _refusal(seen: StatementLine) -> InvalidTransition:
    """Why a line cannot be acted on: who was faster, or what it is by now."""
    if seen.settled_at is not None:
        return AlreadyDone(_who_settled(seen), payment=seen.payment)
    if seen.payment is not None:
        entry = TimelineEntry.objects.filter(
            payment=seen.payment,
            source=Source.STAFF,
            note__startswith=f"Linked {_name(seen)}.",
        ).last()
        if entry is not None:
            return AlreadyDone(
                f"{entry.actor_name or 'Somebody'} linked line {seen.number} to "
                f"{seen.payment.transaction_code} on {in_lima(entry.created_at)} (Lima).",
                payment=seen.payment,
            )
    return InvalidTransition(
        f"{_name(seen)} is: {LineState(seen.state).label}. That cannot be done with it.",
        payment=seen.payment,
    )


def _who_settled(seen: StatementLine) -> str:
    by = seen.settled_by.get_username() if seen.settled_by else "Somebody"
    when = f" on {in_lima(seen.settled_at)} (Lima)" if seen.settled_at else ""
    return f"{by} put line {seen.number} aside{when}: {seen.comment}"


def _name(line: StatementLine) -> str:
    return f"Line {line.number} of {line.statement.file_name}"

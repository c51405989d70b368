"""What staff do to many payments: each on its own, counted, failures named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import BulkAct, EntryKind, Payment, Status, TimelineEntry
from . import staff
from .problems import PROBLEMS, sentence

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(slots=True)
class Tally:
    """How many succeeded, and what to say of those that did not.

    ``failures`` are pairs of a payment's id, ``None`` where a sentence is about several,
    and the sentence. ``changed`` counts the payments that an answer moved.
    """

    done: int = 0
    failed: int = 0
    changed: int = 0
    failures: list[tuple[int | None, str]] = field(default_factory=list)

    def fail(self, problem: str, payment: Payment | None = None, count: int = 1) -> None:
        """Count ``count`` failures for one reason."""
        self.failed += count
        self.failures.append((payment.pk if payment else None, problem))

    def add(self, other: Tally) -> None:
        """Count what ``other`` counted."""
        self.done += other.done
        self.failed += other.failed
        self.changed += other.changed
        self.failures += other.failures


Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ManyAct:
    """One act on many payments.

    ``work`` gets at most ``chunk`` payments at a time and never raises what a person can be
    told. ``was_done`` says whether a payment was acted on in that person's name since a
    moment: asked of those whose act may have been cut off before it was noted.
    """

    name: BulkAct
    work: Callable[[Sequence[Payment], Tally, User, Data], None]
    was_done: Callable[[Payment, User, datetime], bool]
    chunk: int = 1


def _each(
    act: Callable[[Payment, User, Data], str],
) -> Callable[[Sequence[Payment], Tally, User, Data], None]:
    """Work that does ``act`` to each payment by itself.

    ``act`` returns ``""``, or why it is no success though nothing failed.
    """

    def work(payments: Sequence[Payment], tally: Tally, user: User, data: Data) -> None:
        for payment in payments:
            try:
                problem = act(payment, user, data)
            except PROBLEMS as error:
                problem = sentence(error)
            if problem:
                tally.fail(problem, payment)
            else:
                tally.done += 1

    return work


def _sync(payments: Sequence[Payment], tally: Tally, user: User, data: Data) -> None:
    chosen = Payment.objects.filter(pk__in=[payment.pk for payment in payments])
    report = staff.ask_many(chosen, user=user, patience=data.get("patience", 0))
    tally.done += report.asked - report.missing
    tally.changed += report.changed
    tally.failed += report.failed
    tally.failures += [(None, problem) for problem in report.errors]
    if report.missing:
        text = ngettext(
            "%d is not known to PagoEfectivo.",
            "%d are not known to PagoEfectivo.",
            report.missing,
        )
        tally.fail(text % report.missing, count=report.missing)
    if report.not_askable:
        text = ngettext(
            "%d has no CIP yet to ask about.",
            "%d have no CIP yet to ask about.",
            report.not_askable,
        )
        tally.fail(text % report.not_askable, count=report.not_askable)
    if report.left:
        text = ngettext(
            "%d was not asked about: POLL_RATE allows no more for the moment.",
            "%d were not asked about: POLL_RATE allows no more for the moment.",
            report.left,
        )
        tally.fail(text % report.left, count=report.left)


def _extend(payment: Payment, user: User, data: Data) -> str:
    staff.extend(payment, user=user, expires_at=data["expires_at"])
    return ""


def _cancel(payment: Payment, user: User, data: Data) -> str:
    staff.cancel(payment, user=user)
    if payment.status == Status.CANCELLED:
        return ""
    return str(_("It is %s by now.") % payment.get_status_display())


def _reconcile(payment: Payment, user: User, data: Data) -> str:
    staff.reconcile(payment, user=user)
    return ""


def _never(payment: Payment, user: User, since: datetime) -> bool:
    """Once more does no harm."""
    return False


def _was_cancelled(payment: Payment, user: User, since: datetime) -> bool:
    return TimelineEntry.objects.filter(
        payment=payment,
        kind=EntryKind.TRANSITION,
        to_status=Status.CANCELLED,
        actor=user,
        created_at__gte=since,
    ).exists()


def _was_reconciled(payment: Payment, user: User, since: datetime) -> bool:
    at = payment.reconciled_at
    return at is not None and at >= since and payment.reconciled_by_id == user.pk


MANY_ACTS: dict[str, ManyAct] = {
    act.name: act
    for act in (
        ManyAct(BulkAct.SYNC, _sync, _never, chunk=50),
        ManyAct(BulkAct.EXTEND, _each(_extend), _never),
        ManyAct(BulkAct.CANCEL, _each(_cancel), _was_cancelled),
        ManyAct(BulkAct.RECONCILE, _each(_reconcile), _was_reconciled),
    )
}

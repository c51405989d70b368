"""Two people and the same thing at the same instant: one wins, the other is told."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from django_pagoefectivo.exceptions import InvalidTransition
from django_pagoefectivo.models import (
    Attention,
    Outcome,
    Payment,
    Statement,
    StatementLine,
    Status,
)
from django_pagoefectivo.services import jobs, staff, statement_acts
from django_pagoefectivo.services.transactions import StateChanged, repeated_on_conflict
from django_pagoefectivo.services.transitions import WEBHOOK, flag, read_again
from django_pagoefectivo.testing import make_payment, notify
from tests.promises.kit import at_once

from .conftest import ROLES, make_event, make_flagged, make_mismatch, notes_of, person

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 8


def pay_twice(payment: Payment) -> None:
    """What a second notification does."""
    repeated_on_conflict(
        lambda: flag(read_again(payment), Attention.DUPLICATE_PAYMENT, "Paid once more.", WEBHOOK)
    )


def winners(results: list[Any]) -> int:
    """How many succeeded; all others were told who was faster."""
    losers = [result for result in results if isinstance(result, Exception)]
    assert all(isinstance(loser, staff.AlreadyDone) for loser in losers), losers
    assert all(str(loser).startswith(("ana ", "ben ", "cid ")) for loser in losers), losers
    return len(results) - len(losers)


@pytest.fixture
def people(monkeypatch: Any) -> list[Any]:
    names = ("ana", "ben", "cid")
    for name in names:
        monkeypatch.setitem(ROLES, name, ())
    return [person(name) for name in names]


def test_settle(people: list[Any]) -> None:
    for _ in range(ROUNDS):
        payment = make_flagged("late_payment", "paid")
        seen = staff.seen_key(payment)
        copies = [Payment.objects.get(pk=payment.pk) for _ in people]
        results = at_once(
            *(
                partial(staff.settle, copy, user=user, note="x", seen=seen)
                for copy, user in zip(copies, people, strict=True)
            )
        )
        assert winners(results) == 1
        assert Counter(kind for kind, _, _ in notes_of(payment)) == {"flag": 1, "settled": 1}


def test_confirm_and_accept(people: list[Any], told: Any) -> None:
    for _ in range(ROUNDS):
        payment, event = make_mismatch()
        told.clear()
        ana, ben, cid = people
        copies = [Payment.objects.get(pk=payment.pk) for _ in people]
        results = at_once(
            partial(staff.confirm, copies[0], user=ana, reason="x"),
            partial(staff.accept_amount, copies[1], user=ben, event=event),
            partial(staff.confirm, copies[2], user=cid, reason="x"),
        )
        assert winners(results) == 1
        assert [t[0] for t in told] == ["payment_confirmed"]


def test_reconcile(people: list[Any]) -> None:
    for _ in range(ROUNDS):
        payment = make_payment("paid")
        copies = [Payment.objects.get(pk=payment.pk) for _ in people]
        results = at_once(
            *(
                partial(staff.reconcile, copy, user=user)
                for copy, user in zip(copies, people, strict=True)
            )
        )
        assert winners(results) == 1
        assert len(notes_of(payment)) == 1


def test_link_to_different_payments(people: list[Any], told: Any) -> None:
    for _ in range(ROUNDS):
        event = make_event()
        payments = [make_payment() for _ in people]
        told.clear()
        results = at_once(
            *(
                partial(staff.link_event, event, payment, user=user)
                for payment, user in zip(payments, people, strict=True)
            )
        )
        assert winners(results) == 1
        statuses = Counter(Payment.objects.get(pk=p.pk).status for p in payments)
        assert statuses == {Status.PAID: 1, Status.PENDING: 2}
        assert [t[0] for t in told] == ["payment_confirmed"]
        event.refresh_from_db()
        assert event.outcome == Outcome.APPLIED


def test_link_and_dismiss(people: list[Any]) -> None:
    for _ in range(ROUNDS):
        event, payment = make_event(), make_payment()
        results = at_once(
            partial(staff.link_event, event, payment, user=people[0]),
            partial(staff.dismiss_event, event, user=people[1], note="x"),
        )
        assert winners(results) == 1


def test_settling_never_hides_what_comes_up_at_the_same_instant(people: list[Any]) -> None:
    for _ in range(ROUNDS):
        payment = make_flagged("late_payment", "paid")
        seen = staff.seen_key(payment)
        result, _ = at_once(
            partial(staff.settle, payment, user=people[0], note="x", seen=seen),
            partial(pay_twice, payment),
        )
        assert isinstance(result, Payment | InvalidTransition), result
        now = Payment.objects.get(pk=payment.pk)
        assert now.attention == Attention.DUPLICATE_PAYMENT


def test_what_was_read_too_early_is_not_cleared(people: list[Any]) -> None:
    payment = make_flagged("late_payment", "paid")
    stale = read_again(payment)
    pay_twice(payment)
    with pytest.raises(StateChanged):
        staff._settle(stale, people[0], "x")
    assert Payment.objects.get(pk=payment.pk).attention == Attention.DUPLICATE_PAYMENT


def test_give_up(people: list[Any]) -> None:
    for _ in range(ROUNDS):
        payment = make_flagged("outcome_unknown", "created")
        copies = [Payment.objects.get(pk=payment.pk) for _ in people]
        results = at_once(
            *(
                partial(staff.give_up, copy, user=user, reason="x")
                for copy, user in zip(copies, people, strict=True)
            )
        )
        assert winners(results) == 1
        assert [kind for kind, _, _ in notes_of(payment)] == ["flag", "settled", "transition"]


def test_giving_up_races_the_notification_that_it_is_paid(people: list[Any], told: Any) -> None:
    """Whoever comes first, the money is seen and the order is confirmed once."""
    for _ in range(ROUNDS):
        payment = make_flagged("outcome_unknown", "created")
        told.clear()
        result, answer = at_once(
            partial(staff.give_up, Payment.objects.get(pk=payment.pk), user=people[0], reason="x"),
            partial(notify, payment),
        )
        assert answer.status_code == 200
        assert isinstance(result, Payment | InvalidTransition), result
        now = Payment.objects.get(pk=payment.pk)
        assert now.status == Status.PAID
        assert [name for name, *_ in told if name == "payment_confirmed"] == ["payment_confirmed"]


def test_one_bulk_job_and_three_workers(people: list[Any]) -> None:
    for _ in range(3):
        payments = [make_payment("paid") for _ in range(5)]
        people[0].is_superuser = True
        people[0].save()
        chosen = Payment.objects.filter(pk__in=[payment.pk for payment in payments])
        job = jobs.make_job("reconcile", chosen, user=people[0])
        results = at_once(*(partial(jobs.run, job.pk) for _ in people))
        assert not [result for result in results if isinstance(result, Exception)], results
        job.refresh_from_db()
        # A worker that is let go while another goes on sees to it in the end.
        assert (job.state, job.done, job.failed) == ("done", 5, 0)
        assert [len(notes_of(payment)) for payment in payments] == [1] * 5


def test_line_linked_and_put_aside(people: list[Any]) -> None:
    for number in range(ROUNDS):
        statement = Statement.objects.create(
            merchant="default", file_name="r.csv", file_digest=f"{number}"
        )
        line = StatementLine.objects.create(
            statement=statement,
            number=2,
            digest=f"{number}",
            cip="1",
            amount=Decimal("22.05"),
            currency="PEN",
            state="unknown",
        )
        payment = make_payment("paid")
        results = at_once(
            partial(statement_acts.link, line, payment, user=people[0], seen=None),
            partial(
                statement_acts.discard,
                StatementLine.objects.get(pk=line.pk),
                user=people[1],
                comment="x",
            ),
        )
        lost = [result for result in results if isinstance(result, Exception)]
        assert len(lost) == 1
        assert isinstance(lost[0], InvalidTransition), lost

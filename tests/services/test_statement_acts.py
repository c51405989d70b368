"""What staff do with a statement's lines: once, in their name, told in the timeline."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection

from django_pagoefectivo.exceptions import InvalidTransition
from django_pagoefectivo.models import (
    LineState,
    Payment,
    Statement,
    StatementLine,
    Status,
    TimelineEntry,
)
from django_pagoefectivo.services import staff, statement_acts, statement_figures
from django_pagoefectivo.services.staff import AlreadyDone

from .test_statements import csv_file, line, load, make

pytestmark = pytest.mark.django_db


@pytest.fixture
def rosa(django_user_model: Any) -> Any:
    return django_user_model.objects.create_user("rosa")


@pytest.fixture
def luis(django_user_model: Any) -> Any:
    return django_user_model.objects.create_user("luis")


def only(statement: Statement) -> StatementLine:
    return statement.lines.get()


def told(payment: Payment) -> list[tuple[str, str, str]]:
    rows = TimelineEntry.objects.filter(payment=payment)
    return list(rows.values_list("kind", "actor_name", "note"))


def test_a_link_by_hand_compares_and_is_told(rosa: Any) -> None:
    payment = make(9)
    found = only(load(csv_file(line(4))))
    statement_acts.link(found, payment, user=rosa, seen=None, note="By the voucher.")
    assert (found.state, found.payment, found.problem) == (LineState.MATCHED, payment, "")
    note = "Linked Line 2 of report.csv. By the voucher."
    assert told(payment) == [("change", "rosa", note)]


def test_a_link_to_a_payment_over_another_amount_goes_on_waiting(rosa: Any) -> None:
    found = only(load(csv_file(line(4, amount="20.00"))))
    statement_acts.link(found, make(9), user=rosa, seen=None)
    assert found.state == LineState.AMOUNT_DIFFERS
    assert list(statement_figures.waiting(StatementLine.objects.all())) == [found]


def test_a_line_whose_codes_contradict_can_be_linked_by_hand(rosa: Any) -> None:
    payment = make(1)
    file = csv_file("1001;OTHER;22.05", headings="CIP;Codigo de transaccion;Monto")
    found = only(load(file))
    assert (found.state, found.payment) == (LineState.UNKNOWN, payment)
    statement_acts.link(found, payment, user=rosa, seen=payment.pk)
    assert found.state == LineState.MATCHED


def test_of_two_who_link_the_second_is_told_who_did(rosa: Any, luis: Any) -> None:
    right, wrong = make(9), make(8)
    found = only(load(csv_file(line(4, amount="20.00"))))
    stale = only(found.statement)
    statement_acts.link(found, right, user=rosa, seen=None)
    with pytest.raises(AlreadyDone, match=r"rosa linked line 2 to R-CODE-9 on .* \(Lima\)"):
        statement_acts.link(stale, wrong, user=luis, seen=None)
    found.refresh_from_db()
    assert found.payment == right
    assert told(wrong) == []


def test_a_payment_that_another_line_settles_is_refused(rosa: Any) -> None:
    payment = make(1)
    statement = load(csv_file(line(1), line(4)))
    stray = statement.lines.get(state=LineState.UNKNOWN)
    with pytest.raises(InvalidTransition, match=r"Line 2 of report.csv settles R-CODE-1 already"):
        statement_acts.link(stray, payment, user=rosa, seen=None)
    stray.refresh_from_db()
    assert stray.payment is None


def test_another_merchants_payment_is_refused(rosa: Any) -> None:
    found = only(load(csv_file(line(4))))
    with pytest.raises(InvalidTransition, match="merchant default's, the payment usd's"):
        statement_acts.link(found, make(9, merchant="usd"), user=rosa, seen=None)


@pytest.mark.parametrize("text", [line(1), line(1, amount="twenty")])
def test_a_line_that_agrees_or_cannot_be_read_is_not_linked(rosa: Any, text: str) -> None:
    payment, other = make(1), make(9)
    found = only(load(csv_file(text)))
    seen = found.payment_id
    with pytest.raises(InvalidTransition, match="Line 2 of"):
        statement_acts.link(found, other, user=rosa, seen=seen)
    assert told(payment) == told(other) == []


def test_a_discard_keeps_who_when_and_why_and_is_told(rosa: Any, luis: Any) -> None:
    payment = make(1)
    found = only(load(csv_file(line(1, amount="20.00"))))
    statement_acts.discard(found, user=rosa, comment=" A test payment. ")
    assert (found.comment, found.settled_by) == ("A test payment.", rosa)
    assert told(payment) == [("change", "rosa", "Put aside Line 2 of report.csv: A test payment.")]
    with pytest.raises(AlreadyDone, match=r"rosa put line 2 aside on .* \(Lima\): A test"):
        statement_acts.discard(found, user=luis, comment="Me too.")
    found.refresh_from_db()
    assert found.settled_by == rosa
    assert len(told(payment)) == 1


def test_a_discard_needs_a_comment_and_something_to_put_aside(rosa: Any) -> None:
    make(1)
    statement = load(csv_file(line(1), line(4)))
    matched, stray = statement.lines.order_by("number")
    with pytest.raises(InvalidTransition, match="Say why"):
        statement_acts.discard(stray, user=rosa, comment=" ")
    with pytest.raises(InvalidTransition, match="is: matched"):
        statement_acts.discard(matched, user=rosa, comment="No.")
    assert not StatementLine.objects.filter(settled_at__isnull=False).exists()


def test_asking_again_compares_with_what_the_payment_became(
    rosa: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = make(3, Status.PENDING)
    found = only(load(csv_file(line(3))))
    assert found.state == LineState.NOT_PAID_HERE

    def ask(asked: Payment, *, user: Any) -> Payment:
        Payment.objects.filter(pk=asked.pk).update(status=Status.PAID)
        asked.refresh_from_db()
        return asked

    monkeypatch.setattr(staff, "ask", ask)
    assert statement_acts.ask_again(found, user=rosa).state == LineState.MATCHED
    assert found.payment == payment


def test_a_line_put_aside_or_without_a_payment_is_not_asked_about(
    rosa: Any, luis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(3, Status.PENDING)
    monkeypatch.delattr(staff, "ask")
    statement = load(csv_file(line(3), line(4)))
    aside, stray = statement.lines.order_by("number")
    statement_acts.discard(aside, user=rosa, comment="Refunded by hand.")
    with pytest.raises(AlreadyDone, match="rosa put line 2 aside"):
        statement_acts.ask_again(aside, user=luis)
    with pytest.raises(InvalidTransition, match="no payment to ask about"):
        statement_acts.ask_again(stray, user=luis)


def test_put_aside_while_pagoefectivo_is_asked(
    rosa: Any, luis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(3, Status.PENDING)
    found = only(load(csv_file(line(3))))

    def ask(asked: Payment, *, user: Any) -> Payment:
        statement_acts.discard(only(found.statement), user=rosa, comment="Known.")
        Payment.objects.filter(pk=asked.pk).update(status=Status.PAID)
        asked.refresh_from_db()
        return asked

    monkeypatch.setattr(staff, "ask", ask)
    with pytest.raises(AlreadyDone, match="rosa put line 2 aside"):
        statement_acts.ask_again(found, user=luis)
    found.refresh_from_db()
    assert (found.state, found.settled_by) == (LineState.NOT_PAID_HERE, rosa)


def test_all_matched_are_reconciled_once_and_told(rosa: Any, luis: Any) -> None:
    first, second, earlier = make(1), make(2), make(5)
    refunded = make(6)
    statement = load(csv_file(line(1), line(2), line(5), line(6), line(3)))
    Payment.objects.filter(pk=refunded.pk).update(status=Status.CANCELLED)
    staff.reconcile(earlier, user=luis)
    assert statement_acts.reconcile_matched(statement, user=rosa) == (2, True)
    assert statement_acts.reconcile_matched(statement, user=luis) == (0, True)
    for payment in (first, second):
        payment.refresh_from_db()
        assert payment.reconciled_by == rosa
        note = "Marked as reconciled: matched in statement report.csv."
        assert told(payment) == [("change", "rosa", note)]
    earlier.refresh_from_db()
    refunded.refresh_from_db()
    assert earlier.reconciled_by == luis
    assert len(told(earlier)) == 1
    assert refunded.reconciled_at is None


def test_reconciling_stops_in_time_and_goes_on_later(
    rosa: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_acts, "BATCH", 2)
    for number in range(1, 6):
        make(number)
    statement = load(csv_file(*(line(number) for number in range(1, 6))))
    assert statement_acts.reconcile_matched(statement, user=rosa, until=time.monotonic()) == (
        2,
        False,
    )
    assert statement_acts.reconcile_matched(statement, user=rosa) == (3, True)
    assert TimelineEntry.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_of_many_who_put_a_line_aside_at_once_one_wins(django_user_model: Any) -> None:
    payment = make(1)
    found = only(load(csv_file(line(1, amount="20.00"))))
    people = [django_user_model.objects.create_user(f"person-{n}") for n in range(6)]
    barrier = threading.Barrier(len(people))
    won: list[str] = []
    lost: list[str] = []

    def settle(user: Any) -> None:
        try:
            mine = StatementLine.objects.get(pk=found.pk)
            barrier.wait()
            statement_acts.discard(mine, user=user, comment=f"By {user}.")
            won.append(user.username)
        except AlreadyDone as error:
            lost.append(str(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=settle, args=(user,)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == len(people) - 1
    assert all(sentence.startswith(f"{won[0]} put line 2 aside on ") for sentence in lost)
    found.refresh_from_db()
    assert found.settled_by is not None
    assert found.settled_by.get_username() == won[0]
    assert len(told(payment)) == 1


def test_asking_again_keeps_what_was_paid_twice(rosa: Any, monkeypatch: Any) -> None:
    payment = make(1)
    second = load(csv_file(line(1), line(1, operation="777"))).lines.get(number=3)
    monkeypatch.setattr(staff, "ask", lambda payment, **_: payment)
    statement_acts.ask_again(second, user=rosa)
    assert second.state == LineState.PAID_TWICE
    statement_acts.discard(second, user=rosa, comment="Given back.")
    payment.refresh_from_db()
    assert any(note.startswith("Put aside Line 3") for _, _, note in told(payment))

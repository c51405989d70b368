"""What staff do with a statement: by right, by POST, once, in their name."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from django_pagoefectivo.admin import statements
from django_pagoefectivo.admin.statement_lines import LINE_ACTS
from django_pagoefectivo.models import (
    LineState,
    Payment,
    Statement,
    StatementLine,
    TimelineEntry,
)
from django_pagoefectivo.services import statement_acts
from tests.admin.conftest import Pago
from tests.promises.kit import stored_payments

from .conftest import LINE_URL, URL, line, load, paid, pending, person, said

pytestmark = pytest.mark.django_db(transaction=True)

ACTS = [act.name for act in LINE_ACTS]
# What each role may do; everything else must be refused. Written out, not derived.
ALLOWED = {
    "viewer": set(),
    "auditor": set(),
    "outsider": set(),
    "blind": set(),
    "seller": set(),
    "clerk": {"ask", "link", "discard", "reconcile"},
}


def url(found: StatementLine, act: str) -> str:
    return f"{LINE_URL}{found.pk}/act/{act}/"


def told(payment: Payment) -> list[tuple[str, str]]:
    rows = TimelineEntry.objects.filter(payment=payment, source="staff")
    return list(rows.values_list("actor_name", "note"))


def everything() -> tuple[Any, ...]:
    return list(StatementLine.objects.order_by("pk").values()), stored_payments()


def only(statement: Statement) -> StatementLine:
    return statement.lines.get()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("role", ALLOWED)
def test_each_act_by_role(as_role: Any, pago: Pago, act: str, role: str) -> None:
    payment, other = pending(1), paid(2, amount="22.05")
    pago.knows(payment, status=23)
    found = only(load(line(1)))
    before = everything()
    client = as_role(role)
    data = {"note": "By the voucher.", "payment": other.transaction_code, "seen": payment.pk}
    if act in ALLOWED[role]:
        assert client.get(url(found, act)).status_code == 200
        assert everything() == before
        answer = client.post(f"{url(found, act)}?tab=unknown&after=7", data)
        assert answer.status_code == 302, answer.context["form"].errors
        assert answer["Location"] == f"{URL}{found.statement_id}/change/?tab=unknown&after=7"
        entry = LogEntry.objects.get()
        assert entry.user.get_username() == role
        assert said(answer)[0] in entry.change_message
        assert role in {name for name, _ in told(other if act == "link" else payment)}
        return
    assert client.get(url(found, act)).status_code == 403
    assert client.post(url(found, act), data).status_code == 403
    assert everything() == before
    assert not LogEntry.objects.exists()
    assert not TimelineEntry.objects.exists()
    assert not pago.calls


@pytest.mark.parametrize("role", ALLOWED)
def test_reconciling_by_role(as_role: Any, role: str) -> None:
    payment = paid(1)
    statement = load(line(1))
    client = as_role(role)
    path = f"{URL}{statement.pk}/reconcile/"
    shown = client.get(f"{URL}{statement.pk}/change/").content.decode()
    if "reconcile" in ALLOWED[role]:
        assert path in shown
        assert "1 line agrees with its payment" in client.get(path).content.decode()
        assert not told(payment)
        answer = client.post(path)
        assert answer["Location"] == f"{URL}{statement.pk}/change/"
        assert said(answer) == ["1 payment is marked as reconciled."]
        payment.refresh_from_db()
        assert payment.reconciled_by == person(role)
        note = "Marked as reconciled: matched in statement report.csv."
        assert told(payment) == [(role, note)]
        assert LogEntry.objects.get().user.get_username() == role
        return
    assert path not in shown
    assert client.get(path).status_code == 403
    assert client.post(path).status_code == 403
    payment.refresh_from_db()
    assert payment.reconciled_at is None
    assert not LogEntry.objects.exists()


def test_acts_need_a_login_and_a_csrf_token(as_role: Any, client: Any, pago: Pago) -> None:
    pending(1)
    paid(2)
    found = only(load(line(1)))
    before = everything()
    paths = [*(url(found, act) for act in ACTS), f"{URL}{found.statement_id}/reconcile/"]
    clerk = as_role("clerk")
    clerk.handler.enforce_csrf_checks = True
    for path in paths:
        assert "login" in client.post(path, {"note": "x"})["Location"]
        assert clerk.post(path, {"note": "x"}).status_code == 403
    assert everything() == before
    assert not pago.calls


def test_buttons_by_right_and_by_what_makes_sense(as_role: Any) -> None:
    pending(1)
    paid(2)
    statement = load(line(1), line(2), line(3), line(4, amount="x"))
    path = f"{URL}{statement.pk}/change/?tab=all"

    def offered(role: str) -> list[list[str]]:
        rows = as_role(role).get(path).context["page"].rows
        return [[each.act.name for each in row.acts] for row in rows]

    assert offered("clerk") == [["ask", "link", "discard"], [], ["link", "discard"], ["discard"]]
    assert offered("viewer") == [[], [], [], []]


def test_asking_pagoefectivo_makes_the_line_match(as_role: Any, pago: Pago) -> None:
    payment = pending(1)
    pago.knows(payment, status=23)
    found = only(load(line(1)))
    assert found.state == LineState.NOT_PAID_HERE
    answer = as_role("clerk").post(url(found, "ask"))
    assert said(answer) == ["PagoEfectivo was asked; line 2 is now: matched."]
    found.refresh_from_db()
    payment.refresh_from_db()
    assert (found.state, payment.status) == (LineState.MATCHED, "paid")


def test_asking_while_pagoefectivo_is_down_says_so(as_role: Any, pago: Pago) -> None:
    payment = pending(1)
    pago.knows(payment)
    pago.broken = True
    found = only(load(line(1)))
    answer = as_role("clerk").post(url(found, "ask"))
    assert answer.status_code == 302
    assert said(answer)
    found.refresh_from_db()
    assert found.state == LineState.NOT_PAID_HERE


@pytest.mark.parametrize("by", ["cip", "transaction_code", "order_reference"])
def test_linking_by_each_code(as_role: Any, by: str) -> None:
    payment = paid(9)
    found = only(load(line(4)))
    data = {"payment": getattr(payment, by), "note": "By the voucher."}
    answer = as_role("clerk").post(url(found, "link"), data)
    assert said(answer) == [f"Line 2 is linked to {payment}, and is now: matched."]
    found.refresh_from_db()
    assert (found.payment, found.state) == (payment, LineState.MATCHED)
    assert told(payment) == [("clerk", "Linked Line 2 of report.csv. By the voucher.")]


def test_linking_to_nothing_known_is_said_on_the_form(as_role: Any) -> None:
    found = only(load(line(4)))
    answer = as_role("clerk").post(url(found, "link"), {"payment": "nobody"})
    assert answer.context["form"].errors["payment"] == [
        "No payment of this merchant is known by that."
    ]


def test_likely_payments_are_offered_for_an_unknown_code(as_role: Any, settings: Any) -> None:
    likely = paid(9, created_at=paid(8).paid_at)
    paid(10, created_at=likely.created_at, amount="30.00")
    settled = paid(11, created_at=likely.created_at)
    load(line(11), name="earlier.csv")
    statement = load(line(4))
    found = only(statement)
    client = as_role("clerk")
    candidates = client.get(url(found, "link")).context["candidates"]
    assert likely.transaction_code in [each["value"] for each in candidates]
    assert settled.transaction_code not in [each["value"] for each in candidates]
    answer = client.post(url(found, "link"), {"payment": candidates[0]["value"]})
    assert "is now: matched" in said(answer)[0]


def test_of_two_who_link_the_second_is_told_who_did(as_role: Any) -> None:
    right, wrong = paid(9), paid(8)
    found = only(load(line(4, amount="20,00")))
    client = as_role("clerk")
    seen = client.get(url(found, "link")).context["form"]["seen"].value() or ""
    statement_acts.link(found, right, user=person("viewer"), seen=None)
    data = {"payment": wrong.transaction_code, "seen": seen}
    answer = client.post(url(found, "link"), data)
    assert said(answer)[0].startswith(f"viewer linked line 2 to {right.transaction_code} on 20")
    found.refresh_from_db()
    assert found.payment == right


def test_a_discard_needs_a_comment(as_role: Any) -> None:
    found = only(load(line(4)))
    answer = as_role("clerk").post(url(found, "discard"), {"note": " "})
    assert answer.context["form"].errors["note"]
    found.refresh_from_db()
    assert found.settled_at is None


def test_the_second_to_put_aside_is_told_who_did_and_when(as_role: Any) -> None:
    found = only(load(line(4)))
    statement_acts.discard(found, user=person("viewer"), comment="A test of theirs.")
    answer = as_role("clerk").post(url(found, "discard"), {"note": "Mine."})
    sentence = said(answer)[0]
    assert sentence.startswith("viewer put line 2 aside on 20")
    assert sentence.endswith("(Lima): A test of theirs.")
    found.refresh_from_db()
    assert (found.comment, found.settled_by) == ("A test of theirs.", person("viewer"))


def test_of_five_clicks_at_once_one_puts_the_line_aside(as_role: Any) -> None:
    payment = paid(1)
    found = only(load(line(1, amount="20,00")))
    clients = [as_role("clerk") for _ in range(5)]
    barrier = threading.Barrier(len(clients))
    sentences: list[str] = []

    def click(client: Any, number: int) -> None:
        try:
            barrier.wait()
            answer = client.post(url(found, "discard"), {"note": f"Click {number}."})
            sentences.extend(said(answer))
        finally:
            connection.close()

    threads = [
        threading.Thread(target=click, args=(client, number))
        for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sentence.split(" on ")[0] for sentence in sentences) == [
        "Line 2 is put aside.",
        *["clerk put line 2 aside"] * 4,
    ]
    assert len(told(payment)) == 1


def test_reconciling_again_says_that_it_was_done(as_role: Any) -> None:
    paid(1)
    statement = load(line(1))
    client = as_role("clerk")
    client.post(f"{URL}{statement.pk}/reconcile/")
    answer = client.post(f"{URL}{statement.pk}/reconcile/")
    assert said(answer)[-1] == "All matched payments were reconciled already."


def test_reconciling_a_lot_goes_on_where_it_stopped(
    as_role: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "SECONDS", -1.0)
    monkeypatch.setattr(statement_acts, "BATCH", 2)
    for number in range(1, 4):
        paid(number)
    statement = load(*(line(number) for number in range(1, 4)))
    client = as_role("clerk")
    path = f"{URL}{statement.pk}/reconcile/"
    answer = client.post(path)
    assert answer["Location"] == path
    assert said(answer)[-1] == "Some are left, as this took long. Go on with them below."
    assert Payment.objects.filter(reconciled_at__isnull=False).count() == 2
    monkeypatch.setattr(statements, "SECONDS", 20.0)
    client.post(path)
    assert Payment.objects.filter(reconciled_at__isnull=False).count() == 3


def test_the_page_of_a_line_shows_it_with_its_acts(as_role: Any) -> None:
    pending(1)
    found = only(load(line(1)))
    html = as_role("clerk").get(f"{LINE_URL}{found.pk}/change/").content.decode()
    assert "Here it is pending." in html
    assert "<h2>report.csv, line 2</h2>" in html
    assert url(found, "discard") in html
    assert url(found, "discard") not in (
        as_role("viewer").get(f"{LINE_URL}{found.pk}/change/").content.decode()
    )

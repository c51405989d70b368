"""What the list does to many payments: each on its own, counted, named and logged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection
from django.utils import timezone

from django_pagoefectivo.admin import bulk
from django_pagoefectivo.gateways.wire import LIMA
from django_pagoefectivo.models import ApiExchange, Payment, Status
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import stored_payments

from .conftest import EMAIL, Pago, notes_of

URL = "/admin/pagoefectivo/payment/"
ACTIONS = ("sync_payments", "extend_payments", "cancel_payments", "mark_reconciled")
pytestmark = pytest.mark.django_db


def choose(client: Any, action: str, *payments: Payment, **more: Any) -> Any:
    """What the list's form posts."""
    data = {"action": action, "_selected_action": [p.pk for p in payments], "index": "0"}
    return client.post(URL, data | {"select_across": "0"} | more)


def confirm(client: Any, asked: Any, **fields: str) -> Any:
    """What the confirmation page posts."""
    context = asked.context
    data = {
        "action": context["bulk"].action,
        "_selected_action": context["first"],
        "pks": context["pks"],
        "confirmed": "yes",
    }
    return client.post(URL, data | fields)


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def lima_input(moment: Any) -> str:
    return f"{moment.astimezone(LIMA):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", ["viewer", "privy", "outsider", "blind"])
def test_without_the_right_an_action_does_nothing(
    as_role: Any, pago: Pago, action: str, role: str
) -> None:
    payment = make_payment("paid" if action == "mark_reconciled" else "pending")
    pago.knows(payment)
    before = stored_payments()
    client = as_role(role)
    choose(client, action, payment)
    deadline = lima_input(timezone.now() + timedelta(days=2))
    data = {"action": action, "_selected_action": payment.pk, "pks": str(payment.pk)}
    client.post(URL, data | {"confirmed": "yes", "expires_at": deadline})
    assert stored_payments() == before
    assert not pago.calls
    assert not notes_of(payment)
    assert not LogEntry.objects.exists()
    if role == "viewer":
        assert action.encode() not in client.get(URL).content


def test_an_action_checks_csrf(as_role: Any, pago: Pago) -> None:
    client = as_role("clerk")
    client.handler.enforce_csrf_checks = True
    assert choose(client, "sync_payments", make_payment()).status_code == 403
    assert not pago.calls


def test_cancel_asks_first_and_says_how_many(as_role: Any, pago: Pago, told: Any) -> None:
    payments = [make_payment(), make_payment()]
    other = make_payment()
    for payment in (*payments, other):
        pago.knows(payment)
    client = as_role("clerk")
    asked = choose(client, "cancel_payments", *payments)
    assert asked.status_code == 200
    assert b"Cancel 2 payments?" in asked.content
    assert payments[0].order_reference.encode() in asked.content
    assert not pago.calls

    answer = confirm(client, asked)
    assert answer.status_code == 302
    assert said(answer) == ["2 payments were cancelled."]
    assert pago.of("DELETE") == 2
    for payment in payments:
        payment.refresh_from_db()
        assert payment.status == Status.CANCELLED
        assert notes_of(payment) == [("transition", "clerk", "")]
    other.refresh_from_db()
    assert other.status == Status.PENDING
    assert sorted(t[:3] for t in told) == sorted(
        ("payment_cancelled", p.pk, "staff") for p in payments
    )
    log = LogEntry.objects.values_list("user__username", "object_id", "change_message")
    assert set(log) == {("clerk", str(p.pk), "Cancelled") for p in payments}


def test_a_setting_that_is_wrong_is_a_sentence_and_nobody_was_asked(
    as_role: Any, pago: Pago, settings: Any
) -> None:
    payment = make_payment()
    pago.knows(payment)
    settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "SEARCH_BATCH_SIZE": 0}
    (failure,) = said(choose(as_role("clerk"), "sync_payments", payment))
    assert "1 payment was not done." in failure
    assert "SEARCH_BATCH_SIZE" in failure
    assert not pago.calls
    assert not notes_of(payment)


def test_each_row_is_on_its_own_and_failures_are_named(as_role: Any, pago: Pago) -> None:
    good, paid, unknown_there = make_payment(), make_payment("paid"), make_payment()
    lost = make_payment(merchant="gone")
    pago.knows(good)
    client = as_role("clerk")
    answer = confirm(client, choose(client, "cancel_payments", good, paid, unknown_there, lost))
    done, failed = said(answer)
    assert done == "1 payment was cancelled."
    assert failed.startswith("3 payments were not done.")
    assert f"{paid}: Payment {paid.transaction_code} is paid" in failed
    assert f"{unknown_there}: PagoEfectivo refused the cancel call" in failed
    assert f'{lost}: There is no merchant "gone"' in failed
    good.refresh_from_db()
    assert good.status == Status.CANCELLED
    assert LogEntry.objects.count() == 4
    assert "is paid" in LogEntry.objects.get(object_id=paid.pk).change_message


def test_a_gateway_that_is_away_is_a_sentence(as_role: Any, pago: Pago) -> None:
    payment = make_payment()
    pago.broken = True
    client = as_role("clerk")
    for action in ("sync_payments", "cancel_payments"):
        answer = choose(client, action, payment)
        if answer.status_code == 200:
            answer = confirm(client, answer)
        assert "PagoEfectivo" in said(answer)[-1], action
    payment.refresh_from_db()
    assert payment.status == Status.PENDING


def test_extend_moves_the_deadline_in_lima_time(as_role: Any, pago: Pago) -> None:
    payment, expired = make_payment(), make_payment("expired")
    for each in (payment, expired):
        pago.knows(each)
    client = as_role("clerk")
    asked = choose(client, "extend_payments", payment, expired)
    assert b"Move the deadline of 2 payments?" in asked.content
    deadline = (timezone.now() + timedelta(days=3)).replace(second=0, microsecond=0)
    answer = confirm(client, asked, expires_at=lima_input(deadline))
    assert said(answer) == ["2 payments have the new deadline."]
    for each in (payment, expired):
        each.refresh_from_db()
        assert each.expires_at == deadline
        assert each.status == Status.PENDING
        assert notes_of(each)[0][1] == "clerk"
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize("wrong", ["", "soon", "2020-01-01T00:00", "9999-99-99T00:00"])
def test_extend_refuses_a_wrong_deadline(as_role: Any, pago: Pago, wrong: str) -> None:
    payment = make_payment()
    client = as_role("clerk")
    answer = confirm(client, choose(client, "extend_payments", payment), expires_at=wrong)
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert answer.context["pks"] == str(payment.pk)
    assert not pago.calls


def test_sync_asks_about_many_in_one_call(as_role: Any, pago: Pago, told: Any) -> None:
    payments = [make_payment() for _ in range(60)]
    for payment in payments[1:]:
        pago.knows(payment)
    pago.knows(payments[0], status=23)
    client = as_role("clerk")
    answer = choose(client, "sync_payments", *payments, make_payment("created"))
    assert pago.of("POST") == 2
    payments[0].refresh_from_db()
    assert payments[0].status == Status.PAID
    assert [t[:3] for t in told] == [("payment_confirmed", payments[0].pk, "status_query")]
    messages = said(answer)
    assert "PagoEfectivo was asked about 60 payments." in messages
    assert any("1 has no CIP yet to ask about." in message for message in messages)
    assert LogEntry.objects.filter(object_id=payments[5].pk).exists()
    assert notes_of(payments[5]) == [("change", "clerk", "Asked PagoEfectivo.")]
    assert "Asked PagoEfectivo." in {note for _, _, note in notes_of(payments[0])}


def test_sync_of_all_pages_asks_first(as_role: Any, pago: Pago) -> None:
    payments = [make_payment() for _ in range(3)]
    for payment in payments:
        pago.knows(payment)
    client = as_role("clerk")
    asked = choose(client, "sync_payments", payments[0], select_across="1")
    assert b"Ask PagoEfectivo how 3 payments stand?" in asked.content
    assert not pago.calls
    assert said(confirm(client, asked)) == ["PagoEfectivo was asked about 3 payments."]


def test_sync_of_a_merchant_that_is_gone_is_a_sentence(as_role: Any, pago: Pago) -> None:
    good, lost = make_payment(), make_payment(merchant="gone")
    pago.knows(good)
    messages = said(choose(as_role("clerk"), "sync_payments", good, lost))
    assert messages[0] == "PagoEfectivo was asked about 1 payment."
    assert 'There is no merchant "gone"' in messages[1]
    assert notes_of(good) == [("change", "clerk", "Asked PagoEfectivo.")]
    assert notes_of(lost) == [], "what was not asked is not called asked"


def test_mark_reconciled(as_role: Any) -> None:
    paid, refunded, pending = make_payment("paid"), make_payment("refunded"), make_payment()
    answer = choose(as_role("clerk"), "mark_reconciled", paid, refunded, pending)
    done, failed = said(answer)
    assert done == "2 payments are marked as reconciled."
    assert f"{pending}: Payment {pending.transaction_code} is pending; only one" in failed
    for payment in (paid, refunded):
        payment.refresh_from_db()
        assert payment.reconciled_at is not None
        assert str(payment.reconciled_by) == "clerk"
        assert notes_of(payment) == [("change", "clerk", "Marked as reconciled.")]
    again = said(choose(as_role("boss"), "mark_reconciled", paid))
    assert "clerk marked" in again[0]
    paid.refresh_from_db()
    assert str(paid.reconciled_by) == "clerk"


def test_more_than_a_thousand_are_refused(as_role: Any, pago: Pago, monkeypatch: Any) -> None:
    monkeypatch.setattr(bulk, "MOST", 2)
    payments = [make_payment() for _ in range(3)]
    client = as_role("clerk")
    message = said(choose(client, "sync_payments", *payments, select_across="1"))[0]
    assert "More than 2 payments" in message
    assert "manage.py pagoefectivo_bulk sync --all --user clerk" in message
    assert said(choose(client, "cancel_payments", *payments))[-1].endswith("Choose fewer.")
    assert not pago.calls


def test_many_can_be_confirmed_at_once(as_role: Any, settings: Any) -> None:
    """Django refuses requests with more fields than a setting says."""
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 10
    client = as_role("clerk")
    payments = [make_payment("paid") for _ in range(30)]
    asked = client.post(
        URL,
        {
            "action": "mark_reconciled",
            "_selected_action": payments[0].pk,
            "select_across": "1",
            "index": "0",
        },
    )
    assert said(confirm(client, asked)) == ["30 payments are marked as reconciled."]


def test_what_takes_long_goes_on_where_it_stopped(
    as_role: Any, pago: Pago, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bulk, "SECONDS", -1.0)
    payments = [make_payment() for _ in range(3)]
    for payment in payments:
        pago.knows(payment)
    client = as_role("clerk")
    answer = confirm(client, choose(client, "cancel_payments", *payments))
    assert answer.status_code == 200
    assert pago.of("DELETE") == 1
    assert len(answer.context["pks"].split(",")) == 2
    assert b"2 payments are left" in answer.content
    answer = confirm(client, confirm(client, answer))
    assert answer.status_code == 302
    assert pago.of("DELETE") == 3
    assert Payment.objects.filter(status=Status.CANCELLED).count() == 3


def test_rows_commit_one_by_one_under_atomic_requests(
    transactional_db: None, as_role: Any, pago: Pago, monkeypatch: Any
) -> None:
    """The last row's failure must not forget what PagoEfectivo did for the first."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    payment = make_payment()
    pago.knows(payment)
    inside: list[bool] = []
    pago.seen = lambda: inside.append(connection.in_atomic_block)
    client = as_role("clerk")
    confirm(client, choose(client, "cancel_payments", payment))
    client.post(f"{URL}{make_payment().pk}/act/sync/")
    assert inside
    assert not any(inside)


@pytest.mark.parametrize("pks", ["", "x", "1,;drop", "9" * 40, "-1", "²"])
def test_a_forged_confirmation_does_nothing(as_role: Any, pago: Pago, pks: str) -> None:
    make_payment()
    data = {"action": "cancel_payments", "_selected_action": "1", "confirmed": "yes", "pks": pks}
    assert as_role("clerk").post(URL, data).status_code in (200, 302)
    assert pago.of("DELETE") <= (pks.startswith("1,"))
    assert EMAIL not in str(list(ApiExchange.objects.values()))

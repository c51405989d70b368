"""What staff do with one payment: by right, by POST, once, in their name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.utils import timezone

from django_pagoefectivo.admin.payment_acts import PAYMENT_ACTS
from django_pagoefectivo.exceptions import InvalidTransition
from django_pagoefectivo.models import (
    Attention,
    Payment,
    SignalDelivery,
    Status,
    TimelineEntry,
    WebhookEvent,
)
from django_pagoefectivo.services import staff
from django_pagoefectivo.services.transitions import WEBHOOK, flag, read_again
from django_pagoefectivo.testing import make_payment, notify
from tests.promises.kit import body_of, post, stored_payments

from .conftest import Pago, make_event, make_flagged, make_mismatch, notes_of, person
from .test_payment_bulk import choose, confirm, lima_input

URL = "/admin/pagoefectivo/payment/"
pytestmark = pytest.mark.django_db


def do(client: Any, payment: Payment, act: str, **fields: Any) -> Any:
    return client.post(f"{URL}{payment.pk}/act/{act}/", fields)


def said(answer: Any) -> str:
    messages = [str(message) for message in get_messages(answer.wsgi_request)]
    return messages[-1] if messages else ""


def filled(payment: Payment) -> dict[str, Any]:
    """Enough for the form of every act."""
    event = staff.mismatch_of(payment)
    return {
        "note": "Seen.",
        "reason": "Voucher seen.",
        "amount": "22.05",
        "seen": staff.seen_key(payment),
        "event": event.pk if event else "",
        "expires_at": lima_input(timezone.now() + timedelta(days=2)),
    }


def subject(act: str) -> Payment:
    """A payment for which ``act`` makes sense."""
    if act == "reconcile":
        return make_payment("paid")
    if act == "give-up":
        return make_flagged("outcome_unknown", "created")
    return make_mismatch()[0] if act in ("accept-amount", "settle") else make_payment()


# What each role may do; everything else must be refused. Written out, not derived.
CLERK = {"sync", "extend", "cancel", "reconcile", "note", "settle", "give-up"}
ALLOWED = {
    "viewer": set(),
    "privy": set(),
    "outsider": set(),
    "blind": set(),
    "clerk": CLERK,
    "boss": CLERK | {"confirm", "accept-amount"},
}


@pytest.mark.parametrize("act", [act.name for act in PAYMENT_ACTS])
@pytest.mark.parametrize("role", ALLOWED)
def test_each_act_by_role(as_role: Any, pago: Pago, act: str, role: str) -> None:
    payment = subject(act)
    pago.knows(payment)
    client = as_role(role)
    before = stored_payments()
    entries = len(notes_of(payment))
    if act in ALLOWED[role]:
        assert client.get(f"{URL}{payment.pk}/act/{act}/").status_code == 200
        assert stored_payments() == before
        answer = do(client, payment, act, **filled(payment))
        assert answer.status_code == 302, answer.context["form"].errors
        assert answer["Location"] == f"{URL}{payment.pk}/change/"
        entry = LogEntry.objects.get()
        assert entry.user.get_username() == role
        assert said(answer) in entry.change_message
        assert role in {name for _, name, _ in notes_of(payment)[entries:]}
        return
    assert client.get(f"{URL}{payment.pk}/act/{act}/").status_code == 403
    assert do(client, payment, act, **filled(payment)).status_code == 403
    assert stored_payments() == before
    assert len(notes_of(payment)) == entries
    assert not LogEntry.objects.exists()
    assert not pago.calls


@pytest.mark.parametrize("act", [act.name for act in PAYMENT_ACTS])
def test_each_act_needs_a_login_and_a_csrf_token(
    as_role: Any, client: Any, pago: Pago, act: str
) -> None:
    payment = subject(act)
    before = stored_payments()
    assert "login" in do(client, payment, act, **filled(payment))["Location"]
    boss = as_role("boss")
    boss.handler.enforce_csrf_checks = True
    assert do(boss, payment, act, **filled(payment)).status_code == 403
    assert stored_payments() == before
    assert not pago.calls


def test_an_unknown_act(as_role: Any) -> None:
    assert do(as_role("boss"), make_payment(), "refund").status_code == 404


def test_sync(as_role: Any, pago: Pago, told: Any) -> None:
    payment = make_payment()
    pago.knows(payment, status=23)
    answer = do(as_role("clerk"), payment, "sync")
    assert said(answer) == "PagoEfectivo was asked; the payment is: paid."
    assert [t[0] for t in told] == ["payment_confirmed"]
    note = "Asked PagoEfectivo; the payment is paid."
    assert ("change", "clerk", note) in notes_of(payment)


def test_sync_without_a_cip_says_so(as_role: Any, pago: Pago) -> None:
    answer = do(as_role("clerk"), make_payment("created"), "sync")
    assert "has no CIP yet" in said(answer)
    assert not pago.calls


def test_extend(as_role: Any, pago: Pago) -> None:
    payment = make_payment("expired")
    pago.knows(payment, status=21)
    deadline = (timezone.now() + timedelta(days=5)).replace(second=0, microsecond=0)
    do(as_role("clerk"), payment, "extend", expires_at=lima_input(deadline))
    payment.refresh_from_db()
    assert (payment.status, payment.expires_at) == (Status.PENDING, deadline)


def test_cancel_when_the_shopper_was_faster(as_role: Any, pago: Pago) -> None:
    payment = make_payment("paid")
    answer = do(as_role("clerk"), payment, "cancel")
    assert "is paid; only one that is pending can be cancelled" in said(answer)
    assert "is paid" in LogEntry.objects.get().change_message
    assert not pago.calls


def test_confirm_by_hand_tells_the_shop_once(as_role: Any, told: Any) -> None:
    payment = make_flagged("outcome_unknown", "created")
    told.clear()
    client = as_role("boss")
    fields = {"amount": "20.00", "reason": "Voucher 99 seen.", "operation_number": "99"}
    answer = do(client, payment, "confirm", **fields)
    assert said(answer) == "Confirmed: 20.00 PEN was paid."
    payment.refresh_from_db()
    assert payment.status == Status.PAID
    assert payment.paid_amount == Decimal("20.00")
    assert payment.operation_number == "99"
    assert payment.attention == ""
    assert told == [("payment_confirmed", payment.pk, "staff", {"late": False})]
    kinds = [(kind, name) for kind, name, _ in notes_of(payment)]
    assert kinds == [("flag", ""), ("settled", "boss"), ("transition", "boss")]
    assert notes_of(payment)[-1][2] == "Voucher 99 seen."

    again = do(client, payment, "confirm", **fields)
    assert said(again).startswith("boss made T-")
    assert len(told) == 1


@pytest.mark.parametrize("status", ["expired", "cancelled", "failed"])
def test_confirming_what_was_given_up_is_late(as_role: Any, told: Any, status: str) -> None:
    payment = make_payment(status)
    do(as_role("boss"), payment, "confirm", amount="22.05", reason="Voucher seen.")
    assert told == [("payment_confirmed", payment.pk, "staff", {"late": True})]
    payment.refresh_from_db()
    assert payment.attention == ""


def test_confirming_a_second_code_of_a_paid_order_is_flagged(as_role: Any, told: Any) -> None:
    first = make_payment("paid")
    second = make_payment("expired", order_reference=first.order_reference)
    do(as_role("boss"), second, "confirm", amount="22.05", reason="Voucher seen.")
    second.refresh_from_db()
    assert second.status == Status.PAID
    assert second.attention == Attention.DUPLICATE_PAYMENT
    reason = {"reason": "duplicate_payment"}
    assert told == [("payment_flagged", second.pk, "staff", reason)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"reason": "   "},
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "1.001"},
        {"amount": "NaN"},
        {"amount": ""},
        {"reason": "a\x00b"},
        {"operation_number": "9" * 65},
    ],
)
def test_confirm_refuses_what_is_missing_or_wrong(as_role: Any, wrong: dict[str, str]) -> None:
    payment = make_payment()
    fields = {"amount": "22.05", "reason": "Seen."} | wrong
    answer = do(as_role("boss"), payment, "confirm", **fields)
    assert answer.status_code == 200
    assert answer.context["form"].errors
    payment.refresh_from_db()
    assert payment.status == Status.PENDING


def test_accept_amount(as_role: Any, told: Any) -> None:
    payment, event = make_mismatch("20.00")
    told.clear()
    client = as_role("boss")
    form = client.get(f"{URL}{payment.pk}/act/accept-amount/")
    assert b"20.00 PEN was paid" in form.content
    do(client, payment, "accept-amount", event=event.pk, note="Known customer.")
    payment.refresh_from_db()
    assert payment.status == Status.PAID
    assert payment.paid_amount == Decimal("20.00")
    assert payment.operation_number == event.operation_number
    assert payment.attention == ""
    assert told == [("payment_confirmed", payment.pk, "staff", {"late": False})]
    words = "Accepted 20.00 PEN for 22.05 PEN. Known customer."
    assert notes_of(payment)[-2:] == [("settled", "boss", words), ("transition", "boss", words)]


def test_accept_shows_what_is_to_be_accepted_or_why_it_cannot_be(as_role: Any) -> None:
    client = as_role("boss")
    payment, event = make_mismatch("20.00")
    html = client.get(f"{URL}{payment.pk}/act/accept-amount/").content.decode()
    assert f"20.00 PEN, operation {event.operation_number}" in html
    # A status query said another amount, and no notification did.
    payment = make_flagged("amount_mismatch")
    answer = client.get(f"{URL}{payment.pk}/act/accept-amount/")
    assert answer.status_code == 302
    assert "confirm the payment by hand" in said(answer)


def test_accept_takes_no_other_payments_notification(as_role: Any, told: Any) -> None:
    payment, _ = make_mismatch()
    _, other = make_mismatch("1.00")
    told.clear()
    for event in (other.pk, 0, "x", ""):
        answer = do(as_role("boss"), payment, "accept-amount", event=event)
        assert answer.status_code == 200, event
    payment.refresh_from_db()
    assert payment.status == Status.PENDING
    assert not told


def test_the_service_too_takes_no_other_payments_notification() -> None:
    payment, _ = make_mismatch()
    _, other = make_mismatch("1.00")
    with pytest.raises(InvalidTransition, match="says no amount that could be accepted"):
        staff.accept_amount(payment, user=person("boss"), event=other)


def test_accept_takes_no_money_on_a_foreign_code(as_role: Any, told: Any) -> None:
    """It names the payment, but the money lies on another CIP."""
    payment, _own = make_mismatch("20.00")
    code = payment.transaction_code
    body = body_of(cip="99887766", code=code, amount=Decimal("20.00"), currency="PEN")
    assert post(body).content == b"mismatch"
    foreign = WebhookEvent.objects.latest("pk")
    assert (foreign.payment, foreign.flag) == (payment, Attention.STATUS_CONFLICT)
    # The other amount is the newest reason again, so that the act is offered.
    flag(read_again(payment), Attention.AMOUNT_MISMATCH, "Another amount.", WEBHOOK)
    told.clear()
    answer = do(as_role("boss"), payment, "accept-amount", event=foreign.pk)
    assert "says no amount that could be accepted" in said(answer)
    with pytest.raises(InvalidTransition, match="says no amount that could be accepted"):
        staff.accept_amount(payment, user=person("boss"), event=foreign)
    payment.refresh_from_db()
    assert payment.status == Status.PENDING
    assert not told


def test_accept_never_takes_another_currency(as_role: Any) -> None:
    payment = make_flagged("currency_mismatch")
    fields = {"outcome": "mismatch", "flag": "currency_mismatch", "currency": "USD"}
    event = make_event(payment, cip=payment.cip, **fields)
    assert staff.mismatch_of(payment) is None
    answer = do(as_role("boss"), payment, "accept-amount", event=event.pk)
    assert "says no amount that could be accepted" in said(answer)
    payment.refresh_from_db()
    assert payment.status == Status.PENDING


def test_settle_needs_a_note_and_keeps_it(as_role: Any) -> None:
    payment = make_flagged("late_payment", "paid")
    client = as_role("clerk")
    seen = staff.seen_key(payment)
    assert do(client, payment, "settle", seen=seen, note=" ").status_code == 200
    do(client, payment, "settle", seen=seen, note="Delivered all the same.")
    payment.refresh_from_db()
    assert (payment.attention, payment.attention_note) == ("", "")
    assert notes_of(payment)[-1] == ("settled", "clerk", "Delivered all the same.")


def test_the_second_who_settles_is_told_who_was_faster(as_role: Any) -> None:
    payment = make_flagged("late_payment", "paid")
    seen = staff.seen_key(payment)
    do(as_role("clerk"), payment, "settle", seen=seen, note="Delivered.")
    answer = do(as_role("boss"), payment, "settle", seen=seen, note="Mine.")
    now = staff.in_lima(timezone.now())[:10]
    assert said(answer).startswith(f"clerk dealt with {payment.transaction_code} on {now}")
    assert [name for kind, name, _ in notes_of(payment) if kind == "settled"] == ["clerk"]


def test_what_came_up_meanwhile_is_not_settled_unseen(as_role: Any) -> None:
    payment = make_flagged("late_payment", "paid")
    seen = staff.seen_key(payment)
    flag(read_again(payment), Attention.DUPLICATE_PAYMENT, "Paid once more.", WEBHOOK)
    answer = do(as_role("clerk"), payment, "settle", seen=seen, note="Delivered.")
    assert "Something new happened" in said(answer)
    payment.refresh_from_db()
    assert payment.attention == Attention.DUPLICATE_PAYMENT


def test_add_note(as_role: Any) -> None:
    payment = make_payment()
    assert do(as_role("clerk"), payment, "note", note="").status_code == 200
    do(as_role("clerk"), payment, "note", note="She called.")
    assert notes_of(payment) == [("note", "clerk", "She called.")]


def test_back_leads_to_the_inbox_only_if_one_came_from_there(as_role: Any) -> None:
    payment = make_payment()
    client = as_role("clerk")
    fields = {"note": "x", "from": "inbox", "next": "https://evil.example/"}
    assert do(client, payment, "note", **fields)["Location"] == f"{URL}inbox/"
    fields["from"] = "https://evil.example/"
    assert do(client, payment, "note", **fields)["Location"] == f"{URL}{payment.pk}/change/"


def test_an_act_that_makes_no_sense_any_more(as_role: Any) -> None:
    payment = make_payment("paid")
    answer = as_role("boss").get(f"{URL}{payment.pk}/act/confirm/")
    assert answer.status_code == 302
    assert "not possible now" in said(answer)


def test_acts_leave_no_personal_data_in_djangos_log(as_role: Any) -> None:
    payment = make_payment()
    do(as_role("clerk"), payment, "note", note="Write to rosa.quispe@correo.example")
    assert "rosa" not in LogEntry.objects.get().change_message


def test_no_act_writes_deliveries_without_a_receiver(as_role: Any) -> None:
    do(as_role("boss"), make_payment(), "confirm", amount="22.05", reason="Seen.")
    assert not SignalDelivery.objects.exists()
    assert person("boss").is_active


# -- giving up what was perhaps never made ---------------------------------------------------


def test_giving_up_fails_it_and_releases_its_order(as_role: Any, told: Any) -> None:
    payment = make_flagged("outcome_unknown", "created")
    assert not do(as_role("clerk"), payment, "give-up", reason=" ").context["form"].is_valid()
    answer = do(as_role("clerk"), payment, "give-up", reason="Not in the panel.")
    assert said(answer) == "Given up. A new code can be made for the order."
    payment.refresh_from_db()
    assert (payment.status, payment.attention, payment.open_key) == (Status.FAILED, "", None)
    assert (payment.failure_code, payment.failure_message) == ("given_up", "Not in the panel.")
    assert notes_of(payment)[-2:] == [
        ("settled", "clerk", "Not in the panel."),
        ("transition", "clerk", "Not in the panel."),
    ]
    assert ("payment_failed", payment.pk, "staff") in [each[:3] for each in told]
    assert not Payment.objects.for_order(payment.order_reference).open().exists()
    # Somebody else had the page open.
    late = do(as_role("boss"), payment, "give-up", reason="Me too.")
    assert said(late).startswith(f"clerk gave up {payment.transaction_code} on ")
    assert said(late).endswith("(Lima). Not in the panel.")


def test_confirming_what_waits_of_an_order_that_another_payment_paid(told: Any) -> None:
    """What waited is settled, and the second payment of the order is flagged, in one act."""
    paid = make_payment("paid")
    payment = make_flagged("status_conflict", "expired")
    Payment.objects.filter(pk=payment.pk).update(order_key=paid.order_key)
    staff.confirm(payment, user=person("boss"), reason="Seen in the panel.")
    payment.refresh_from_db()
    assert (payment.status, payment.attention) == (Status.PAID, Attention.DUPLICATE_PAYMENT)
    assert payment.confirmed_key is None
    assert "payment_confirmed" not in [each[0] for each in told]


def test_what_was_given_up_and_is_paid_all_the_same_is_flagged(as_role: Any, told: Any) -> None:
    payment = make_flagged("outcome_unknown", "created")
    do(as_role("clerk"), payment, "give-up", reason="Not in the panel.")
    payment.refresh_from_db()
    notify(payment)
    payment.refresh_from_db()
    assert (payment.status, payment.attention) == (Status.PAID, Attention.LATE_PAYMENT)
    confirmed = [each for each in told if each[0] == "payment_confirmed"]
    assert [each[3] for each in confirmed] == [{"late": True}]


@pytest.mark.parametrize("status", ["created", "pending", "paid", "expired", "cancelled"])
def test_only_what_is_in_doubt_can_be_given_up(as_role: Any, status: str) -> None:
    payment = make_payment(status)
    answer = do(as_role("clerk"), payment, "give-up", reason="x")
    assert f"is {status}; only one whose create call" in said(answer)
    payment.refresh_from_db()
    assert payment.status == status


# -- two people and one page -----------------------------------------------------------------

#: Acts that can be done once; the others may be repeated.
ONCE = ("accept-amount", "give-up", "settle", "reconcile", "confirm", "cancel")


@pytest.mark.parametrize("act", ONCE)
def test_whoever_comes_second_is_told_who_did_it_and_when(
    as_role: Any, pago: Pago, act: str
) -> None:
    monday = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
    payment = subject(act)
    pago.knows(payment)
    first, second = as_role("boss"), as_role("chief")
    data = filled(payment)
    do(first, payment, act, **data)
    TimelineEntry.objects.update(created_at=monday)
    Payment.objects.filter(reconciled_at__isnull=False).update(reconciled_at=monday)
    before = stored_payments()
    told = said(do(second, payment, act, **data))
    assert "boss" in told, told
    assert "2026-03-02 10:30 (Lima)" in told
    assert stored_payments() == before
    assert {name for _, name, _ in notes_of(payment)} <= {"", "boss"}


def test_every_other_act_may_be_repeated() -> None:
    assert {act.name for act in PAYMENT_ACTS} - set(ONCE) == {"sync", "extend", "note"}


def test_two_who_cancel_many_name_each_other(as_role: Any, pago: Pago) -> None:
    payments = [make_payment() for _ in range(2)]
    for payment in payments:
        pago.knows(payment)
    first, second = as_role("boss"), as_role("chief")
    asked = [choose(client, "cancel_payments", *payments) for client in (first, second)]
    confirm(first, asked[0])
    told = said(confirm(second, asked[1]))
    assert told.startswith("2 payments were not done.")
    assert told.count("boss cancelled T-") == 2
    assert pago.of("DELETE") == 2

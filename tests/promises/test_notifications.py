"""What a notification does to a payment, in every state it can be in."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from django_pagoefectivo.exceptions import OutcomeUnknown
from django_pagoefectivo.models import Payment, SignalDelivery, TimelineEntry, WebhookEvent
from django_pagoefectivo.services import (
    applying,
    create_payment,
    deliver_due,
    poll,
    sync_payment,
)
from django_pagoefectivo.testing import make_payment
from tests.servers import DELETED, EXPIRED, GENERATED, PAID, PagoEfectivo, Reply

from .kit import CUSTOMER, Probe, body_of, notify, post, refresh

pytestmark = pytest.mark.django_db(transaction=True)
CLOSED = ("expired", "cancelled", "failed")


def facts(payment: Payment) -> tuple[Any, ...]:
    row = refresh(payment)
    return (row.status, row.paid_at, row.paid_amount, row.operation_number, row.open_key)


def create(**kwargs: Any) -> Payment:
    return create_payment(
        **{"order_reference": "A-1", "amount": Decimal("22.05"), "customer": CUSTOMER, **kwargs}
    )


# -- paid --------------------------------------------------------------------------------


def test_pending_is_confirmed_with_all_that_the_notification_says(probe: Probe) -> None:
    payment = make_payment(amount=Decimal("100.00"), transaction_code="A-1001-1")
    notify(payment, code="A-1001-1", operation="778899", paymentDate="2026-11-23T10:20:00-05:00")
    row = refresh(payment)
    assert row.status == "paid"
    assert row.paid_amount == Decimal("100.00")
    assert row.paid_at == datetime(2026, 11, 23, 15, 20, tzinfo=UTC)
    assert row.operation_number == "778899"
    assert (row.attention, row.open_key) == ("", None)
    (heard,) = probe.heard
    event = WebhookEvent.objects.get()
    assert (heard.signal, heard.source, heard.late) == ("payment_confirmed", "webhook", False)
    assert heard.event_id == event.pk
    assert (event.outcome, event.from_status, event.to_status) == ("applied", "pending", "paid")


@pytest.mark.parametrize("status", ["created", "pending", *CLOSED])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"amount": Decimal("22.04")}, "amount_mismatch"),
        ({"amount": Decimal("22.0500001")}, "amount_mismatch"),
        ({"amount": "2205"}, "amount_mismatch"),
        ({"currency": "USD"}, "currency_mismatch"),
    ],
)
def test_wrong_money_changes_nothing_and_flags(
    status: str, said: dict[str, Any], reason: str, probe: Probe
) -> None:
    payment = make_payment(status)
    before = facts(payment)
    answer = notify(payment, code=payment.transaction_code, **said)
    assert answer.content == b"mismatch"
    assert facts(payment) == before
    assert refresh(payment).attention == reason
    assert [(h.signal, h.reason) for h in probe.heard] == [("payment_flagged", reason)]
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.flag, event.payment_id) == ("mismatch", reason, payment.pk)
    # The right one still confirms.
    notify(payment, code=payment.transaction_code)
    assert refresh(payment).status == "paid"


@pytest.mark.parametrize("status", CLOSED)
def test_late_money_confirms_and_says_late(status: str, probe: Probe) -> None:
    payment = make_payment(status)
    notify(payment, code=payment.transaction_code)
    row = refresh(payment)
    assert (row.status, row.attention) == ("paid", "late_payment")
    assert sorted(probe.signals) == ["payment_confirmed", "payment_flagged"]
    assert probe.of("payment_confirmed")[0].late is True
    assert probe.of("payment_flagged")[0].reason == "late_payment"


def test_a_created_payment_is_found_by_its_transaction_code(probe: Probe) -> None:
    payment = make_payment("created")
    answer = notify(payment, cip="44000001", code=payment.transaction_code)
    assert answer.content == b"applied"
    row = refresh(payment)
    assert (row.status, row.cip, row.attention) == ("paid", "44000001", "outcome_unknown")
    assert probe.of("payment_confirmed")[0].late is False
    assert probe.of("payment_flagged")[0].reason == "outcome_unknown"


def test_the_transaction_code_alone_is_enough() -> None:
    payment = make_payment("created")
    body = body_of(amount=22.05, currency="PEN", code=payment.transaction_code)
    assert post(body).content == b"applied"
    assert refresh(payment).status == "paid"


@pytest.mark.parametrize(
    ("operation", "data"),
    [
        ("1", '"cip":%s,"currency":"PEN","amount":"22.05"'),
        ("1", '"Cip":"%s","Currency":"PEN","Amount":22.050'),
        ('"1"', '"cip":"000%s","currency":"PEN","amount":2205e-2'),
    ],
)
def test_text_numbers_and_capitals_are_the_same(operation: str, data: str) -> None:
    payment = make_payment()
    text = data % payment.cip
    body = f'{{"eventType":"cip.paid","operationNumber":{operation},"data":{{{text}}}}}'
    assert post(body.encode()).content == b"applied"
    row = refresh(payment)
    assert (row.status, row.operation_number) == ("paid", "1")


# -- more than once ----------------------------------------------------------------------


def test_a_second_operation_number_flags_once(probe: Probe) -> None:
    payment = make_payment()
    notify(payment, operation="1")
    assert notify(payment, operation="2").status_code == 200
    assert notify(payment, operation="2").content == b"duplicate"
    row = refresh(payment)
    assert (row.attention, row.operation_number) == ("duplicate_payment", "1")
    assert len(probe.of("payment_confirmed")) == 1
    assert [h.reason for h in probe.of("payment_flagged")] == ["duplicate_payment"]


REWORDED: list[dict[str, Any]] = [
    {"amount": 100},
    {"amount": "100.00"},
    {"amount": Decimal("100.000")},
    {"paymentDate": "2026-11-23T10:20:00-05:00"},
    {"somethingNew": 1},
]


@pytest.mark.parametrize("again", REWORDED)
def test_the_same_operation_in_another_wording(again: dict[str, Any], probe: Probe) -> None:
    payment = make_payment(amount=Decimal("100.00"))
    notify(payment, operation="1")
    assert notify(payment, operation="1", **again).content == b"duplicate"
    assert list(WebhookEvent.objects.order_by("pk").values_list("outcome", flat=True)) == [
        "applied",
        "duplicate",
    ]
    assert refresh(payment).attention == ""
    assert probe.signals == ["payment_confirmed"]


@pytest.mark.parametrize("again", REWORDED)
def test_a_second_operation_in_another_wording_is_no_third_one(
    again: dict[str, Any], probe: Probe
) -> None:
    payment = make_payment(amount=Decimal("100.00"))
    notify(payment, operation="1")
    notify(payment, operation="2")
    assert notify(payment, operation="2", **again).content == b"duplicate"
    assert WebhookEvent.objects.count() == 3
    assert len(probe.of("payment_flagged")) == 1


@pytest.mark.parametrize("again", [{"amount": "99"}, {"amount": Decimal("99.0")}])
def test_wrong_money_in_another_wording_is_flagged_once(
    again: dict[str, Any], probe: Probe
) -> None:
    payment = make_payment(amount=Decimal("100.00"))
    notify(payment, operation="1", amount=99)
    notify(payment, operation="1", **again)
    assert len(probe.of("payment_flagged")) == 1


def test_a_settled_flag_is_not_raised_again_by_a_repetition(probe: Probe) -> None:
    payment = make_payment()
    notify(payment, operation="1")
    notify(payment, operation="2")
    Payment.objects.filter(pk=payment.pk).update(attention="", attention_note="")
    notify(payment, operation="2")
    notify(payment, operation="2", somethingNew=1)
    assert refresh(payment).attention == ""
    assert len(probe.of("payment_flagged")) == 1


def test_a_third_operation_is_flagged_of_its_own(probe: Probe) -> None:
    payment = make_payment()
    for operation in ("1", "2", "3"):
        notify(payment, operation=operation)
    assert len(probe.of("payment_flagged")) == 2
    assert TimelineEntry.objects.filter(payment=payment, kind="flag").count() == 2


# -- unknown, conflicting and other events -----------------------------------------------


def test_unknown_cip_is_kept_and_matched_when_the_create_answer_brings_it(
    pe: PagoEfectivo, probe: Probe
) -> None:
    early = body_of(cip="10000001", amount=Decimal("22.05"), currency="PEN")
    assert post(early).content == b"unmatched"
    assert WebhookEvent.objects.get().payment is None
    payment = create()
    assert (payment.cip, payment.status) == ("10000001", "paid")
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.payment_id) == ("applied", payment.pk)
    assert probe.signals == ["payment_created", "payment_pending", "payment_confirmed"]
    assert post(early).content == b"duplicate"
    assert len(probe.of("payment_confirmed")) == 1


def test_unknown_cip_with_other_money_is_flagged_when_matched(
    pe: PagoEfectivo, probe: Probe
) -> None:
    post(body_of(cip="10000001", amount=1, currency="PEN"))
    payment = create()
    assert (payment.status, payment.attention) == ("pending", "amount_mismatch")
    assert len(probe.of("payment_flagged")) == 1


def test_two_operations_on_an_unknown_cip_are_one_payment_and_one_flag(
    pe: PagoEfectivo, probe: Probe
) -> None:
    for operation in ("1", "2"):
        post(body_of(cip="10000001", amount=Decimal("22.05"), currency="PEN", operation=operation))
    payment = create()
    assert (payment.status, payment.attention) == ("paid", "duplicate_payment")
    assert len(probe.of("payment_confirmed")) == 1
    assert len(probe.of("payment_flagged")) == 1


def test_an_unmatched_one_is_found_when_a_notification_brings_the_cip(probe: Probe) -> None:
    """The create call's answer was lost; the first notification has no transaction code."""
    payment = make_payment("created", attention="outcome_unknown")
    first = body_of(cip="55000001", amount=Decimal("22.05"), currency="PEN", operation="1")
    assert post(first).content == b"unmatched"
    notify(payment, cip="55000001", code=payment.transaction_code, operation="2")
    # Two operations were paid on this code: a person has to see the second one.
    assert WebhookEvent.objects.filter(outcome="unmatched").count() == 0
    assert refresh(payment).attention == "duplicate_payment"


def test_a_repeated_unmatched_one_is_applied_once_its_payment_is_known(probe: Probe) -> None:
    body = body_of(cip="61000001", amount=Decimal("22.05"), currency="PEN")
    assert post(body).content == b"unmatched"
    payment = make_payment(cip="61000001")
    assert post(body).content == b"applied"
    assert refresh(payment).status == "paid"
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.times_received) == ("applied", 2)


def test_cip_and_transaction_code_of_two_payments(probe: Probe) -> None:
    one, two = make_payment(), make_payment()
    answer = notify(one, code=two.transaction_code)
    assert answer.content == b"mismatch"
    for payment in (one, two):
        row = refresh(payment)
        assert (row.status, row.attention) == ("pending", "status_conflict")
    assert [h.reason for h in probe.heard] == ["status_conflict"] * 2
    assert notify(one, code=two.transaction_code).content == b"duplicate"
    assert len(probe.heard) == 2


@pytest.mark.parametrize("said", [{"code": "SOMEBODY-ELSES"}, {"cip": "99999999999"}])
def test_half_of_the_names_is_wrong(said: dict[str, str], probe: Probe) -> None:
    payment = make_payment()
    names = {"code": payment.transaction_code} | said
    assert notify(payment, **names).content == b"mismatch"
    assert refresh(payment).status == "pending"
    assert [h.reason for h in probe.heard] == ["status_conflict"]


@pytest.mark.parametrize("event", ["cip.printed", "CIP.PAID", "payment.paid", "💸", "x" * 500])
@pytest.mark.parametrize("status", ["created", "pending", "paid"])
def test_an_unknown_event_is_ignored(event: str, status: str, probe: Probe) -> None:
    payment = make_payment(status)
    before = facts(payment)
    assert notify(payment, event=event, code=payment.transaction_code).content == b"ignored"
    assert facts(payment) == before
    assert probe.heard == []


def test_expired_and_refunded_events(probe: Probe) -> None:
    payment = make_payment()
    notify(payment, event="cip.expired")
    assert refresh(payment).status == "expired"
    notify(payment, event="cip.refunded")
    assert refresh(payment).status == "expired"
    notify(payment)
    notify(payment, event="cip.expired", somethingNew=1)
    assert refresh(payment).status == "paid"
    notify(payment, event="cip.refunded", somethingNew=2)
    row = refresh(payment)
    assert row.status == "refunded"
    assert row.refunded_at is not None
    assert [s for s in probe.signals if s != "payment_flagged"] == [
        "payment_expired",
        "payment_confirmed",
        "payment_refunded",
    ]


def test_out_of_order_paid_then_expired_stays_paid(probe: Probe) -> None:
    payment = make_payment()
    notify(payment)
    assert notify(payment, event="cip.expired").content == b"ignored"
    assert refresh(payment).status == "paid"
    assert probe.signals == ["payment_confirmed"]


# -- an order with several codes ---------------------------------------------------------


def superseded(pe: PagoEfectivo) -> tuple[Payment, Payment]:
    """A create call whose outcome was unknown, and the one a person chose after it."""
    pe.fail_next("create", Reply(does_it=True, cut=True))
    with pytest.raises(OutcomeUnknown) as caught:
        create()
    new = create(supersede=True)
    assert caught.value.payment is not None
    return refresh(caught.value.payment), new


def test_paying_one_code_cancels_the_other_at_pagoefectivo(pe: PagoEfectivo, probe: Probe) -> None:
    lost, new = superseded(pe)
    (lost_code,) = pe.by_transaction(lost.transaction_code)
    probe.heard.clear()
    notify(lost, cip=lost_code.cip, code=lost.transaction_code)
    assert refresh(lost).status == "paid"
    assert refresh(new).status == "cancelled"
    assert pe.codes[str(new.cip)].status == DELETED
    assert [c.path for c in pe.of("delete")] == [f"/v1/cips/{new.cip}"]
    assert sorted(probe.signals) == ["payment_cancelled", "payment_confirmed", "payment_flagged"]


def test_a_code_that_gave_way_is_cancelled_there_when_the_new_one_is_paid(
    pe: PagoEfectivo,
) -> None:
    """PagoEfectivo closes codes some time after their deadline: until then both can be paid."""
    old = create(expires_in=timedelta(hours=1))
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        new = create()
        assert new.pk != old.pk
        assert refresh(old).status == "expired"
        assert pe.codes[str(old.cip)].status == GENERATED
        notify(new)
    assert pe.codes[str(old.cip)].status == DELETED


def test_a_superseded_code_is_cancelled_when_the_new_one_is_paid(pe: PagoEfectivo) -> None:
    """Its CIP becomes known when PagoEfectivo's answer arrives after all."""
    lost, new = superseded(pe)
    (lost_code,) = pe.by_transaction(lost.transaction_code)
    Payment.objects.filter(pk=lost.pk).update(cip=lost_code.cip)
    sync_payment(refresh(lost))
    assert refresh(lost).status == "pending"
    notify(new)
    assert refresh(lost).status == "cancelled"
    assert lost_code.status == DELETED


def test_cancelling_the_other_is_tried_again_while_pagoefectivo_is_down(
    pe: PagoEfectivo, probe: Probe
) -> None:
    lost, new = superseded(pe)
    (lost_code,) = pe.by_transaction(lost.transaction_code)
    pe.fail_next("delete", Reply(500, b"<html>down</html>", "text/html"))
    notify(lost, cip=lost_code.cip, code=lost.transaction_code)
    assert len(probe.of("payment_confirmed")) == 1
    assert refresh(new).status == "pending"
    (owed,) = SignalDelivery.objects.filter(state="pending")
    assert owed.last_error
    assert deliver_due().delivered == 0
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert deliver_due().delivered == 1
    assert refresh(new).status == "cancelled"
    assert len(pe.of("delete")) == 2
    assert len(probe.of("payment_confirmed")) == 1


def test_paying_both_codes(pe: PagoEfectivo, probe: Probe) -> None:
    lost, new = superseded(pe)
    (lost_code,) = pe.by_transaction(lost.transaction_code)
    probe.heard.clear()
    notify(lost, cip=lost_code.cip, code=lost.transaction_code)
    notify(new, operation="2")
    assert len(probe.of("payment_confirmed")) == 1
    assert len(probe.of("payment_confirmed", lost)) == 1
    (flagged,) = probe.of("payment_flagged", new)
    assert flagged.reason == "duplicate_payment"
    rows = [refresh(lost), refresh(new)]
    assert [r.status for r in rows] == ["paid", "paid"]
    assert rows[1].attention == "duplicate_payment"


def test_the_same_operation_told_again_with_other_money(probe: Probe) -> None:
    payment = make_payment()
    notify(payment)
    before = facts(payment)
    notify(payment, amount="1.00")
    assert facts(payment) == before
    assert len(probe.of("payment_confirmed")) == 1
    assert [heard.reason for heard in probe.of("payment_flagged")] == ["amount_mismatch"]
    outcomes = list(WebhookEvent.objects.order_by("pk").values_list("outcome", flat=True))
    assert outcomes == ["applied", "mismatch"]


# -- CONFIRM_WITH_STATUS_QUERY -----------------------------------------------------------


def test_status_query_has_the_last_word(pe: PagoEfectivo, configure: Any, probe: Probe) -> None:
    configure(CONFIRM_WITH_STATUS_QUERY=True)
    payment = create()
    probe.heard.clear()
    assert notify(payment).content == b"pending"
    event = WebhookEvent.objects.get()
    assert (refresh(payment).status, event.outcome) == ("pending", "pending")
    assert probe.heard == []
    pe.codes[str(payment.cip)].status = PAID
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        call_command("pagoefectivo_deliver", verbosity=0)
    row = refresh(payment)
    assert (row.status, row.operation_number) == ("paid", "1253")
    (heard,) = probe.heard
    assert (heard.signal, heard.source) == ("payment_confirmed", "status_query")
    assert heard.event_id == event.pk
    assert WebhookEvent.objects.get().outcome == "applied"


def test_status_query_agrees_at_once(pe: PagoEfectivo, configure: Any, probe: Probe) -> None:
    configure(CONFIRM_WITH_STATUS_QUERY=True)
    payment = create()
    pe.codes[str(payment.cip)].status = PAID
    notify(payment)
    notify(payment)
    notify(payment, somethingNew=1)
    assert refresh(payment).status == "paid"
    assert len(probe.of("payment_confirmed")) == 1
    outcomes = list(WebhookEvent.objects.order_by("pk").values_list("outcome", flat=True))
    assert outcomes == ["applied", "duplicate"]


@pytest.mark.parametrize(("operation", "flags"), [("1253", []), ("9999", ["duplicate_payment"])])
def test_of_two_that_wait_the_query_settles_both(
    operation: str,
    flags: list[str],
    pe: PagoEfectivo,
    configure: Any,
    probe: Probe,
) -> None:
    configure(CONFIRM_WITH_STATUS_QUERY=True, SIGNAL_DELIVERY="worker")
    payment = create()
    notify(payment)
    notify(payment, operation=operation, somethingNew=1)
    pe.codes[str(payment.cip)].status = PAID
    deliver_due()
    deliver_due()
    assert refresh(payment).status == "paid"
    outcomes = list(WebhookEvent.objects.order_by("pk").values_list("outcome", flat=True))
    assert outcomes == ["applied", "duplicate"]
    assert len(probe.of("payment_confirmed")) == 1
    assert [heard.reason for heard in probe.of("payment_flagged")] == flags


def test_status_query_with_other_money_confirms_nothing(
    pe: PagoEfectivo, configure: Any, probe: Probe
) -> None:
    configure(CONFIRM_WITH_STATUS_QUERY=True)
    payment = create()
    pe.codes[str(payment.cip)].status = PAID
    pe.codes[str(payment.cip)].amount = Decimal("1.00")
    notify(payment)
    assert refresh(payment).status == "pending"
    assert probe.of("payment_confirmed") == []
    assert [h.reason for h in probe.of("payment_flagged")] == ["amount_mismatch"]


@pytest.mark.parametrize("says", [PAID, EXPIRED])
def test_an_older_notification_does_not_undo_that_it_is_being_checked(
    says: int, pe: PagoEfectivo, configure: Any, probe: Probe
) -> None:
    """Out of order: that it expired is news of before it was paid, or the query says so, too."""
    configure(CONFIRM_WITH_STATUS_QUERY=True)
    payment = create()
    notify(payment)
    assert notify(payment, event="cip.expired").content == b"ignored"
    row = refresh(payment)
    assert (row.status, row.is_being_checked) == ("pending", True)
    assert create().pk == payment.pk, "a second code while the first may be paid"
    assert probe.of("payment_expired") == []
    pe.codes[str(payment.cip)].status = says
    poll()
    row = refresh(payment)
    if says == PAID:
        assert (row.status, row.attention) == ("paid", "")
        assert len(probe.of("payment_confirmed")) == 1
    else:
        assert (row.status, row.attention) == ("pending", "status_conflict")


def test_an_expiry_that_races_with_a_check_begins_again(
    pe: PagoEfectivo, configure: Any, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(CONFIRM_WITH_STATUS_QUERY=True)
    payment = create()
    genuine = vars(applying)["decide"]
    raced: list[bool] = []

    def begin_to_check() -> None:
        now = timezone.now()
        Payment.objects.update(checking_since=now, updated_at=now)
        connections.close_all()

    def decide(state: Any, fact: Any) -> Any:
        decision = genuine(state, fact)
        if decision.to == "expired" and not raced:
            raced.append(True)
            # On a connection of its own, or beginning again would take it back.
            other = threading.Thread(target=begin_to_check)
            other.start()
            other.join(30)
        return decision

    monkeypatch.setattr(applying, "decide", decide)
    notify(payment, event="cip.expired")
    assert raced
    assert refresh(payment).status == "pending"


def test_the_poller_confirms_what_waits_for_a_query(
    pe: PagoEfectivo, configure: Any, probe: Probe
) -> None:
    configure(CONFIRM_WITH_STATUS_QUERY=True)
    payment = create()
    notify(payment)
    pe.codes[str(payment.cip)].status = PAID
    with time_machine.travel(timezone.now() + timedelta(seconds=1)):
        poll()
    assert refresh(payment).status == "paid"
    assert WebhookEvent.objects.get().outcome == "applied"
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        deliver_due()
    assert len(probe.of("payment_confirmed")) == 1
    assert SignalDelivery.objects.filter(state="pending").count() == 0

"""Asking PagoEfectivo: sync, poll, extend, cancel."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_pagoefectivo.exceptions import (
    GatewayUnavailable,
    InvalidPayment,
    InvalidTransition,
    OutcomeUnknown,
    RequestRejected,
)
from django_pagoefectivo.models import Payment, TimelineEntry
from django_pagoefectivo.services import (
    asking,
    cancel_payment,
    create_payment,
    extend_payment,
    poll,
    sync_payment,
    sync_payments,
)
from django_pagoefectivo.testing import make_payment
from tests.servers import (
    ANNULLED,
    DELETED,
    EXPIRED,
    GENERATED,
    NEVER,
    PAID,
    Code,
    PagoEfectivo,
    Reply,
)

from .kit import CUSTOMER, Probe, at_once, notify, refresh, say

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)
UNCHANGING = ("created", "paid", "cancelled", "failed", "refunded")


def create(**kwargs: Any) -> Payment:
    return create_payment(
        **{"order_reference": "A-1", "amount": Decimal("22.05"), "customer": CUSTOMER, **kwargs}
    )


def later(delta: timedelta) -> Any:
    return time_machine.travel(timezone.now() + delta)


def test_500_open_payments_cost_10_calls(pe: PagoEfectivo) -> None:
    create(order_reference="a token is there")
    for _ in range(499):
        payment = make_payment(next_poll_at=None)
        pe.codes[str(payment.cip)] = Code(
            str(payment.cip), payment.transaction_code, payment.amount, "PEN", NEVER
        )
    pe.calls.clear()
    report = poll(everything=True)
    assert pe.counts == {"search": 10}
    assert (report.sync.asked, report.sync.calls, report.sync.changed) == (500, 10, 0)
    assert all(len(call.data["data"]) == 50 for call in pe.of("search"))
    pe.calls.clear()
    poll()
    assert pe.calls == [], "asked again before it was due"


def test_the_batch_size_is_a_setting(pe: PagoEfectivo, configure: Callable[..., None]) -> None:
    for number in range(7):
        create(order_reference=f"N-{number}")
    configure(SEARCH_BATCH_SIZE=3)
    poll(everything=True)
    assert [len(call.data["data"]) for call in pe.of("search")] == [3, 3, 1]


def test_a_lost_notification_is_found(pe: PagoEfectivo, probe: Probe) -> None:
    payment = create()
    code = pe.codes[str(payment.cip)]
    code.status, code.paid_at = PAID, "2026-11-23T10:20:00-05:00"
    poll(everything=True)
    row = refresh(payment)
    assert (row.status, row.paid_amount) == ("paid", Decimal("22.05"))
    assert row.paid_at is not None
    assert row.paid_at.isoformat() == "2026-11-23T15:20:00+00:00"
    (heard,) = probe.of("payment_confirmed")
    assert (heard.source, heard.late, heard.event_id) == ("status_query", False, None)
    notify(payment)
    assert refresh(payment).operation_number == "1253"
    assert len(probe.of("payment_confirmed")) == 1
    assert probe.of("payment_flagged") == []


@pytest.mark.parametrize(("number", "status"), [(ANNULLED, "cancelled"), (DELETED, "cancelled")])
def test_what_pagoefectivo_closed(number: int, status: str, pe: PagoEfectivo, probe: Probe) -> None:
    payment = create()
    pe.codes[str(payment.cip)].status = number
    assert sync_payment(payment).status == status
    assert len(probe.of(f"payment_{status}")) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"amount": Decimal(1)}, "amount_mismatch"), ({"currency": "USD"}, "currency_mismatch")],
)
def test_paid_with_other_money_is_flagged_once(
    change: dict[str, Any], reason: str, pe: PagoEfectivo, probe: Probe
) -> None:
    payment = create()
    code = pe.codes[str(payment.cip)]
    code.status = PAID
    for name, value in change.items():
        setattr(code, name, value)
    for _ in range(3):
        sync_payment(payment)
    assert (payment.status, payment.attention) == ("pending", reason)
    assert [h.reason for h in probe.of("payment_flagged")] == [reason]


@pytest.mark.parametrize("said", [{"amount": None}, {"currency": None}, {"amount": 1}])
def test_what_pagoefectivo_calls_paid_does_not_expire(
    said: dict[str, Any], pe: PagoEfectivo, probe: Probe
) -> None:
    """Without its sum nothing is confirmed, and a person sees it."""
    payment = create(expires_in=HOUR)
    say(pe, payment, **said)
    with later(2 * HOUR):
        Payment.objects.update(next_poll_at=timezone.now())
        poll()
        poll()
    row = refresh(payment)
    assert (row.status, bool(row.attention)) == ("pending", True)
    assert probe.of("payment_expired") == probe.of("payment_confirmed") == []
    assert len(probe.of("payment_flagged")) == 1
    assert row.next_poll_at is not None


def test_one_payment_that_cannot_be_dealt_with_does_not_end_a_pass(
    pe: PagoEfectivo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = create(), create(order_reference="A-2")
    for payment in (first, second):
        pe.codes[str(payment.cip)].status = PAID
    genuine: Callable[..., bool] = vars(asking)["absorb"]

    def absorb(payment: Payment, *args: Any, **kwargs: Any) -> bool:
        if payment.pk == first.pk:
            raise ArithmeticError("made up")
        return genuine(payment, *args, **kwargs)

    monkeypatch.setattr(asking, "absorb", absorb)
    Payment.objects.update(next_poll_at=timezone.now())
    report = poll().sync
    assert (report.asked, report.failed) == (1, 1)
    assert refresh(second).status == "paid"
    assert "made up" in caplog.text
    assert str(first.cip) in report.errors[0]


@pytest.mark.parametrize(
    ("number", "name"), [(99, "Pagado"), (0, "Cancelado."), (-23, "Pagado"), (230, "Cancelado")]
)
def test_an_unknown_status_warns_and_changes_nothing(
    number: int, name: str, pe: PagoEfectivo, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    payment = create()
    probe.heard.clear()
    code = pe.codes[str(payment.cip)]
    code.status, code.name = number, name
    with caplog.at_level(logging.WARNING, "django_pagoefectivo"):
        poll(everything=True)
    assert (refresh(payment).status, refresh(payment).attention) == ("pending", "")
    assert probe.heard == []
    assert [r.levelno for r in caplog.records if r.name == "django_pagoefectivo.sync"] == [30]


def test_a_missing_cip_is_flagged_once(pe: PagoEfectivo, probe: Probe) -> None:
    payment = create()
    del pe.codes[str(payment.cip)]
    for _ in range(3):
        poll(everything=True)
    row = refresh(payment)
    assert (row.status, row.attention) == ("pending", "status_conflict")
    assert [h.reason for h in probe.of("payment_flagged")] == ["status_conflict"]


def test_a_missing_cip_that_reappears_is_no_longer_flagged(pe: PagoEfectivo) -> None:
    payment = create()
    code = pe.codes.pop(str(payment.cip))
    poll(everything=True)
    pe.codes[code.cip] = code
    poll(everything=True)
    assert refresh(payment).attention == ""


# -- the term ----------------------------------------------------------------------------


def test_overdue_ones_expire(pe: PagoEfectivo, probe: Probe) -> None:
    payment = create(expires_in=HOUR)
    pe.codes[str(payment.cip)].status = EXPIRED
    with later(HOUR * 2):
        poll()
    assert refresh(payment).status == "expired"
    assert len(probe.of("payment_expired")) == 1


def test_overdue_ones_expire_though_pagoefectivo_lags(pe: PagoEfectivo, probe: Probe) -> None:
    payment = create(expires_in=HOUR)
    with later(HOUR * 2):
        poll()
    assert refresh(payment).status == "expired"
    assert len(probe.of("payment_expired")) == 1


def test_an_expired_one_is_not_reopened_by_a_code_that_lags(pe: PagoEfectivo, probe: Probe) -> None:
    """PagoEfectivo says "generated" a while longer; only an extension brings a code back."""
    payment = create(expires_in=HOUR)
    with later(HOUR * 2):
        poll()
        probe.heard.clear()
        assert sync_payment(payment).status == "expired"
        sync_payments(Payment.objects.all())
        assert refresh(payment).status == "expired"
        poll(everything=True)
    assert probe.heard == []


def test_a_code_that_lags_leaves_one_open_payment_of_the_order(pe: PagoEfectivo) -> None:
    create(expires_in=HOUR)
    with later(HOUR * 2):
        create()
        sync_payments(Payment.objects.all())
    assert Payment.objects.open().count() == 1


def test_overdue_and_paid_is_paid(pe: PagoEfectivo, probe: Probe) -> None:
    payment = create(expires_in=HOUR)
    pe.codes[str(payment.cip)].status = PAID
    with later(HOUR * 2):
        poll()
    assert refresh(payment).status == "paid"
    assert probe.of("payment_expired") == []


def test_overdue_ones_do_not_expire_while_nobody_answers(pe: PagoEfectivo) -> None:
    """It may have been paid: a term that is over is no answer."""
    payment = create(expires_in=HOUR)
    down = Reply(503, b"down", "text/html")
    pe.fail_next("search", down, down)
    with later(HOUR * 2):
        report = poll()
    assert report.sync.failed == 1
    assert refresh(payment).status == "pending"


def test_an_extension_made_elsewhere_is_learnt(pe: PagoEfectivo, probe: Probe) -> None:
    payment = create(expires_in=HOUR)
    pe.codes[str(payment.cip)].expires = "2031-01-01T00:00:00-05:00"
    with later(HOUR * 2):
        poll()
    row = refresh(payment)
    assert (row.status, row.expires_at.year) == ("pending", 2031)
    pe.codes[str(payment.cip)].status = EXPIRED
    sync_payment(payment)
    assert payment.status == "expired"
    pe.codes[str(payment.cip)].status = GENERATED
    sync_payment(payment)
    assert payment.status == "pending"


def test_one_failing_batch_does_not_stop_the_others(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    for number in range(4):
        create(order_reference=f"N-{number}")
    for code in pe.codes.values():
        code.status = PAID
    configure(SEARCH_BATCH_SIZE=2)
    down = Reply(503, b"down", "text/html")
    pe.fail_next("search", down, down)
    report = poll(everything=True)
    assert (report.sync.failed, report.sync.changed) == (2, 2)
    assert Payment.objects.paid().count() == 2


def test_a_merchant_that_was_removed_does_not_stop_the_others(pe: PagoEfectivo) -> None:
    make_payment(merchant="closed-shop")
    payment = create()
    pe.codes[str(payment.cip)].status = PAID
    poll(everything=True)
    assert refresh(payment).status == "paid"


def test_the_command_says_what_it_did_and_fails_for_what_it_could_not_ask(
    pe: PagoEfectivo,
) -> None:
    payment = create()
    pe.codes[str(payment.cip)].status = PAID
    make_payment(merchant="closed-shop")
    out = StringIO()
    with pytest.raises(CommandError, match=r"^1 payments could not be asked about.*closed-shop"):
        call_command("pagoefectivo_poll", "--all", stdout=out)
    assert out.getvalue().startswith("1 asked in 1 calls, 1 changed, ")
    assert refresh(payment).status == "paid"


def test_create_calls_that_were_never_answered_are_flagged(pe: PagoEfectivo, probe: Probe) -> None:
    payment = make_payment("created")
    poll()
    assert refresh(payment).attention == ""
    with later(HOUR):
        assert poll().unknown == 1
        assert poll().unknown == 0
    assert refresh(payment).attention == "outcome_unknown"
    assert [h.reason for h in probe.of("payment_flagged")] == ["outcome_unknown"]


def test_sync_of_a_paid_payment_that_pagoefectivo_calls_expired_is_a_conflict(
    pe: PagoEfectivo, probe: Probe
) -> None:
    payment = create()
    notify(payment)
    pe.codes[str(payment.cip)].status = EXPIRED
    sync_payment(payment)
    assert (payment.status, payment.attention) == ("paid", "status_conflict")


def test_a_query_that_fails_changes_nothing(pe: PagoEfectivo) -> None:
    payment = create()
    for fault in (
        Reply(500, b"{}"),
        Reply(200, b"<html>", "text/html"),
        Reply(200, b'{"code":"100","data":{}}'),
        Reply(200, b'{"code":"100"', declare_length=False),
        Reply(cut=True),
    ):
        pe.fail_next("search", fault, fault)
        with pytest.raises(GatewayUnavailable) as caught:
            sync_payment(payment)
        assert caught.value.payment == payment
        pe.faults.clear()
    assert (refresh(payment).status, refresh(payment).attention) == ("pending", "")


# -- extend ------------------------------------------------------------------------------


def test_extend_moves_the_deadline(pe: PagoEfectivo) -> None:
    payment = create()
    deadline = timezone.now().replace(microsecond=0) + timedelta(days=3)
    assert extend_payment(payment, expires_at=deadline).expires_at == deadline
    (call,) = pe.of("extend")
    assert call.data["dateExpiry"].endswith("-05:00")
    assert TimelineEntry.objects.filter(payment=payment, kind="change").count() == 1


def test_extend_brings_an_expired_one_back(pe: PagoEfectivo, probe: Probe) -> None:
    payment = create()
    pe.codes[str(payment.cip)].status = EXPIRED
    sync_payment(payment)
    probe.heard.clear()
    extended = extend_payment(payment, expires_in=HOUR)
    assert extended.status == "pending"
    assert create().pk == payment.pk
    assert [(h.signal, h.source) for h in probe.heard] == [("payment_pending", "api")]


def test_extend_is_refused_where_the_order_has_moved_on(pe: PagoEfectivo) -> None:
    old = create()
    pe.codes[str(old.cip)].status = EXPIRED
    sync_payment(old)
    new = create()
    with pytest.raises(InvalidTransition):
        extend_payment(old, expires_in=HOUR)
    notify(new)
    with pytest.raises(InvalidTransition):
        extend_payment(old, expires_in=HOUR)
    assert pe.of("extend") == []


@pytest.mark.parametrize("status", UNCHANGING)
def test_extend_is_refused(status: str, pe: PagoEfectivo) -> None:
    payment = make_payment(status)
    with pytest.raises(InvalidTransition, match=status):
        extend_payment(payment, expires_in=HOUR)
    assert pe.calls == []
    assert refresh(payment).status == status


def test_extend_to_the_past_is_refused(pe: PagoEfectivo) -> None:
    payment = create()
    with pytest.raises(InvalidPayment):
        extend_payment(payment, expires_at=timezone.now() - HOUR)
    assert pe.of("extend") == []


def test_extend_that_pagoefectivo_refuses_or_does_not_answer(pe: PagoEfectivo) -> None:
    payment = create()
    before = refresh(payment).expires_at
    pe.fail_next("extend", Reply(400, b'{"code":"111","message":"no","data":[]}'))
    with pytest.raises(RequestRejected):
        extend_payment(payment, expires_in=HOUR * 50)
    pe.fail_next("extend", Reply(cut=True, does_it=True))
    with pytest.raises(OutcomeUnknown):
        extend_payment(payment, expires_in=HOUR * 50)
    assert refresh(payment).expires_at == before
    sync_payment(payment)
    assert payment.expires_at > before


# -- cancel ------------------------------------------------------------------------------


def test_cancel(pe: PagoEfectivo, probe: Probe) -> None:
    payment = create()
    probe.heard.clear()
    cancelled = cancel_payment(payment)
    assert cancelled.status == "cancelled"
    assert cancelled.cancelled_at is not None
    assert pe.codes[str(payment.cip)].status == DELETED
    assert [(h.signal, h.source) for h in probe.heard] == [("payment_cancelled", "api")]
    with pytest.raises(InvalidTransition):
        cancel_payment(payment)
    assert len(pe.of("delete")) == 1


@pytest.mark.parametrize("status", [*UNCHANGING, "expired"])
def test_cancel_is_refused(status: str, pe: PagoEfectivo) -> None:
    payment = make_payment(status)
    with pytest.raises(InvalidTransition, match=status):
        cancel_payment(payment)
    assert pe.calls == []


def test_cancel_of_a_stale_object_looks_at_the_row(pe: PagoEfectivo) -> None:
    payment = create()
    stale = refresh(payment)
    notify(payment)
    with pytest.raises(InvalidTransition):
        cancel_payment(stale)
    assert pe.of("delete") == []
    assert refresh(payment).status == "paid"


def test_cancel_that_is_paid_meanwhile_stays_paid(pe: PagoEfectivo, probe: Probe) -> None:
    payment = create()
    pe.after["delete"] = lambda _: at_once(lambda: notify(payment))
    assert cancel_payment(payment).status == "paid"
    assert probe.of("payment_cancelled") == []
    assert len(probe.of("payment_confirmed")) == 1


def test_cancel_without_an_answer_is_settled_by_a_sync(pe: PagoEfectivo) -> None:
    payment = create()
    pe.fail_next("delete", Reply(cut=True, does_it=True))
    with pytest.raises(OutcomeUnknown):
        cancel_payment(payment)
    assert refresh(payment).status == "pending"
    assert sync_payment(payment).status == "cancelled"

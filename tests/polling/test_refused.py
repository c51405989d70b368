"""One code that PagoEfectivo refuses to be asked about does not keep the others waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from datetime import timedelta

import pytest
from django.utils import timezone

from django_pagoefectivo.models import Attention, Payment, TimelineEntry
from django_pagoefectivo.services import poll, sync_payments
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import captured_signals
from tests.promises.kit import refresh
from tests.servers import PAID, Call, PagoEfectivo, Reply

from .kit import DOWN, cips_asked, due, known, make_due

pytestmark = pytest.mark.django_db(transaction=True)

REFUSAL = {
    "code": "111",
    "message": "Solicitud con datos inválidos.",
    "data": [{"code": "113", "message": "Valor inválido.", "field": "cip"}],
}


def refuse(pe: PagoEfectivo, cips: Container[str] = (), *, longest: int = 1000) -> None:
    """Refuse each search call with one of ``cips`` in it, or with more than ``longest``."""

    def answer(_: PagoEfectivo, call: Call) -> Reply | None:
        asked = [str(item["cip"]) for item in call.data["data"]]
        if len(asked) <= longest and not any(cip in cips for cip in asked):
            return None
        return Reply(400, json.dumps(REFUSAL).encode())

    pe.fail_next("search", *[answer] * 1000)


def pay(pe: PagoEfectivo, payments: list[Payment]) -> None:
    for payment in payments:
        pe.codes[str(payment.cip)].status = PAID


@pytest.mark.parametrize("place", [0, 24, 49])
def test_the_others_are_asked_about_at_once(pe: PagoEfectivo, place: int) -> None:
    payments = make_due(pe, 50)
    pay(pe, payments)
    bad = payments.pop(place)
    refuse(pe, [str(bad.cip)])
    report = poll().sync
    assert (report.asked, report.failed) == (49, 1)
    assert {refresh(payment).status for payment in payments} == {"paid"}
    assert refresh(bad).status == "pending", "a refusal says nothing about the money"
    # Fifty, then both halves of what is refused: of 25, 13, 7, 4 and 2 at the most.
    assert report.calls == pe.counts["search"] <= 1 + 2 * 6


def test_a_person_sees_which_code_it_is(pe: PagoEfectivo) -> None:
    payments = make_due(pe, 8)
    bad = payments[3]
    refuse(pe, [str(bad.cip)])
    with captured_signals() as heard:
        report = poll().sync
    assert refresh(bad).attention == Attention.STATUS_CONFLICT
    assert heard.once("payment_flagged").payment == bad
    (entry,) = TimelineEntry.objects.filter(payment=bad, kind="flag")
    assert f"refuses to be asked about CIP {bad.cip}" in entry.note
    assert "Valor inválido. (113)" in entry.note
    assert not Payment.objects.exclude(pk=bad.pk).exclude(attention="").exists()
    (error,) = report.errors
    assert f"CIP {bad.cip}" in error


def test_it_is_asked_about_less_often_from_then_on(pe: PagoEfectivo) -> None:
    payments = make_due(pe, 8)
    refuse(pe, [str(payments[3].cip)])
    poll()
    assert due() == 0
    before = pe.counts["search"]
    assert poll().sync.calls == 0
    assert pe.counts["search"] == before


def test_it_is_flagged_once(pe: PagoEfectivo) -> None:
    payments = make_due(pe, 8)
    refuse(pe, [str(payments[3].cip)])
    for _ in range(3):
        Payment.objects.update(next_poll_at=timezone.now() - timedelta(minutes=1))
        poll()
    assert TimelineEntry.objects.filter(payment=payments[3], kind="flag").count() == 1


def test_an_overdue_one_does_not_expire_on_a_refusal(pe: PagoEfectivo) -> None:
    """PagoEfectivo did not say that it is not paid."""
    over = timezone.now() - timedelta(hours=2)
    bad, *_ = [
        known(pe, make_payment(expires_at=over, next_poll_at=over + timedelta(minutes=number)))
        for number in range(4)
    ]
    refuse(pe, [str(bad.cip)])
    assert poll().sync.asked == 3
    assert refresh(bad).status == "pending"
    assert Payment.objects.filter(status="expired").count() == 3


def test_a_batch_larger_than_pagoefectivo_takes_is_split(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    configure(SEARCH_BATCH_SIZE=80)
    payments = make_due(pe, 100)
    pay(pe, payments)
    refuse(pe, longest=20)
    report = poll().sync
    assert (report.asked, report.failed) == (100, 0)
    assert {refresh(payment).status for payment in payments} == {"paid"}
    assert not Payment.objects.exclude(attention="").exists()


def test_several_refused_codes_in_a_batch(pe: PagoEfectivo) -> None:
    payments = make_due(pe, 50)
    bad = [payments[number] for number in (0, 1, 30, 49)]
    refuse(pe, [str(payment.cip) for payment in bad])
    report = poll().sync
    assert (report.asked, report.failed) == (46, 4)
    flagged = Payment.objects.filter(attention=Attention.STATUS_CONFLICT)
    assert set(flagged) == set(bad)


def test_a_service_that_refuses_everything_is_not_asked_about_each_code(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    """Nothing was answered, so it is no one code's fault: none is flagged."""
    configure(SEARCH_BATCH_SIZE=50)
    payments = make_due(pe, 200)
    refuse(pe, [str(payment.cip) for payment in payments])
    report = poll().sync
    assert (report.asked, report.failed) == (0, 200)
    assert report.calls == pe.counts["search"] <= 4 + 24
    assert not Payment.objects.exclude(attention="").exists()
    # Those that were asked about alone wait for their next turn.
    assert due() >= 180


def test_one_code_alone_that_is_refused_is_asked_about_again(pe: PagoEfectivo) -> None:
    (payment,) = make_due(pe, 1)
    refuse(pe, [str(payment.cip)])
    assert poll().sync.failed == 1
    assert due() == 0
    row = refresh(payment)
    assert row.attention == ""
    assert row.next_poll_at is not None


@pytest.mark.parametrize("count", [8, 12, 25, 45])
def test_many_refused_ones_keep_nobody_waiting_for_long(pe: PagoEfectivo, count: int) -> None:
    """Those that were due first are not asked about first for ever."""
    bad = make_due(pe, count)
    good = make_due(pe, 5, since=30)
    pay(pe, good)
    refuse(pe, [str(payment.cip) for payment in bad])
    for _ in range(8):
        report = poll().sync
        assert report.calls <= 70
    assert {refresh(payment).status for payment in good} == {"paid"}
    assert {refresh(payment).status for payment in bad} == {"pending"}


def test_a_pause_in_the_middle_gives_back_what_was_not_asked(pe: PagoEfectivo) -> None:
    payments = make_due(pe, 8)
    pay(pe, payments)
    refuse(pe, [str(payments[0].cip)])
    # Refused as eight, four and two; then the first is refused, the second answered, and what
    # is left of the eight is not.
    waiting = pe.faults["search"]
    for place in range(5, 20):
        waiting[place] = DOWN
    report = poll().sync
    assert refresh(payments[1]).status == "paid"
    left = {payment.pk for payment in payments[2:]}
    stay_due = Payment.objects.filter(next_poll_at__lte=timezone.now())
    assert set(stay_due.values_list("pk", flat=True)) == left
    assert (report.asked, report.failed) == (1, 7)


def test_staff_ask_about_many_in_the_same_way(pe: PagoEfectivo) -> None:
    payments = make_due(pe, 20)
    pay(pe, payments)
    bad = payments.pop(5)
    refuse(pe, [str(bad.cip)])
    told: list[int] = []
    report = sync_payments(
        Payment.objects.all(), answered=lambda part: told.extend(p.pk for p in part)
    )
    assert (report.asked, report.failed) == (19, 1)
    assert {refresh(payment).status for payment in payments} == {"paid"}
    assert {payment.pk for payment in payments} <= set(told)


def test_no_code_is_asked_about_twice_once_it_was_answered(pe: PagoEfectivo) -> None:
    payments = make_due(pe, 16)
    refuse(pe, [str(payments[9].cip)])
    report = poll().sync
    answered = [
        cip
        for call in pe.of("search")
        if str(payments[9].cip) not in (asked := [str(i["cip"]) for i in call.data["data"]])
        for cip in asked
    ]
    assert len(answered) == len(set(answered)) == report.asked == 15
    assert len(cips_asked(pe)) > 15

"""Everything at the same instant: threads with connections of their own, real transactions."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import requests
from django.db import connection
from django.utils import timezone

from django_pagoefectivo.exceptions import (
    InvalidTransition,
    OrderAlreadyOpen,
    OutcomeUnknown,
    PagoEfectivoError,
    RequestRejected,
)
from django_pagoefectivo.models import Payment, SignalDelivery, TimelineEntry, WebhookEvent
from django_pagoefectivo.services import (
    cancel_payment,
    create_payment,
    deliver_due,
    extend_payment,
    intake,
    poll,
    sync_payment,
)
from django_pagoefectivo.testing import make_payment
from tests.servers import GENERATED, PAID, Call, PagoEfectivo, Reply

from .kit import CUSTOMER, Probe, at_once, body_of, hmac_of, notify, post, refresh

pytestmark = pytest.mark.django_db(transaction=True)
#: Fewer rounds where writers queue up behind one lock anyway.
ROUNDS = 50


def create(**kwargs: Any) -> Payment:
    return create_payment(
        **{"order_reference": "A-1", "amount": Decimal("22.05"), "customer": CUSTOMER, **kwargs}
    )


def answers(results: list[Any]) -> Counter[tuple[int, str]]:
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return Counter((r.status_code, r.content.decode()) for r in results)


# -- notifications -----------------------------------------------------------------------


def test_32_identical_notifications(probe: Probe) -> None:
    payment = make_payment()
    body = body_of(payment)
    results = at_once(*[partial(post, body)] * 32)
    assert answers(results) == {(200, "applied"): 1, (200, "duplicate"): 31}
    event = WebhookEvent.objects.get()
    assert (event.times_received, event.outcome) == (32, "applied")
    assert refresh(payment).status == "paid"
    assert len(probe.of("payment_confirmed")) == 1
    assert SignalDelivery.objects.filter(state="pending").count() == 0


def test_32_identical_notifications_over_http(live_server: Any, probe: Probe) -> None:
    payment = make_payment()
    body = body_of(payment)
    url = live_server.url + "/pagoefectivo/webhook/"
    headers = {"PE-Signature": hmac_of(body)}

    # Eight connections of four each: the test server's own queue holds ten.
    def four() -> list[requests.Response]:
        return [requests.post(url, data=body, headers=headers, timeout=60) for _ in range(4)]

    results = [answer for part in at_once(*[four] * 8) for answer in part]
    assert answers(results) == {(200, "applied"): 1, (200, "duplicate"): 31}
    assert WebhookEvent.objects.get().times_received == 32
    assert len(probe.of("payment_confirmed")) == 1


def test_32_identical_notifications_of_an_unknown_cip() -> None:
    body = body_of(cip="71000001", amount=1, currency="PEN")
    results = at_once(*[partial(post, body)] * 32)
    assert answers(results) == {(200, "unmatched"): 1, (200, "duplicate"): 31}
    assert WebhookEvent.objects.get().times_received == 32


def test_32_wrong_amounts_at_once(probe: Probe) -> None:
    payment = make_payment()
    body = body_of(payment, amount=1)
    results = at_once(*[partial(post, body)] * 32)
    assert answers(results) == {(200, "mismatch"): 1, (200, "duplicate"): 31}
    assert len(probe.of("payment_flagged")) == 1


def test_the_same_operation_in_16_wordings_at_once(probe: Probe) -> None:
    payment = make_payment()
    bodies = [body_of(payment, wording=number) for number in range(16)]
    results = at_once(*[partial(post, body) for body in bodies])
    assert answers(results) == {(200, "applied"): 1, (200, "duplicate"): 15}
    assert WebhookEvent.objects.count() == 16
    assert len(probe.of("payment_confirmed")) == 1
    assert probe.of("payment_flagged") == []


def test_a_second_operation_in_16_wordings_at_once_is_flagged_once(probe: Probe) -> None:
    payment = make_payment()
    notify(payment, operation="1")
    bodies = [body_of(payment, operation="2", wording=number) for number in range(16)]
    results = at_once(*[partial(post, body) for body in bodies])
    assert {status for status, _ in answers(results)} == {200}
    assert refresh(payment).attention == "duplicate_payment"
    assert len(probe.of("payment_flagged")) == 1


def test_an_unmatched_one_repeated_at_once_is_applied_once(probe: Probe) -> None:
    body = body_of(cip="72000001", amount=Decimal("22.05"), currency="PEN")
    assert post(body).content == b"unmatched"
    payment = make_payment(cip="72000001")
    results = at_once(*[partial(post, body)] * 8)
    assert answers(results) == {(200, "applied"): 1, (200, "duplicate"): 7}
    assert WebhookEvent.objects.get().times_received == 9
    assert len(probe.of("payment_confirmed", payment)) == 1


# -- a notification, a status query and a staff click ------------------------------------


def lawful(payment: Payment, probe: Probe) -> None:
    """One of the states the table allows, told as it came to be."""
    row = refresh(payment)
    confirmed = probe.of("payment_confirmed", payment)
    cancelled = probe.of("payment_cancelled", payment)
    transitions = list(
        TimelineEntry.objects.filter(payment=payment, kind="transition").values_list(
            "from_status", "to_status"
        )
    )
    assert row.status == "paid", (row.status, transitions)
    assert len(confirmed) == 1
    assert len(cancelled) <= 1
    assert confirmed[0].late == bool(cancelled), (confirmed, transitions)
    # A later query may add that PagoEfectivo still calls it deleted; the timeline keeps both.
    flags = TimelineEntry.objects.filter(payment=payment, kind="flag")
    assert flags.filter(reason="late_payment").exists() == bool(cancelled)
    assert row.paid_amount == row.amount
    assert (row.open_key, row.confirmed_key) == (None, row.order_key)
    assert SignalDelivery.objects.filter(payment=payment, state="pending").count() == 0


def test_notification_racing_sync_racing_cancel(pe: PagoEfectivo, probe: Probe) -> None:
    """The shopper pays while staff click cancel: money was paid, so it ends paid."""
    cancels: Counter[str] = Counter()
    for number in range(ROUNDS):
        payment = create(order_reference=f"R-{number}")
        # PagoEfectivo itself may delete it or not; both clicks race with the payment.
        if number % 2:
            pe.codes[str(payment.cip)].status = PAID
        mine = [refresh(payment) for _ in range(3)]
        results = at_once(
            partial(post, body_of(payment)),
            partial(sync_payment, mine[0]),
            partial(cancel_payment, mine[1]),
        )
        assert results[0].status_code == 200, results
        for result in results[1:]:
            allowed = Payment | InvalidTransition | RequestRejected
            assert isinstance(result, allowed), repr(result)
        lawful(payment, probe)
        cancels[type(results[2]).__name__] += 1
    assert sum(cancels.values()) == ROUNDS


def test_everything_at_one_payment(pe: PagoEfectivo, probe: Probe) -> None:
    for number in range(10):
        payment = create(order_reference=f"E-{number}")
        results = at_once(
            partial(post, body_of(payment)),
            partial(post, body_of(payment, wording="again")),
            partial(sync_payment, refresh(payment)),
            partial(cancel_payment, refresh(payment)),
            partial(extend_payment, refresh(payment), expires_in=timedelta(hours=5)),
            lambda: poll(everything=True),
            deliver_due,
            partial(create, order_reference=f"E-{number}"),
        )
        for result in results:
            if isinstance(result, BaseException):
                assert isinstance(result, PagoEfectivoError), repr(result)
        assert results[0].status_code == results[1].status_code == 200
        lawful(payment, probe)


# -- create_payment ----------------------------------------------------------------------


@pytest.mark.parametrize("width", [2, 8])
def test_creates_of_one_order_at_once(width: int, pe: PagoEfectivo, probe: Probe) -> None:
    for number in range(10):
        reference = f"C-{width}-{number}"
        results = at_once(*[partial(create, order_reference=reference)] * width)
        for result in results:
            assert isinstance(result, Payment), repr(result)
        assert len({p.pk for p in results}) == 1
        assert {p.status for p in results} == {"pending"}
        assert len({p.cip for p in results}) == 1
    assert pe.counts["create"] == len(pe.open_codes()) == 10
    assert Payment.objects.open().count() == 10
    assert len(probe.of("payment_created")) == len(probe.of("payment_pending")) == 10


def test_creates_of_one_order_with_other_amounts_at_once(pe: PagoEfectivo) -> None:
    for number in range(10):
        wishes = [Decimal(10), Decimal(20), Decimal(30)]
        results = at_once(
            *[partial(create, order_reference=f"W-{number}", amount=a) for a in wishes]
        )
        assert sum(isinstance(r, Payment) for r in results) == 1, results
        assert sum(isinstance(r, OrderAlreadyOpen) for r in results) == 2, results
    assert pe.counts["create"] == 10


def test_creates_at_once_while_the_outcome_is_unknown(pe: PagoEfectivo) -> None:
    pe.fail_next("create", Reply(does_it=True, cut=True, delay=0.3))
    results = at_once(*[create] * 6)
    assert all(isinstance(r, OutcomeUnknown) for r in results), results
    assert pe.counts["create"] == 1
    assert Payment.objects.get().status == "created"


def test_people_who_supersede_at_once_make_one_new_code(pe: PagoEfectivo) -> None:
    pe.fail_next("create", Reply(does_it=True, cut=True))
    with pytest.raises(OutcomeUnknown):
        create()
    results = at_once(*[partial(create, supersede=True)] * 6)
    assert {type(r) for r in results} == {Payment}, results
    assert len({r.pk for r in results}) == 1
    assert pe.counts["create"] == 2


def test_overdue_gives_way_to_one_only(pe: PagoEfectivo, probe: Probe) -> None:
    old = create()
    Payment.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    pe.codes[str(old.cip)].expires = "2020-01-01T00:00:00-05:00"
    results = at_once(*[create] * 6)
    assert {type(r) for r in results} == {Payment}, results
    assert len({r.pk for r in results}) == 1
    assert Payment.objects.open().count() == 1
    assert pe.counts["create"] == 2
    assert len(probe.of("payment_expired", old)) == 1


def test_the_notification_is_faster_than_the_create_answer(pe: PagoEfectivo, probe: Probe) -> None:
    """Paid by transaction code before PagoEfectivo's answer to the create call is here."""

    def pay(call: Call) -> None:
        (code,) = pe.by_transaction(call.data["transactionCode"])
        body = body_of(
            cip=code.cip,
            code=code.transaction_code,
            amount=Decimal(str(code.amount)),
            currency="PEN",
        )
        assert at_once(partial(post, body))[0].status_code == 200

    pe.after["create"] = pay
    payment = create()
    row = refresh(payment)
    assert (payment.status, row.status, row.attention) == ("paid", "paid", "")
    assert row.cip_url
    assert len(probe.of("payment_confirmed")) == 1


def test_a_notification_by_cip_alone_crosses_the_create_answer(
    pe: PagoEfectivo, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks for the CIP just before the answer is written and is stored just after."""
    looked, created = threading.Event(), threading.Event()
    real = intake._find

    def look(received: Any) -> Any:
        found = real(received)
        looked.set()
        # Where writers wait for one another the create cannot get through here.
        created.wait(0.5)
        return found

    monkeypatch.setattr(intake, "_find", look)
    body = body_of(cip="10000001", amount=Decimal("22.05"), currency="PEN")
    pe.after["create"] = lambda _: looked.wait(5)

    def make() -> Payment:
        payment = create()
        created.set()
        return payment

    results = at_once(make, partial(post, body))
    payment, answer = results
    assert isinstance(payment, Payment), payment
    assert answer.status_code == 200
    # Answered 200: nobody will say it again, so it must not stay without its payment.
    assert refresh(payment).status == "paid"
    assert WebhookEvent.objects.get().outcome == "applied"
    assert len(probe.of("payment_confirmed")) == 1


# -- two codes of one order --------------------------------------------------------------


def test_two_codes_of_one_order_paid_at_once(pe: PagoEfectivo, probe: Probe) -> None:
    for number in range(30):
        reference = f"T-{number}"
        one = make_payment("expired", order_reference=reference)
        two = make_payment("pending", order_reference=reference)
        results = at_once(
            partial(post, body_of(one, operation="1")), partial(post, body_of(two, operation="2"))
        )
        assert answers(results) == {(200, "applied"): 2}
        rows = [refresh(one), refresh(two)]
        assert [r.status for r in rows] == ["paid", "paid"]
        confirmed = probe.of("payment_confirmed", one) + probe.of("payment_confirmed", two)
        assert len(confirmed) == 1
        assert sorted(r.confirmed_key is not None for r in rows) == [False, True]
        (second,) = [r for r in rows if r.confirmed_key is None]
        assert second.attention == "duplicate_payment"
        assert [h.reason for h in probe.of("payment_flagged", second)] == ["duplicate_payment"]


def test_two_open_codes_of_one_order_paid_at_once(pe: PagoEfectivo, probe: Probe) -> None:
    for number in range(15):
        reference = f"O-{number}"
        one = make_payment("pending", order_reference=reference)
        two = make_payment("pending", order_reference=reference, open_key=None)
        results = at_once(
            partial(post, body_of(one, operation="1")), partial(post, body_of(two, operation="2"))
        )
        assert answers(results) == {(200, "applied"): 2}
        assert {refresh(one).status, refresh(two).status} == {"paid"}
        confirmed = probe.of("payment_confirmed", one) + probe.of("payment_confirmed", two)
        assert len(confirmed) == 1


# -- delivery ----------------------------------------------------------------------------


def test_deliverers_at_once_call_each_receiver_once(configure: Any, probe: Probe) -> None:
    configure(SIGNAL_DELIVERY="worker")
    payments = [make_payment() for _ in range(20)]
    for payment in payments:
        notify(payment)
    assert probe.heard == []
    reports = at_once(*[deliver_due] * 6)
    assert sum(r.delivered for r in reports) == 20, reports
    assert Counter(h.payment_id for h in probe.heard) == {p.pk: 1 for p in payments}


def test_a_deliverer_leaves_alone_what_the_request_is_telling(probe: Probe) -> None:
    payment = make_payment()
    started, go_on = threading.Event(), threading.Event()

    def wait(heard: Any) -> None:
        started.set()
        assert go_on.wait(20)

    probe.then = wait

    def sweep() -> Any:
        assert started.wait(20)
        try:
            return deliver_due(ignore_backoff=True)
        finally:
            go_on.set()

    answer, report = at_once(partial(post, body_of(payment)), sweep)
    assert answer.status_code == 200
    assert (report.delivered, report.failed) == (0, 0)
    assert len(probe.of("payment_confirmed")) == 1


def test_pollers_at_once_change_a_payment_once(pe: PagoEfectivo, probe: Probe) -> None:
    payments = [create(order_reference=f"P-{n}") for n in range(10)]
    for code in pe.codes.values():
        code.status = PAID
    for result in at_once(*[lambda: poll(everything=True)] * 4):
        assert not isinstance(result, BaseException), repr(result)
    assert all(refresh(p).status == "paid" for p in payments)
    assert len(probe.of("payment_confirmed")) == 10


def test_missing_codes_are_flagged_once_by_pollers_at_once(pe: PagoEfectivo, probe: Probe) -> None:
    payment = make_payment()
    for result in at_once(*[lambda: poll(everything=True)] * 6):
        assert not isinstance(result, BaseException), repr(result)
    assert refresh(payment).attention == "status_conflict"
    assert len(probe.of("payment_flagged")) == 1


@pytest.mark.postgresql
def test_a_deadlock_is_begun_again() -> None:
    """Two notifications that name the same two payments in opposite order."""
    for _ in range(20):
        one, two = make_payment(), make_payment()
        results = at_once(
            partial(post, body_of(one, code=two.transaction_code)),
            partial(post, body_of(two, code=one.transaction_code)),
            partial(post, body_of(one)),
            partial(post, body_of(two)),
        )
        assert {r.status_code for r in results} == {200}, results
        assert {refresh(one).status, refresh(two).status} == {"paid"}


@pytest.mark.postgresql
def test_serializable_transactions_are_begun_again(probe: Probe) -> None:
    """A shop that runs its whole database at the strictest level."""
    payment = make_payment()
    body = body_of(payment)

    def strict() -> Any:
        with connection.cursor() as cursor:
            cursor.execute(
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"
            )
        return post(body)

    assert {status for status, _ in answers(at_once(*[strict] * 8))} == {200}
    assert WebhookEvent.objects.get().times_received == 8
    assert len(probe.of("payment_confirmed")) == 1


def test_nothing_here_leaves_open_codes_behind(pe: PagoEfectivo) -> None:
    """The stand-in itself: a deleted code is not open."""
    payment = create()
    assert [c.status for c in pe.open_codes()] == [GENERATED]
    cancel_payment(payment)
    assert pe.open_codes() == []

"""``CONFIRM_WITH_STATUS_QUERY``: a paid notification is kept, shown as such and asked about."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from django_pagoefectivo.models import Attention, Outcome, Payment, SignalDelivery, Status
from django_pagoefectivo.models import WebhookEvent as Event
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.control import ApiFault, NotificationFault, SandboxCode
from django_pagoefectivo.services import Customer, create_payment, deliver_due, poll, sync_payment

from .contracts import CIP, PAYMENT, Contract

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

AWAY = [ApiFault.CUT_BEFORE, ApiFault.HTML_200]


@pytest.fixture(params=[CIP, PAYMENT], ids=lambda contract: contract.name)
def contract(request: pytest.FixtureRequest) -> Contract:
    """Both contracts; one of a shop's own behaves like the one that it extends."""
    chosen: Contract = request.param
    return chosen


@pytest.fixture
def payment(installed: Contract, settings: Any) -> Payment:
    settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "CONFIRM_WITH_STATUS_QUERY": True}
    return create_payment(
        order_reference="A-1001", amount=25, customer=Customer(email="ana@shop.example")
    )


def name_of(payment: Payment) -> str:
    return payment.cip or payment.remote_id


def again(payment: Payment) -> Payment:
    return Payment.objects.get(pk=payment.pk)


@contextmanager
def pagoefectivo_away(fault: ApiFault = ApiFault.HTML_500) -> Iterator[None]:
    """Every call goes wrong in the block."""
    control.arm(fault, "any", times=1000)
    yield
    control.disarm()


def pay(payment: Payment, **options: Any) -> None:
    """Pay it at an agent; the notification arrives and is acknowledged."""
    (sent,) = control.pay(name_of(payment), **options)
    assert sent.statuses == (200,)


def owed() -> SignalDelivery:
    return SignalDelivery.objects.get(signal="confirmation_due")


def at(moment: datetime) -> time_machine.travel:
    return time_machine.travel(moment, tick=True)


def test_it_agrees_at_once(payment: Payment, told: dict[str, Any]) -> None:
    pay(payment)
    payment = again(payment)
    assert (payment.status, payment.checking_since) == (Status.PAID, None)
    (call,) = told["confirmed"].call_args_list
    assert call.kwargs["source"] == "status_query"
    assert call.kwargs["event"] == Event.objects.get()
    assert Event.objects.get().outcome == Outcome.APPLIED


@pytest.mark.parametrize("fault", AWAY, ids=str)
def test_an_hour_without_pagoefectivo_loses_nothing(
    payment: Payment, told: dict[str, Any], fault: ApiFault
) -> None:
    began = timezone.now()
    with pagoefectivo_away(fault):
        pay(payment)
        assert Event.objects.get().outcome == Outcome.PENDING
        waits = []
        moment = began
        while moment < began + timedelta(hours=1):
            row = owed()
            waits.append((row.due_at - moment).total_seconds())
            moment = row.due_at + timedelta(seconds=1)
            with at(moment):
                deliver_due()
                poll()
            assert again(payment).status == Status.PENDING
            assert not told["confirmed"].called
        # It is asked less and less often, and not once a second.
        assert len(waits) < 12
        assert all(later > earlier for earlier, later in itertools.pairwise(waits))
    with at(owed().due_at + timedelta(seconds=1)):
        deliver_due()
    payment = again(payment)
    assert (payment.status, payment.attention, payment.checking_since) == (Status.PAID, "", None)
    assert told["confirmed"].call_count == 1
    assert not told["flagged"].called
    assert Event.objects.get().outcome == Outcome.APPLIED
    assert not SignalDelivery.objects.filter(signal="confirmation_due", state="pending").exists()


def test_nor_does_its_end_of_term_meanwhile(payment: Payment, told: dict[str, Any]) -> None:
    with pagoefectivo_away():
        pay(payment)
    # PagoEfectivo is there again, and its query lags behind its own notification.
    SandboxCode.objects.update(status=SandboxCode.Status.GENERATED)
    with at(payment.expires_at + timedelta(minutes=10)):
        Payment.objects.update(checking_since=timezone.now() - timedelta(minutes=15))
        SandboxCode.objects.update(date_expiry=timezone.now() + timedelta(minutes=1))
        poll(everything=True)
        assert again(payment).status == Status.PENDING
        assert not told["expired"].called
        # Nor is a second code made for the order.
        second = create_payment(
            order_reference="A-1001", amount=25, customer=Customer(email="ana@shop.example")
        )
        assert second.pk == payment.pk
        SandboxCode.objects.update(status=SandboxCode.Status.PAID)
        poll(everything=True)
    assert again(payment).status == Status.PAID
    assert told["confirmed"].call_args.kwargs["late"] is False


class TestWhatIsShown:
    @pytest.fixture
    def waiting(self, payment: Payment) -> Iterator[Payment]:
        with pagoefectivo_away():
            pay(payment)
            yield again(payment)

    def test_on_the_page(self, waiting: Payment) -> None:
        page = Client().get(waiting.get_absolute_url()).content.decode()
        assert 'data-pe-state="confirming"' in page
        assert "being confirmed" in page
        assert "Please do not pay again" in page
        # Nothing on it invites to pay once more.
        assert "data-pe-copy" not in page
        assert waiting.cip_url not in page

    def test_in_the_live_status(
        self, waiting: Payment, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        with django_assert_num_queries(1):
            answer = Client().get(waiting.get_absolute_url() + "status/").json()
        assert (answer["status"], answer["paid"], answer["final"]) == ("pending", False, False)
        assert answer["status_display"] == "paid, being confirmed"
        assert answer["next_poll"]

    def test_the_page_asks_when_the_browser_comes_back(self, waiting: Payment) -> None:
        control.disarm()
        Client().get(waiting.get_absolute_url() + "return/")
        assert again(waiting).status == Status.PAID

    def test_to_staff(self, waiting: Payment) -> None:
        client = Client()
        client.force_login(get_user_model().objects.create_superuser("boss"))
        page = client.get(f"/admin/pagoefectivo/payment/{waiting.pk}/change/").content.decode()
        assert "A notification says it is paid; PagoEfectivo is asked since" in page
        assert "waiting for the status query" in page
        # The queue's tries, and when the next one is.
        assert "confirm_by_query" in page

    def test_no_more_once_it_is_confirmed(self, waiting: Payment) -> None:
        control.disarm()
        sync_payment(waiting)
        page = Client().get(waiting.get_absolute_url()).content.decode()
        assert 'data-pe-state="paid"' in page


class TestAContradiction:
    @pytest.mark.parametrize(
        "said",
        [SandboxCode.Status.EXPIRED, SandboxCode.Status.ANNULLED, SandboxCode.Status.DELETED],
        ids=lambda status: status.name,
    )
    def test_is_put_before_a_person_and_changes_nothing(
        self, payment: Payment, told: dict[str, Any], said: SandboxCode.Status
    ) -> None:
        with pagoefectivo_away():
            pay(payment)
        SandboxCode.objects.update(status=said)
        with at(owed().due_at + timedelta(seconds=1)):
            deliver_due()
            poll(everything=True)
        payment = again(payment)
        assert (payment.status, payment.attention) == (Status.PENDING, Attention.STATUS_CONFLICT)
        assert "A notification says that it is paid" in payment.attention_note
        assert told["flagged"].call_count == 1
        assert not told["confirmed"].called
        assert not told["expired"].called
        # It goes on asking, and once it is confirmed nobody has to look any more.
        SandboxCode.objects.update(status=SandboxCode.Status.PAID)
        with at(owed().due_at + timedelta(seconds=1)):
            deliver_due()
        payment = again(payment)
        assert (payment.status, payment.attention) == (Status.PAID, "")
        assert told["confirmed"].call_count == 1

    def test_that_it_still_says_pending_is_none_for_an_hour(
        self, payment: Payment, told: dict[str, Any]
    ) -> None:
        with pagoefectivo_away():
            pay(payment)
        SandboxCode.objects.update(status=SandboxCode.Status.GENERATED)
        began = timezone.now()
        for minutes, flagged in ((30, False), (59, False), (61, True), (90, True)):
            with at(began + timedelta(minutes=minutes)):
                sync_payment(payment)
            assert (again(payment).attention == Attention.STATUS_CONFLICT) is flagged, minutes
        assert told["flagged"].call_count == 1
        assert again(payment).status == Status.PENDING

    def test_another_amount(self, payment: Payment, told: dict[str, Any]) -> None:
        with pagoefectivo_away():
            pay(payment)
        SandboxCode.objects.update(amount=1)
        sync_payment(payment)
        payment = again(payment)
        assert (payment.status, payment.attention) == (Status.PENDING, Attention.AMOUNT_MISMATCH)
        assert not told["confirmed"].called


def test_a_late_payment_is_checked_too(payment: Payment, told: dict[str, Any]) -> None:
    control.expire(name_of(payment))
    assert sync_payment(payment).status == Status.EXPIRED
    with pagoefectivo_away():
        pay(payment, fault=NotificationFault.NONE)
    payment = again(payment)
    assert (payment.status, payment.is_being_checked) == (Status.EXPIRED, True)
    page = Client().get(payment.get_absolute_url()).content.decode()
    assert 'data-pe-state="confirming"' in page
    assert Client().get(payment.get_absolute_url() + "status/").json()["final"] is False
    with at(owed().due_at + timedelta(seconds=1)):
        deliver_due()
    payment = again(payment)
    assert (payment.status, payment.attention) == (Status.PAID, Attention.LATE_PAYMENT)
    assert told["confirmed"].call_args.kwargs["late"] is True


def test_without_the_setting_nothing_is_asked(installed: Contract, told: dict[str, Any]) -> None:
    payment = create_payment(
        order_reference="A-1001", amount=25, customer=Customer(email="ana@shop.example")
    )
    before = control.calls("search").count()
    pay(payment)
    assert again(payment).status == Status.PAID
    assert control.calls("search").count() == before

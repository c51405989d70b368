"""A purchase from end to end with every contract: the same calls, signals, pages and staff acts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client, override_settings
from django.utils import timezone

from django_pagoefectivo.exceptions import (
    GatewayUnavailable,
    NotSupported,
    OrderAlreadyPaid,
    OutcomeUnknown,
    RequestRejected,
)
from django_pagoefectivo.gateways import PaymentGateway, RemoteState
from django_pagoefectivo.models import ApiExchange, Attention, Payment, Status
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.control import ApiFault, NotificationFault
from django_pagoefectivo.services import (
    Customer,
    cancel_payment,
    create_payment,
    extend_payment,
    poll,
    sync_payment,
    sync_payments,
)

from .contracts import PAYMENT, Contract

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def buy(reference: str = "A-1001", **changes: Any) -> Payment:
    return create_payment(
        order_reference=reference,
        amount=Decimal("25.00"),
        customer=Customer(email="ana@shop.example", first_name="Ana"),
        **changes,
    )


def name_of(payment: Payment) -> str:
    return payment.cip or payment.remote_id


def again(payment: Payment) -> Payment:
    return Payment.objects.get(pk=payment.pk)


def outcome_unknown(fault: ApiFault = ApiFault.CUT_AFTER) -> Payment:
    control.arm(fault)
    with pytest.raises(OutcomeUnknown) as caught:
        buy()
    payment = caught.value.payment
    assert payment is not None
    assert (payment.status, payment.attention) == (Status.CREATED, Attention.OUTCOME_UNKNOWN)
    return payment


def test_bought_paid_and_told_once(installed: Contract, told: dict[str, Any]) -> None:
    payment = buy()
    assert payment.status == Status.PENDING
    assert name_of(payment)
    (sent,) = control.pay(name_of(payment))
    assert sent.statuses == (200,)
    payment = again(payment)
    assert (payment.status, payment.paid_amount) == (Status.PAID, Decimal("25.00"))
    (call,) = told["confirmed"].call_args_list
    assert (call.kwargs["payment"].pk, call.kwargs["source"]) == (payment.pk, "webhook")
    assert call.kwargs["late"] is False
    sync_payment(payment)
    assert told["confirmed"].call_count == 1
    assert not told["flagged"].called
    with pytest.raises(OrderAlreadyPaid):
        buy()


def test_the_callback_goes_to_the_merchants_own_address(installed: Contract) -> None:
    payment = buy()
    (sent,) = control.pay(name_of(payment))
    assert sent.url.endswith("/pagoefectivo/webhook/default/")


def test_the_payment_page_shows_where_to_pay(installed: Contract, settings: Any) -> None:
    settings.DEBUG = True
    payment = buy()
    page = Client().get(payment.get_absolute_url())
    assert page.status_code == 200
    assert payment.cip_url in page.content.decode()


def test_the_return_page_asks_and_believes_nothing_else(
    installed: Contract, told: dict[str, Any]
) -> None:
    payment = buy()
    url = payment.get_absolute_url() + "return/?status=PAID"
    assert Client().get(url).status_code == 200
    assert again(payment).status == Status.PENDING
    control.pay(name_of(payment), fault=NotificationFault.NEVER)
    # It asks about a payment only so often.
    cache.clear()
    assert Client().get(url).status_code == 200
    assert again(payment).status == Status.PAID
    assert told["confirmed"].call_args.kwargs["source"] == "status_query"


def test_staff_ask_in_the_admin(installed: Contract) -> None:
    payment = buy()
    control.pay(name_of(payment), fault=NotificationFault.NEVER)
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    answer = client.post(f"/admin/pagoefectivo/payment/{payment.pk}/act/sync/")
    assert answer.status_code == 302
    assert again(payment).status == Status.PAID
    page = client.get(f"/admin/pagoefectivo/payment/{payment.pk}/change/")
    assert page.status_code == 200


def test_the_poller_finds_what_nobody_told(installed: Contract, told: dict[str, Any]) -> None:
    paid, open_, expired = buy("A-1"), buy("A-2"), buy("A-3")
    control.pay(name_of(paid), fault=NotificationFault.NEVER)
    control.expire(name_of(expired))
    report = poll(everything=True)
    assert (report.sync.asked, report.sync.changed, report.sync.failed) == (3, 2, 0)
    assert [again(p).status for p in (paid, open_, expired)] == [
        Status.PAID,
        Status.PENDING,
        Status.EXPIRED,
    ]
    assert told["confirmed"].call_count == 1


def test_a_sync_of_many_takes_as_few_calls_as_it_can(
    installed: Contract, contract: Contract
) -> None:
    for number in range(3):
        buy(f"A-{number}")
    report = sync_payments(Payment.objects.all())
    assert (report.asked, report.failed) == (3, 0)
    assert control.calls("search").count() == contract.calls_to_ask[3]


def test_a_payment_that_is_gone_there_is_put_before_a_person(installed: Contract) -> None:
    payment = buy()
    control.SandboxCode.objects.all().delete()
    payment = sync_payment(payment)
    assert (payment.status, payment.attention) == (Status.PENDING, Attention.STATUS_CONFLICT)
    assert name_of(payment) in payment.attention_note


def test_extend_and_cancel(installed: Contract, contract: Contract) -> None:
    payment = buy()
    until = timezone.now().replace(microsecond=0) + timedelta(days=3)
    if not contract.can_change:
        with pytest.raises(NotSupported):
            extend_payment(payment, expires_at=until)
        with pytest.raises(NotSupported):
            cancel_payment(payment)
        return
    assert extend_payment(payment, expires_at=until).expires_at == until
    assert cancel_payment(payment).status == Status.CANCELLED


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        (ApiFault.REJECTED, RequestRejected, Status.FAILED),
        (ApiFault.OVER_LIMIT, RequestRejected, Status.FAILED),
        (ApiFault.ERROR_500, OutcomeUnknown, Status.CREATED),
        (ApiFault.CUT_BEFORE, OutcomeUnknown, Status.CREATED),
        (ApiFault.HTML_200, OutcomeUnknown, Status.CREATED),
        (ApiFault.SLOW, OutcomeUnknown, Status.CREATED),
    ],
    ids=str,
)
def test_a_create_that_fails_leaves_its_row(
    installed: Contract, fault: ApiFault, error: type[Exception], status: Status
) -> None:
    control.arm(fault, seconds=3)
    with pytest.raises(error):
        buy()
    payment = Payment.objects.get()
    assert payment.status == status
    assert ApiExchange.objects.filter(payment=payment, operation="create").count() == 1


class TestOutcomeUnknown:
    def test_a_notification_settles_it(self, installed: Contract, told: dict[str, Any]) -> None:
        payment = outcome_unknown()
        code = control.SandboxCode.objects.get()
        fault = NotificationFault.NEWER_FORM
        (sent,) = control.pay(code.cip, fault=fault)
        assert sent.accepted
        assert again(payment).status == Status.PAID
        assert told["confirmed"].call_count == 1

    def test_asked_it_settles_itself_where_it_can_be_asked(
        self, installed: Contract, contract: Contract
    ) -> None:
        payment = sync_payment(outcome_unknown())
        if not contract.settles_itself:
            assert (payment.status, payment.attention) == (
                Status.CREATED,
                Attention.OUTCOME_UNKNOWN,
            )
            assert control.calls("search").count() == 0
            return
        code = control.SandboxCode.objects.get()
        assert (payment.status, payment.attention) == (Status.PENDING, "")
        assert (payment.remote_id, payment.cip_url[-41:]) == (str(code.uuid), f"{code.uuid}.html")

    def test_by_the_poller_which_finds_it_paid(
        self, installed: Contract, contract: Contract, told: dict[str, Any]
    ) -> None:
        payment = outcome_unknown()
        control.pay(control.SandboxCode.objects.get().cip, fault=NotificationFault.NEVER)
        poll()
        payment = again(payment)
        assert payment.status == (Status.PAID if contract.settles_itself else Status.CREATED)
        assert told["confirmed"].call_count == int(contract.settles_itself)

    def test_by_the_poller_which_finds_that_it_never_arrived(
        self, installed: Contract, contract: Contract, told: dict[str, Any]
    ) -> None:
        payment = outcome_unknown(ApiFault.CUT_BEFORE)
        poll()
        # It may just be on its way.
        assert again(payment).status == Status.CREATED
        with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=True):
            poll()
        payment = again(payment)
        if not contract.settles_itself:
            assert payment.status == Status.CREATED
            return
        assert (payment.status, payment.attention) == (Status.FAILED, "")
        assert payment.failure_code == "never_made"
        assert told["failed"].call_args.kwargs["source"] == "status_query"
        assert buy().status == Status.PENDING

    def test_by_whoever_comes_back_to_the_page(
        self, installed: Contract, contract: Contract
    ) -> None:
        payment = outcome_unknown()
        Client().get(payment.get_absolute_url() + "return/")
        expected = Status.PENDING if contract.settles_itself else Status.CREATED
        assert again(payment).status == expected

    def test_by_the_shop_that_asks_once_more(self, installed: Contract, contract: Contract) -> None:
        payment = outcome_unknown()
        if not contract.settles_itself:
            with pytest.raises(OutcomeUnknown):
                buy()
            assert control.calls("create").count() == 1
            return
        assert buy().pk == payment.pk
        assert again(payment).status == Status.PENDING
        assert control.SandboxCode.objects.count() == 1

    def test_not_while_pagoefectivo_is_away(self, installed: Contract) -> None:
        payment = outcome_unknown()
        control.arm(ApiFault.CUT_BEFORE, "search", times=4)
        with pytest.raises(OutcomeUnknown):
            buy()
        poll()
        assert again(payment).status == Status.CREATED
        assert control.calls("create").count() == 1

    def test_what_was_over_before_anybody_asked_has_failed(
        self, installed: Contract, contract: Contract
    ) -> None:
        payment = outcome_unknown()
        control.expire(control.SandboxCode.objects.get().cip)
        payment = sync_payment(payment)
        expected = Status.FAILED if contract.settles_itself else Status.CREATED
        assert payment.status == expected
        if contract.settles_itself:
            assert buy().pk != payment.pk

    def test_a_person_may_try_again(self, installed: Contract, contract: Contract) -> None:
        payment = outcome_unknown(ApiFault.CUT_BEFORE)
        second = buy(supersede=True)
        assert second.pk != payment.pk
        assert second.status == Status.PENDING
        assert again(payment).attention == Attention.OUTCOME_UNKNOWN


class Taciturn(PaymentGateway):
    """A Payment API whose status answers do not name the hosted page."""

    def state_of(self, data: Any) -> RemoteState:
        return super().state_of({**data, "redirectUrl": None})


@pytest.mark.django_db(transaction=True)
def test_a_code_that_nobody_can_show_is_still_for_a_person(
    live_server: Any, transactional_db: None, settings: Any
) -> None:
    entry = PAYMENT.entry(live_server.url, API=f"{__name__}.Taciturn")
    with override_settings(
        PAGOEFECTIVO={"MERCHANTS": {"default": entry}, "SITE_URL": live_server.url}
    ):
        payment = sync_payment(outcome_unknown())
        assert (payment.status, payment.attention) == (Status.PENDING, Attention.OUTCOME_UNKNOWN)
        with pytest.raises(OutcomeUnknown):
            buy()
        second = buy(supersede=True)
        assert second.cip_url
        control.pay(second.remote_id)
        control.pay(payment.remote_id)
        first, second = again(payment), again(second)
        assert (first.status, second.status) == (Status.PAID, Status.PAID)
        assert first.attention == Attention.DUPLICATE_PAYMENT


def test_nothing_listens(installed: Contract, settings: Any) -> None:
    entry = {
        **settings.PAGOEFECTIVO["MERCHANTS"]["default"],
        "BASE_URL": "http://127.0.0.1:9/v1",
    }
    settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "MERCHANTS": {"default": entry}}
    with pytest.raises(GatewayUnavailable):
        buy()
    assert Payment.objects.get().status == Status.FAILED

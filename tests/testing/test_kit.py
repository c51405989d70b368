"""The kit against the app itself: what it makes is what PagoEfectivo and the services make."""

from __future__ import annotations

import copy
import hashlib
import hmac
import importlib
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, LiveServerTestCase, TestCase
from django.urls import reverse
from django.utils import timezone

import django_pagoefectivo.testing as kit
from django_pagoefectivo.gateways.payment import PaymentGateway
from django_pagoefectivo.models import (
    Attention,
    Outcome,
    Payment,
    SignalDelivery,
    Status,
    WebhookEvent,
)
from django_pagoefectivo.services import Customer, create_payment
from django_pagoefectivo.signals import payment_confirmed, payment_flagged
from django_pagoefectivo.testing import (
    PUBLIC_SIGNALS,
    CapturedSignals,
    PagoEfectivoTestMixin,
    Sandbox,
    assert_told,
    deliver,
    make_payment,
    notification,
    sign,
)
from django_pagoefectivo.testing.captured import listening
from django_pagoefectivo.testing.factories import (
    ApiExchangeFactory,
    CustomerFactory,
    PaymentFactory,
    SignalDeliveryFactory,
    WebhookEventFactory,
)
from django_pagoefectivo.testing.hosting import urls_with_sandbox

SECRET = "test-secret-key-not-real-0123456789abcdef"


class _OwnGateway(PaymentGateway):
    event_prefix = "pago."


def order(**fields: Any) -> Payment:
    values = {
        "order_reference": "A-1",
        "amount": Decimal("22.50"),
        "customer": Customer(email="ana@shop.example"),
    }
    return create_payment(**{**values, **fields})


@pytest.fixture
def payment_api(settings: Any) -> None:
    """The default merchant has the other contract."""
    changed = copy.deepcopy(settings.PAGOEFECTIVO)
    changed["MERCHANTS"]["default"] |= {"API": "payment", "BASE_URL": "http://127.0.0.1:9/api/v1"}
    settings.PAGOEFECTIVO = changed


# -- signing -------------------------------------------------------------------------------


def test_signature_is_the_published_one() -> None:
    body = (
        '{"eventType":"cip.paid","operationNumber":"1253",'
        '"data":{"cip":"11546901","currency":"PEN","amount":22.05}}'
    )
    assert sign(body) == "f8360efadc95d7e7fec46da057448d2979c30f657eb48ae561cf4cb6e59a4a24"
    assert sign(body.encode()) == sign(body)


@pytest.mark.django_db
def test_notification_has_the_documented_form_and_keeps_its_decimals() -> None:
    payment = make_payment(amount=Decimal("22.50"), cip="11546901")
    sent = notification(payment, operation_number="1253")
    assert sent.body == (
        b'{"eventType":"cip.paid","operationNumber":"1253",'
        b'"data":{"cip":"11546901","currency":"PEN","amount":22.50}}'
    )
    assert (
        sent.headers["PE-Signature"]
        == hmac.new(SECRET.encode(), sent.body, hashlib.sha256).hexdigest()
    )
    assert sent.url == "/pagoefectivo/webhook/default/"
    assert notification(payment) == notification(payment)


@pytest.mark.django_db
def test_indented_notification_is_signed_without_its_white_space() -> None:
    payment = make_payment()
    plain, indented = notification(payment), notification(payment, indented=True)
    assert indented.body != plain.body
    assert json.loads(indented.body) == json.loads(plain.body)
    assert indented.headers == plain.headers


@pytest.mark.django_db
@pytest.mark.usefixtures("payment_api")
def test_notification_of_the_payment_api(notify: Callable[..., Any]) -> None:
    payment = make_payment()
    sent = notification(payment, event="paid", paid_at=timezone.now())
    assert json.loads(sent.body)["eventType"] == "payment.paid"
    assert "PE-Signature" not in sent.headers
    assert sent.headers["X-Signature"] == sign(sent.body)
    assert notify(payment).status_code == 200
    assert payment.status == Status.PAID


@pytest.mark.django_db
@pytest.mark.usefixtures("payment_api")
def test_notification_of_a_gateway_of_ones_own(settings: Any) -> None:
    payment = make_payment()
    settings.PAGOEFECTIVO["MERCHANTS"]["default"]["API"] = f"{__name__}._OwnGateway"
    assert json.loads(notification(payment).body)["eventType"] == "pago.paid"
    settings.PAGOEFECTIVO["MERCHANTS"]["default"]["API"] = (
        "django_pagoefectivo.gateways.base.Gateway"
    )
    with pytest.raises(ImproperlyConfigured, match="use sign"):
        notification(payment)


# -- payments in any state -----------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("status", Status.values)
def test_a_payment_in_any_state_is_like_the_services_would_have_left_it(status: str) -> None:
    payment = make_payment(status)
    payment.refresh_from_db()
    assert payment.status == status
    assert payment.is_open == (payment.open_key is not None)
    assert (payment.confirmed_key is not None) == (status == Status.PAID)
    assert (payment.paid_amount is not None) == (status in (Status.PAID, Status.REFUNDED))
    assert (payment.expires_at < timezone.now()) == (status == Status.EXPIRED)
    assert (payment.cip is None) == (status in (Status.CREATED, Status.FAILED))


@pytest.mark.django_db
def test_times_may_be_offsets_and_orders_are_told_apart() -> None:
    payment = make_payment(expires_at=timedelta(minutes=5), order_reference="A-1")
    assert timedelta(minutes=4) < payment.expires_at - timezone.now() < timedelta(minutes=6)
    assert list(Payment.objects.for_order("A-1")) == [payment]
    assert make_payment("paid", amount=Decimal("7.00")).paid_amount == Decimal("7.00")


# -- notifying -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_notification_confirms_once_however_often(
    notify: Callable[..., Any], payment_signals: CapturedSignals
) -> None:
    payment = make_payment()
    answer = notify(payment, times=3)
    assert (answer.status_code, answer.content) == (200, b"duplicate")
    assert payment.status == Status.PAID
    call = payment_signals.once(payment_confirmed, payment)
    assert (call.source, call.extra) == ("webhook", {"late": False})
    assert call.payment.status == Status.PAID
    assert call.event is not None
    assert call.event.outcome == Outcome.APPLIED
    assert WebhookEvent.objects.get().times_received == 3
    assert_told(payment)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("what", "status", "attention"),
    [
        ({"forged": True}, 403, ""),
        ({"secret_key": "another"}, 403, ""),
        ({"missing": ["amount"]}, 400, ""),
        ({"missing": ["data"]}, 400, ""),
        ({"amount": Decimal("1.00")}, 200, Attention.AMOUNT_MISMATCH),
        ({"currency": "USD"}, 200, Attention.CURRENCY_MISMATCH),
        ({"event": "cip.reviewed"}, 200, ""),
    ],
)
def test_what_is_wrong_confirms_nothing(
    notify: Callable[..., Any],
    payment_signals: CapturedSignals,
    what: dict[str, Any],
    status: int,
    attention: str,
) -> None:
    payment = make_payment()
    assert notify(payment, **what).status_code == status
    assert (payment.status, payment.attention) == (Status.PENDING, attention)
    assert payment_signals.of(payment_confirmed) == []
    assert payment_signals.names == (["payment_flagged"] if attention else [])


@pytest.mark.django_db
def test_late_is_paid_and_flagged(
    notify: Callable[..., Any], payment_signals: CapturedSignals
) -> None:
    payment = make_payment()
    assert notify(payment, late=True).status_code == 200
    assert (payment.status, payment.attention) == (Status.PAID, Attention.LATE_PAYMENT)
    assert payment_signals.names == ["payment_expired", "payment_confirmed", "payment_flagged"]
    assert payment_signals.once("payment_confirmed").extra == {"late": True}
    assert payment_signals.once(payment_flagged).extra == {"reason": "late_payment"}


@pytest.mark.django_db
def test_expire_without_a_sandbox(
    expire: Callable[..., Any], payment_signals: CapturedSignals
) -> None:
    payment = make_payment()
    expire(payment)
    assert payment.status == Status.EXPIRED
    assert payment_signals.names == ["payment_expired"]


@pytest.mark.django_db
def test_the_webhook_is_asked_as_a_stranger_asks(notify: Callable[..., Any]) -> None:
    with patch.object(Client, "post", autospec=True, side_effect=Client.post) as posted:
        notify(make_payment())
    client = posted.call_args.args[0]
    assert client.handler.enforce_csrf_checks
    with pytest.raises(ValueError, match="at least 1"):
        notify(make_payment(), times=0)


# -- signals -------------------------------------------------------------------------------


@pytest.mark.django_db
def test_worker_delivery_is_run_by_hand(
    settings: Any, notify: Callable[..., Any], payment_signals: CapturedSignals
) -> None:
    settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "SIGNAL_DELIVERY": "worker"}
    payment = make_payment()
    notify(payment)
    assert payment_signals.names == []
    with pytest.raises(AssertionError, match="payment_confirmed: not called yet"):
        assert_told(payment)
    assert payment_signals.deliver().delivered == 1
    assert payment_signals.names == ["payment_confirmed"]
    payment_signals.clear()
    assert payment_signals.calls == []


@pytest.mark.django_db
def test_a_receiver_that_raises_is_named(notify: Callable[..., Any]) -> None:
    def broken(**kwargs: Any) -> None:
        raise LookupError("no such order")

    payment = make_payment()
    with listening(broken, "shop.broken", ["payment_confirmed"]):
        notify(payment)
        with pytest.raises(AssertionError, match=r"shop.broken of payment_confirmed: LookupError"):
            assert_told(payment)
        assert deliver().failed == 1
    assert payment_confirmed.receiver_names(Payment) == []


@pytest.mark.django_db
def test_once_says_what_was_sent_instead(payment_signals: CapturedSignals) -> None:
    with pytest.raises(AssertionError, match=r"sent 0 times, not once\. Sent were: none"):
        payment_signals.once(payment_confirmed)
    with pytest.raises(ValueError, match="payment_confirmed"):
        payment_signals.of("payment_paid")
    assert "other_codes_open" not in PUBLIC_SIGNALS


# -- factories -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_factories_make_what_fits_together(notify: Callable[..., Any]) -> None:
    payment = PaymentFactory.create()
    assert notify(payment).content == b"applied"
    paid = PaymentFactory.create(status="paid", order_reference="A-2")
    assert (paid.is_paid, paid.order_reference) == (True, "A-2")
    assert PaymentFactory.build(status="expired").pk is None
    assert len({one.transaction_code for one in PaymentFactory.create_batch(3)}) == 3
    owed = SignalDeliveryFactory.create(last_error="ValueError: no stock")
    assert owed.payment.is_paid
    assert SignalDelivery.objects.get() == owed
    assert ApiExchangeFactory.create(payment=paid).payment == paid
    assert create_customer_email() != create_customer_email()


def create_customer_email() -> str:
    return CustomerFactory.create().email


@pytest.mark.django_db
def test_event_factory_is_the_event_of_a_notification(notify: Callable[..., Any]) -> None:
    payment = make_payment()
    event = WebhookEventFactory.create(payment=payment)
    parsed = json.loads(bytes(event.body))
    assert parsed["data"]["cip"] == event.cip == payment.cip
    assert parsed["operationNumber"] == event.operation_number
    assert event.signature == sign(bytes(event.body))
    assert event.outcome == Outcome.APPLIED
    stranger = WebhookEventFactory.create()
    assert (stranger.payment, stranger.outcome) == (None, Outcome.UNMATCHED)
    assert not Payment.objects.filter(cip=stranger.cip).exists()
    assert WebhookEventFactory.create().digest != stranger.digest


def test_without_factory_boy_there_is_a_sentence() -> None:
    name = "django_pagoefectivo.testing.factories"
    with patch.dict(sys.modules, {"factory.base": None}):
        loaded = sys.modules.pop(name)
        try:
            with pytest.raises(ImportError, match=r'pip install "django-pagoefectivo\[testing\]"'):
                importlib.import_module(name)
        finally:
            sys.modules[name] = loaded


# -- the sandbox ---------------------------------------------------------------------------


def test_a_purchase_at_the_sandbox(
    pagoefectivo_sandbox: Sandbox, pay: Callable[..., Any], payment_signals: CapturedSignals
) -> None:
    payment = order()
    assert payment.status == Status.PENDING
    (sent,) = pay(payment)
    assert sent.statuses == (200,)
    assert payment.status == Status.PAID
    assert pagoefectivo_sandbox.code(payment).status_at().name == "PAID"
    assert payment_signals.names == ["payment_created", "payment_pending", "payment_confirmed"]
    pagoefectivo_sandbox.refund(payment)
    assert payment.status == Status.REFUNDED
    assert pagoefectivo_sandbox.calls("create").count() == 1


def test_faults_of_the_sandbox_by_name(
    pagoefectivo_sandbox: Sandbox, pay: Callable[..., Any], payment_signals: CapturedSignals
) -> None:
    payment = order()
    one, two = pay(payment, "twice-at-once")
    assert {*one.statuses, *two.statuses} == {200}
    assert len(payment_signals.of(payment_confirmed)) == 1
    pagoefectivo_sandbox.arm("rejected")
    with pytest.raises(Exception, match="refused the create call"):
        order(order_reference="A-2")


def test_expire_at_the_sandbox(
    pagoefectivo_sandbox: Sandbox, expire: Callable[..., Any], payment_signals: CapturedSignals
) -> None:
    payment = order()
    expire(payment)
    assert payment.status == Status.EXPIRED
    other = order(order_reference="A-2")
    (sent,) = expire(other, notify=True)
    assert (sent.event_type, sent.accepted) == ("cip.expired", True)
    assert other.status == Status.EXPIRED
    assert len(payment_signals.of("payment_expired")) == 2


def test_what_was_armed_is_forgotten_and_settings_are_back(
    live_server: Any, settings: Any, transactional_db: None
) -> None:
    before = settings.PAGOEFECTIVO
    with kit.sandbox_at(live_server.url) as sandbox:
        sandbox.arm("cut-before", times=5)
        assert settings.PAGOEFECTIVO["SITE_URL"] == live_server.url
    assert before == settings.PAGOEFECTIVO
    with kit.sandbox_at(live_server.url):
        assert order().status == Status.PENDING


def test_production_credentials_never_leave_a_test(
    live_server: Any, settings: Any, transactional_db: None
) -> None:
    changed = copy.deepcopy(settings.PAGOEFECTIVO)
    changed["MERCHANTS"]["default"] |= {"ENVIRONMENT": "production", "BASE_URL": None}
    settings.PAGOEFECTIVO = changed
    with kit.sandbox_at(live_server.url):
        payment = order()
    assert payment.cip_url.startswith(live_server.url)


def test_a_payment_pagoefectivo_does_not_know_cannot_be_paid_there(
    pagoefectivo_sandbox: Sandbox,
) -> None:
    with pytest.raises(ValueError, match="has no CIP"):
        pagoefectivo_sandbox.pay(make_payment("created"))


def test_sandbox_urls_are_added_where_the_shop_has_none(settings: Any) -> None:
    assert urls_with_sandbox() == "tests.urls"
    settings.ROOT_URLCONF = "tests.promises.urls"
    settings.ROOT_URLCONF = urls_with_sandbox()
    assert reverse("pagoefectivo_sandbox:panel") == "/pagoefectivo-sandbox/"
    assert reverse("pagoefectivo:webhook") == "/pagoefectivo/webhook/"


# -- unittest ------------------------------------------------------------------------------


class MixinTests(PagoEfectivoTestMixin, TestCase):
    """In a test whose transaction never commits."""

    def test_notified(self) -> None:
        payment = self.make_payment()
        assert self.notify(payment).status_code == 200
        self.payment_signals.once("payment_confirmed", payment)
        self.assertTold(payment)

    def test_expired(self) -> None:
        payment = self.make_payment()
        self.expire(payment)
        assert payment.status == Status.EXPIRED
        assert self.deliver().delivered == 0

    def test_signing(self) -> None:
        sent = self.notification(self.make_payment())
        assert sent.headers["PE-Signature"] == self.sign(sent.body)

    def test_durable_payment_is_allowed(self) -> None:
        with pytest.raises(ConnectionError):
            order()

    def test_no_server_no_sandbox(self) -> None:
        with pytest.raises(TypeError, match="derive it from LiveServerTestCase"):
            self.pay(self.make_payment())


class MixinServerTests(PagoEfectivoTestMixin, LiveServerTestCase):
    """With a server to pay at."""

    def test_purchase(self) -> None:
        assert self.sandbox.url == self.live_server_url
        payment = order()
        (sent,) = self.pay(payment)
        assert sent.accepted
        self.payment_signals.once("payment_confirmed", payment)

    def test_expired(self) -> None:
        assert self.sandbox.calls().count() == 0
        payment = order()
        self.expire(payment)
        assert payment.status == Status.EXPIRED


def test_signals_are_no_longer_captured_after_a_test() -> None:
    assert payment_confirmed.receiver_names(Payment) == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'paid'"):
        kit.paid  # noqa: B018
    assert all(getattr(kit, name) for name in kit.__all__)


def test_the_payment_api_is_played_too(
    live_server: Any, settings: Any, transactional_db: None, payment_signals: CapturedSignals
) -> None:
    changed = copy.deepcopy(settings.PAGOEFECTIVO)
    changed["MERCHANTS"]["default"] |= {"API": "payment", "BASE_URL": "http://127.0.0.1:9/api/v1"}
    settings.PAGOEFECTIVO = changed
    with kit.sandbox_at(live_server.url) as sandbox:
        payment = order()
        (sent,) = sandbox.pay(payment)
        assert sent.accepted
        other = order(order_reference="A-2")
        sandbox.expire(other)
    assert (payment.cip, payment.status) == (None, Status.PAID)
    assert other.status == Status.EXPIRED
    payment_signals.once(payment_confirmed, payment)


def test_merchants_from_elsewhere_are_sent_to_the_sandbox_too(
    live_server: Any, settings: Any, transactional_db: None
) -> None:
    own = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
    merchants = {"default": {**own, "ENVIRONMENT": "production", "BASE_URL": None}}
    settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "MERCHANTS": lambda: merchants}
    with kit.sandbox_at(live_server.url) as sandbox:
        payment = order()
        (sent,) = sandbox.pay(payment)
    assert sent.accepted
    assert payment.is_paid

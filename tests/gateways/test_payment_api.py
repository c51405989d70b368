"""The Payment API over real HTTP: signed requests, status by payment and by order, callbacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from django_pagoefectivo.exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    InvalidNotification,
    InvalidPayment,
    OutcomeUnknown,
    RequestRejected,
)
from django_pagoefectivo.gateways import CodeRef, Exchange, PaymentGateway, RemoteStatus
from django_pagoefectivo.gateways.signing import sign
from django_pagoefectivo.models import Payment
from django_pagoefectivo.services import sync_payment
from django_pagoefectivo.testing import make_payment

from .samples import ANA, CHARGE, SECRET_KEY, charge, merchant_at
from .server import Reply, Request, WireServer, cut

ANSWER = {"paymentId": "P-77", "redirectUrl": "https://pay.example/P-77"}
BY_PAYMENT = "GET /payment/status?merchantId=1234&paymentId=P-77"
BY_ORDER = "GET /payment/status?merchantId=1234&orderNumber=A-1001-1"
REF = CodeRef("A-1001-1", remote_id="P-77")


@pytest.fixture
def payment_api(server: WireServer, exchanges: list[Exchange]) -> PaymentGateway:
    merchant = merchant_at(server.url, api="payment", access_key="")
    return PaymentGateway(merchant, timeout=(1, 2), record=exchanges.append)


def callback(**changes: Any) -> bytes:
    data = {
        "eventType": "payment.paid",
        "eventId": "E-1",
        "paymentId": "P-77",
        "orderNumber": "A-1001-1",
        "amount": "22.50",
        "currency": "PEN",
        "status": "PAID",
        "occurredAt": "2026-11-23T10:20:00-05:00",
    }
    return json.dumps({k: v for k, v in {**data, **changes}.items() if v is not ...}).encode()


def test_create_sends_what_is_documented_and_signs_the_exact_bytes(
    server: WireServer, payment_api: PaymentGateway
) -> None:
    server.on("POST /payment", Reply(201, ANSWER))
    issued = payment_api.create(charge(callback_url="https://shop.example/hook/"))
    assert (issued.cip, issued.remote_id, issued.cip_url) == (
        "",
        "P-77",
        "https://pay.example/P-77",
    )
    sent = server.last("POST /payment")
    assert sent.json == {
        "merchantId": "1234",
        "amount": "22.50",
        "currency": "PEN",
        "orderNumber": "A-1001-1",
        "description": "Pedido 1001",
        "expiresAt": "2026-11-24T10:15:30-05:00",
        "callbackUrl": "https://shop.example/hook/",
        "customer": {
            "email": ANA.email,
            "name": "Ana Pérez",
            "documentType": "DNI",
            "documentNumber": "45678912",
            "phone": "+51987654321",
        },
    }
    assert _header(sent, "X-Signature") == sign(sent.body, SECRET_KEY)


def _header(request: Request, name: str) -> str:
    return {key.lower(): value for key, value in request.headers.items()}[name.lower()]


def test_the_exchange_keeps_no_personal_data(
    server: WireServer, payment_api: PaymentGateway, exchanges: list[Exchange]
) -> None:
    server.on("POST /payment", Reply(201, {**ANSWER, "echo": ANA.email}))
    payment_api.create(CHARGE)
    (kept,) = exchanges
    for secret in (ANA.email, ANA.phone, ANA.document_number, SECRET_KEY):
        assert secret not in kept.request + kept.response


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(400, {"code": "AMOUNT", "message": "Monto inválido."}), RequestRejected),
        (Reply(401, {"code": "SIGNATURE"}), AuthenticationFailed),
        (Reply(500, {"code": "X", "message": "y"}), OutcomeUnknown),
        (Reply(200, "<html>proxy</html>"), OutcomeUnknown),
        (Reply(201, {"redirectUrl": "https://pay.example/"}), OutcomeUnknown),
        (Reply(201, {**ANSWER, "orderNumber": "ANOTHER"}), OutcomeUnknown),
        (Reply(201, {**ANSWER, "amount": "1.00"}), OutcomeUnknown),
        (cut(), OutcomeUnknown),
    ],
)
def test_create_that_fails_is_sent_once(
    server: WireServer, payment_api: PaymentGateway, reply: Reply, error: type[Exception]
) -> None:
    server.on("POST /payment", reply)
    with pytest.raises(error):
        payment_api.create(CHARGE)
    assert server.calls["POST /payment"] == 1


def test_create_that_never_left() -> None:
    gateway = PaymentGateway(merchant_at("http://127.0.0.1:9/v1", api="payment"), timeout=(1, 1))
    with pytest.raises(GatewayUnavailable):
        gateway.create(CHARGE)


def test_another_currency_is_refused_before_any_call(payment_api: PaymentGateway) -> None:
    with pytest.raises(InvalidPayment, match="currency"):
        payment_api.validate(charge(currency="USD"))


@pytest.mark.parametrize(
    ("ref", "call"), [(REF, BY_PAYMENT), (CodeRef("A-1001-1"), BY_ORDER)], ids=["payment", "order"]
)
def test_status_by_payment_and_by_order_number(
    server: WireServer, payment_api: PaymentGateway, ref: CodeRef, call: str
) -> None:
    server.on(
        call,
        Reply(
            200,
            {
                "paymentId": "P-77",
                "orderNumber": "A-1001-1",
                "status": "PAID",
                "amount": "22.50",
                "currency": "PEN",
                "paidAt": "2026-11-23T10:20:00",
            },
        ),
    )
    (state,) = payment_api.states([ref])
    assert state is not None
    assert (state.status, state.amount, state.remote_id) == (
        RemoteStatus.PAID,
        Decimal("22.50"),
        "P-77",
    )
    assert state.paid_at == datetime(2026, 11, 23, 15, 20, tzinfo=UTC)
    query = call.partition("?")[2]
    assert _header(server.last(call), "X-Signature") == sign(query.encode(), SECRET_KEY)


@pytest.mark.parametrize("word", ["SETTLED", "", "paid!"])
def test_an_unknown_word_is_never_paid(
    server: WireServer, payment_api: PaymentGateway, word: str
) -> None:
    server.on(BY_PAYMENT, Reply(200, {"paymentId": "P-77", "status": word}))
    (state,) = payment_api.states([REF])
    assert state is not None
    assert state.status is RemoteStatus.UNKNOWN


def test_status_of_a_payment_they_do_not_know(
    server: WireServer, payment_api: PaymentGateway
) -> None:
    server.on(BY_PAYMENT, Reply(404, {"message": "not found"}))
    assert payment_api.states([REF]) == [None]


def test_status_is_asked_once_more_after_a_5xx(
    server: WireServer, payment_api: PaymentGateway
) -> None:
    server.on(BY_PAYMENT, Reply(503, "down"), Reply(200, {"status": "PENDING"}))
    (state,) = payment_api.states([REF])
    assert state is not None
    assert state.status is RemoteStatus.PENDING
    server.on(BY_PAYMENT, Reply(503, "down"))
    with pytest.raises(GatewayUnavailable):
        payment_api.states([REF])


def test_a_callback_is_read_and_its_signature_checked() -> None:
    body = callback()
    assert PaymentGateway.signing_key(body, sign(body, SECRET_KEY), [SECRET_KEY]) == 0
    assert PaymentGateway.signing_key(body, sign(body, "forged"), [SECRET_KEY]) is None
    said = PaymentGateway.parse_notification(body)
    assert (said.status, said.remote_id, said.transaction_code) == (
        RemoteStatus.PAID,
        "P-77",
        "A-1001-1",
    )
    assert (said.amount, said.currency) == (Decimal("22.50"), "PEN")


@pytest.mark.parametrize(
    ("event_type", "status"),
    [
        ("payment.expired", RemoteStatus.EXPIRED),
        ("payment.refunded", RemoteStatus.REFUNDED),
        ("payment.noticed", RemoteStatus.UNKNOWN),
        ("paid", RemoteStatus.UNKNOWN),
    ],
)
def test_other_events(event_type: str, status: RemoteStatus) -> None:
    assert PaymentGateway.parse_notification(callback(eventType=event_type)).status is status


@pytest.mark.parametrize("word", ["PENDING", "REFUNDED", "whatever"])
def test_paid_in_one_field_and_not_in_the_other_is_not_paid(word: str) -> None:
    said = PaymentGateway.parse_notification(callback(status=word))
    assert said.status is RemoteStatus.UNKNOWN
    assert PaymentGateway.parse_notification(callback(status=...)).status is RemoteStatus.PAID


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"no json", "not JSON"),
        (callback(eventType=...), "eventType"),
        (callback(paymentId=..., orderNumber=...), "neither paymentId nor orderNumber"),
        (callback(amount=...), "amount"),
        (callback(currency=...), "currency"),
    ],
)
def test_a_callback_that_cannot_be_used_names_what_is_missing(body: bytes, sentence: str) -> None:
    with pytest.raises(InvalidNotification, match=sentence):
        PaymentGateway.parse_notification(body)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("named", "status"), [("P-77", "paid"), (None, "paid"), ("P-78", "pending")]
)
def test_an_answer_about_another_payment_confirms_nothing(
    named: str | None, status: str, server: WireServer, configure: Callable[..., None]
) -> None:
    configure(merchant={"API": "payment", "BASE_URL": server.url, "SERVICE_ID": "1234"})
    payment = make_payment(cip=None, remote_id="P-77")
    said = {"status": "PAID", "amount": str(payment.amount), "currency": "PEN"}
    server.on(BY_PAYMENT, Reply(200, {**said, "paymentId": named} if named else said))
    sync_payment(payment)
    row = Payment.objects.get()
    assert row.status == status
    assert row.attention == ("" if status == "paid" else "status_conflict")
    assert row.attention == "" or "P-78" in row.attention_note

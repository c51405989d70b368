"""The webhook, the same for every contract: genuine, forged, missing, rotated, another's key."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from django_pagoefectivo.gateways.signing import key_label
from django_pagoefectivo.models import Outcome, Payment, Status, WebhookEvent
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.services import Customer, create_payment
from django_pagoefectivo.signals import payment_confirmed

from .contracts import SECRET_KEY, Contract

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

OLD_KEY = "older-secret-key-not-real-0123456789abcde"
OTHER_KEY = "other-merchants-key-not-real-0123456789ab"
URL = "/pagoefectivo/webhook/"

Post = Callable[..., Any]


@pytest.fixture
def payment(installed: Contract) -> Payment:
    return create_payment(
        order_reference="A-1001", amount=25, customer=Customer(email="ana@shop.example")
    )


@pytest.fixture
def post(contract: Contract) -> Post:
    def post(
        body: bytes, key: str | None = SECRET_KEY, *, url: str = URL, client: Client | None = None
    ) -> Any:
        headers = {}
        if key is not None:
            headers[contract.header] = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        return (client or Client()).post(
            url, body, content_type="application/json", headers=headers
        )

    return post


def news(payment: Payment, **changes: Any) -> bytes:
    """What PagoEfectivo sends once the code is paid, without sending it."""
    name = payment.cip or payment.remote_id
    control.pay(name, notify=False)
    return control.build_notification(control.code(name), **changes)


def status(payment: Payment) -> str:
    return Payment.objects.get(pk=payment.pk).status


@pytest.mark.parametrize("url", [URL, URL + "default/"])
def test_a_genuine_one(payment: Payment, post: Post, url: str) -> None:
    answer = post(news(payment), url=url)
    assert (answer.status_code, answer.content) == (200, b"applied")
    assert status(payment) == Status.PAID


def test_twice(payment: Payment, post: Post) -> None:
    body = news(payment)
    assert [post(body).content for _ in range(3)] == [b"applied", b"duplicate", b"duplicate"]
    assert WebhookEvent.objects.get().times_received == 3


@pytest.mark.parametrize("key", [None, "", "guessed-key", OLD_KEY], ids=str)
def test_forged_or_unsigned(payment: Payment, post: Post, key: str | None) -> None:
    body = news(payment)
    with CaptureQueriesContext(
        connection,
    ) as forged:
        answer = post(body, key)
    assert answer.status_code == 403
    assert status(payment) == Status.PENDING
    assert not any("pagoefectivo_payment" in query["sql"] for query in forged)


def test_signed_in_another_contracts_header(payment: Payment) -> None:
    body = news(payment)
    signature = hmac.new(SECRET_KEY.encode(), body, hashlib.sha256).hexdigest()
    answer = Client().post(
        URL, body, content_type="application/json", headers={"X-Other-Signature": signature}
    )
    assert answer.status_code == 403
    assert status(payment) == Status.PENDING


def test_a_changed_byte(payment: Payment, contract: Contract) -> None:
    body = news(payment)
    signature = hmac.new(SECRET_KEY.encode(), body, hashlib.sha256).hexdigest()
    answer = Client().post(
        URL,
        body.replace(b"25.00", b"25.01"),
        content_type="application/json",
        headers={contract.header: signature},
    )
    assert answer.status_code == 403


def test_signed_with_a_key_that_is_being_rotated_out(
    payment: Payment, post: Post, settings: Any
) -> None:
    body = news(payment)
    assert post(body, OLD_KEY).status_code == 403
    merchant = {**settings.PAGOEFECTIVO["MERCHANTS"]["default"], "SECRET_KEY_FALLBACKS": [OLD_KEY]}
    with override_settings(
        PAGOEFECTIVO={**settings.PAGOEFECTIVO, "MERCHANTS": {"default": merchant}}
    ):
        assert post(body, OLD_KEY).status_code == 200
    assert status(payment) == Status.PAID
    event = WebhookEvent.objects.exclude(outcome=Outcome.REJECTED).get()
    assert event.signed_with == key_label(OLD_KEY)


class TestAnotherMerchantsKey:
    @pytest.fixture(autouse=True)
    def other(self, payment: Payment, contract: Contract, settings: Any) -> None:
        mine = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
        other = {**mine, "SERVICE_ID": "777", "SECRET_KEY": OTHER_KEY}
        settings.PAGOEFECTIVO = {
            **settings.PAGOEFECTIVO,
            "MERCHANTS": {"default": mine, "other": other},
        }

    def test_at_the_merchants_own_address_it_is_refused(self, payment: Payment, post: Post) -> None:
        answer = post(news(payment), OTHER_KEY, url=URL + "default/")
        assert answer.status_code == 403
        assert status(payment) == Status.PENDING

    @pytest.mark.parametrize("url", [URL, URL + "other/"])
    def test_elsewhere_it_is_the_others_and_unmatched(
        self, payment: Payment, post: Post, url: str
    ) -> None:
        answer = post(news(payment), OTHER_KEY, url=url)
        assert (answer.status_code, answer.content) == (200, b"unmatched")
        assert status(payment) == Status.PENDING
        event = WebhookEvent.objects.get()
        assert (event.merchant, event.payment) == ("other", None)

    def test_and_the_genuine_one_is_not_in_its_way(self, payment: Payment, post: Post) -> None:
        body = news(payment)
        assert post(body, OTHER_KEY).content == b"unmatched"
        assert post(body).content == b"applied"
        assert status(payment) == Status.PAID


def test_a_client_that_checks_csrf_and_login(payment: Payment, post: Post) -> None:
    answer = post(news(payment), client=Client(enforce_csrf_checks=True))
    assert answer.status_code == 200


def test_atomic_requests(payment: Payment, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    seen: list[bool] = []

    def told(*, payment: Payment, **kwargs: Any) -> None:
        seen.append(connection.in_atomic_block)

    payment_confirmed.connect(told, dispatch_uid="contract")
    try:
        assert post(news(payment)).status_code == 200
    finally:
        payment_confirmed.disconnect(dispatch_uid="contract")
    assert seen == [False]


@pytest.mark.parametrize(
    "fault",
    [
        fault
        for fault in control.NotificationFault
        if fault.name
        in ("INDENTED", "NUMBERS_AS_TEXT", "TEXT_AS_NUMBERS", "CAPITAL_KEYS", "NEWER_FORM",
            "UPPER_CASE_SIGNATURE", "TWICE", "TWICE_AT_ONCE", "LATE_AFTER_EXPIRY",
            "EXPIRED_THEN_PAID", "PAID_THEN_EXPIRED", "SECOND_OPERATION")
    ],
    ids=str,
)  # fmt: skip
def test_every_form_that_means_paid(payment: Payment, fault: control.NotificationFault) -> None:
    sent = control.pay(payment.cip or payment.remote_id, fault=fault)
    assert all(one.accepted for one in sent)
    assert status(payment) == Status.PAID


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (control.NotificationFault.WRONG_SIGNATURE, (403, 403)),
        (control.NotificationFault.MISSING_FIELD, (400, 400)),
        (control.NotificationFault.WRONG_AMOUNT, (200,)),
        (control.NotificationFault.WRONG_CURRENCY, (200,)),
        (control.NotificationFault.UNKNOWN_EVENT, (200,)),
    ],
    ids=str,
)
def test_every_form_that_confirms_nothing(
    payment: Payment, fault: control.NotificationFault, statuses: tuple[int, ...]
) -> None:
    (sent,) = control.pay(payment.cip or payment.remote_id, fault=fault)
    assert sent.statuses == statuses
    assert status(payment) == Status.PENDING


def test_refund_and_expiry(payment: Payment) -> None:
    name = payment.cip or payment.remote_id
    control.pay(name)
    control.refund(name)
    assert status(payment) == Status.REFUNDED
    second = create_payment(
        order_reference="A-1002", amount=25, customer=Customer(email="ana@shop.example")
    )
    (sent,) = control.expire(second.cip or second.remote_id, notify=True)
    assert sent.accepted
    assert status(second) == Status.EXPIRED


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"{}", b'{"eventType": 5}'], ids=str)
def test_signed_but_unusable(installed: Contract, post: Post, body: bytes) -> None:
    assert post(body).status_code == 400


def test_a_signed_event_without_a_name_of_a_payment(installed: Contract, post: Post) -> None:
    body = json.dumps(
        {"eventType": "cip.paid", "data": {"amount": 1, "currency": "PEN"}, "amount": "1.00"}
    ).encode()
    assert post(body).status_code == 400

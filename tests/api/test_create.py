"""Creating payments: who says what they cost, and what the answer is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient

from django_pagoefectivo.models import Payment
from django_pagoefectivo.services.validation import DEEPEST_METADATA
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import nested
from tests.servers import PagoEfectivo, Reply
from tests.shop.models import Order

from .conftest import CUSTOMER, PAYMENTS, body, path_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def staff(client_of: Callable[[str], APIClient], pe: PagoEfectivo) -> APIClient:
    return client_of("staff who add")


@pytest.fixture
def shopper(
    client_of: Callable[[str], APIClient], pe: PagoEfectivo, configure: Callable[..., None]
) -> APIClient:
    configure(api={"PAYMENT_FOR_ORDER": "tests.api.hooks.price"})
    return client_of("owner")


def errors_of(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


# -- by the shop's price ----------------------------------------------------------------------


def test_a_shopper_pays_what_the_shop_says(shopper: APIClient, pe: PagoEfectivo) -> None:
    order = Order.objects.create(number="owner-1")
    answer = shopper.post(PAYMENTS, {"order_reference": "owner-1"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["amount"], made["status"], made["description"]) == (
        "99.90",
        "pending",
        "From the shop",
    )
    assert made["order"] == {"type": "test_shop.order", "id": str(order.pk)}
    assert pe.codes[made["cip"]].amount == Decimal("99.9")
    assert answer.headers["Location"] == f"http://testserver{path_of(made['token'])}"
    assert shopper.get(answer.headers["Location"]).json() == made
    payment = Payment.objects.get(token=made["token"])
    assert payment.user == User.objects.get(username="owner")
    assert payment.order == order


def test_a_shopper_names_no_amount(shopper: APIClient, pe: PagoEfectivo) -> None:
    Order.objects.create(number="owner-1")
    answer = shopper.post(PAYMENTS, body("owner-1", "0.01"))
    assert answer.status_code == 403
    assert "amount" in answer.json()["detail"]
    # Not beside the reference, either.
    slips: list[dict[str, Any]] = [{"metadata": {}}, {"merchant": "default"}, {"currency": "PEN"}]
    for slip in slips:
        assert errors_of(shopper.post(PAYMENTS, {"order_reference": "owner-1", **slip}))
    assert pe.counts["create"] == 0
    assert not Payment.objects.exists()


def test_somebody_elses_order_is_like_none(shopper: APIClient) -> None:
    Order.objects.create(number="other-1")
    foreign, none = (
        shopper.post(PAYMENTS, {"order_reference": number}) for number in ("other-1", "other-2")
    )
    assert (foreign.status_code, foreign.content) == (404, none.content)


def test_the_shop_gets_the_customer_that_was_sent(shopper: APIClient) -> None:
    Order.objects.create(number="owner-1")
    wish = {"order_reference": "owner-1", "customer": {**CUSTOMER, "first_name": "Ana"}}
    made = shopper.post(PAYMENTS, wish).json()
    assert made["customer"]["first_name"] == "Ana"


@pytest.mark.parametrize(
    ("hook", "status", "words"),
    [
        ("without_customer", 400, "errors"),
        ("refuses", 403, "Not on Sundays."),
        ("finds_nothing", 404, "Not found."),
        ("has_a_slip", 500, "settings"),
        ("is_not_there", 500, "settings"),
    ],
)
def test_what_the_shop_may_answer(
    hook: str,
    status: int,
    words: str,
    shopper: APIClient,
    configure: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure(api={"PAYMENT_FOR_ORDER": f"tests.api.hooks.{hook}"})
    answer = shopper.post(PAYMENTS, {"order_reference": "owner-1"})
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    if hook == "has_a_slip":
        assert "ammount, durable" in caplog.text
        assert "ammount" not in answer.content.decode()


def test_without_a_price_nobody_pays(client_of: Callable[[str], APIClient]) -> None:
    wish = {"order_reference": "owner-1"}
    refused = client_of("owner").post(PAYMENTS, wish)
    assert refused.status_code == 403
    assert "PAYMENT_FOR_ORDER" in refused.json()["detail"]
    assert errors_of(client_of("staff who add").post(PAYMENTS, wish)) == {"amount": "required"}


# -- by staff ---------------------------------------------------------------------------------


def test_staff_name_the_amount(staff: APIClient, pe: PagoEfectivo) -> None:
    answer = staff.post(
        PAYMENTS,
        body(
            currency="USD",
            description="Two tickets",
            metadata={"seat": [1, 2.5]},
            expires_in=3600,
        ),
    )
    made = answer.json()
    assert answer.status_code == 201
    payment = Payment.objects.get(token=made["token"])
    assert (payment.amount, payment.currency) == (Decimal("22.05"), "USD")
    assert payment.metadata == {"seat": [1, 2.5]}
    assert abs(payment.expires_at - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)
    assert len(pe.codes) == 1


def test_the_orders_open_payment_is_the_answer(staff: APIClient, pe: PagoEfectivo) -> None:
    first = staff.post(PAYMENTS, body())
    again = staff.post(PAYMENTS, body())
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert len(pe.codes) == 1


def test_another_ones_open_payment_is_not_shown(staff: APIClient) -> None:
    make_payment(order_reference="A-1001")
    answer = staff.post(PAYMENTS, body())
    assert answer.status_code == 403
    other_amount = staff.post(PAYMENTS, body(amount="23.00"))
    assert (other_amount.status_code, other_amount.json()["payment"]) == (409, None)


@pytest.mark.parametrize(
    ("status", "amount", "code"),
    [("pending", "23.00", "order_already_open"), ("paid", "22.05", "order_already_paid")],
)
def test_an_order_that_is_paid_or_open_otherwise(
    status: str, amount: str, code: str, client_of: Callable[[str], APIClient], pe: PagoEfectivo
) -> None:
    there = make_payment(status, order_reference="A-1001")
    answer = client_of("superuser").post(PAYMENTS, body(amount=amount))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, code)
    assert problem["payment"] == {"token": str(there.token), "status": status}


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"amount": 22.05}, "amount", "no_text"),
        ({"amount": 22}, "amount", "no_text"),
        ({"amount": None}, "amount", "null"),
        ({"amount": "22.055"}, "amount", "invalid"),
        ({"amount": "0.00"}, "amount", "invalid"),
        ({"amount": "-1"}, "amount", "invalid"),
        ({"amount": "1e3"}, "amount", "invalid"),
        ({"amount": "22.05\n"}, "amount", "invalid"),
        ({"amount": "٢٢"}, "amount", "invalid"),
        ({"amount": "99999999999999.99"}, "amount", "invalid"),
        ({"order_reference": 7}, "order_reference", "invalid"),
        ({"order_reference": "x" * 65}, "order_reference", "max_length"),
        ({"order_reference": "a\x00b"}, "order_reference", "null_characters_not_allowed"),
        ({"order_reference": "a\nb"}, "order_reference", "invalid"),
        ({"currency": "EUR"}, "currency", "invalid"),
        ({"currency": "soles"}, "currency", "invalid"),
        ({"merchant": "nobody"}, "merchant", "invalid"),
        ({"customer": "Ana"}, "customer", "invalid"),
        ({"customer": {"email": "Ana"}}, "customer.email", "invalid"),
        ({"customer": {}}, "customer.email", "required"),
        ({"customer": {**CUSTOMER, "shoe": 42}}, "customer.shoe", "unknown"),
        ({"customer": {**CUSTOMER, "phone": "letters"}}, "customer.phone", "invalid"),
        ({"customer": {**CUSTOMER, "phone": 987}}, "customer.phone", "invalid"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at", "naive"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at", "invalid"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at", "overflow"),
        ({"expires_at": 17}, "expires_at", "invalid"),
        ({"expires_in": "3600"}, "expires_in", "invalid"),
        ({"expires_in": 10**40}, "expires_in", "max_value"),
        ({"expires_in": 60, "expires_at": "2999-01-01T00:00:00Z"}, "expires_in", "invalid"),
        ({"metadata": [1]}, "metadata", "not_a_dict"),
        ({"metadata": {"a": "\x00"}}, "metadata", "invalid"),
        ({"metadata": nested(DEEPEST_METADATA + 1)}, "metadata", "invalid"),
        ({"metadata": nested(500)}, "metadata", "invalid"),
        ({"supersede": "yes"}, "supersede", "invalid"),
        ({"amuont": "1"}, "amuont", "unknown"),
    ],
)
def test_what_is_wrong_is_told_by_field(
    wrong: dict[str, Any], field: str, code: str, staff: APIClient, pe: PagoEfectivo
) -> None:
    for headers in ({}, {"Idempotency-Key": "a-key"}):
        answer = staff.post(PAYMENTS, {**body(), **wrong}, headers=headers)
        assert errors_of(answer).get(field) == code
    assert not pe.calls
    assert not Payment.objects.exists()


def test_all_errors_come_at_once(staff: APIClient) -> None:
    answer = staff.post(PAYMENTS, {"amount": 1.5, "customer": {"email": "x"}, "extra": 1})
    assert set(errors_of(answer)) == {"amount", "customer.email", "extra", "order_reference"}


def test_lone_surrogates_are_refused(staff: APIClient) -> None:
    for field in ("order_reference", "description"):
        raw = json.dumps(body(**{field: "SURROGATE"})).replace("SURROGATE", "\\ud800")
        answer = staff.post(PAYMENTS, raw.encode(), content_type="application/json")
        assert set(errors_of(answer)) == {field}


@pytest.mark.parametrize("wrong", ['"SURROGATE":1', '"customer":{"email":"a@b.pe","SURROGATE":1}'])
def test_a_name_of_lone_surrogates_is_unknown(staff: APIClient, wrong: str) -> None:
    raw = ("{%s}" % wrong).replace("SURROGATE", "\\ud800")  # noqa: UP031
    answer = staff.post(PAYMENTS, raw.encode(), content_type="application/json")
    assert "unknown" in errors_of(answer).values()


# -- what PagoEfectivo does --------------------------------------------------------------------


def test_a_refusal_names_what_pagoefectivo_refused(staff: APIClient, pe: PagoEfectivo) -> None:
    refusal = (
        b'{"code":"111","message":"Solicitud con datos inv\xc3\xa1lidos.",'
        b'"data":[{"code":"113","message":"Valor inv\xc3\xa1lido.","field":"userPhone"}]}'
    )
    pe.fail_next("create", Reply(400, refusal))
    problem = staff.post(PAYMENTS, body()).json()
    assert (problem["status"], problem["code"]) == (422, "request_rejected")
    assert problem["errors"] == [
        {"field": "userPhone", "code": "113", "message": "Valor inválido."}
    ]
    assert problem["payment"]["status"] == "failed"


def test_an_unknown_outcome_names_the_payment(staff: APIClient, pe: PagoEfectivo) -> None:
    pe.fail_next("create", Reply(cut=True, does_it=True))
    first = staff.post(PAYMENTS, body())
    assert (first.status_code, first.json()["code"]) == (504, "outcome_unknown")
    named = first.json()["payment"]
    assert named["status"] == "created"
    assert staff.get(path_of(named["token"])).json()["status"] == "created"
    # Not repeated blindly.
    assert staff.post(PAYMENTS, body()).status_code == 504
    assert len(pe.codes) == 1
    # Unless a person chose to.
    assert staff.post(PAYMENTS, body(supersede=True)).status_code == 201
    assert len(pe.codes) == 2


def test_wrong_credentials_are_told_to_staff_only(
    staff: APIClient, pe: PagoEfectivo, caplog: pytest.LogCaptureFixture
) -> None:
    pe.fail_next("authorize", Reply(401, b"{}"), Reply(401, b"{}"))
    answer = staff.post(PAYMENTS, body())
    assert (answer.status_code, answer.json()["code"]) == (502, "gateway_authentication_failed")
    assert "refuses the shop's credentials" in caplog.text


def test_pagoefectivo_away(staff: APIClient, configure: Callable[..., None]) -> None:
    configure(merchant={"BASE_URL": "http://127.0.0.1:9/v1"})
    answer = staff.post(PAYMENTS, body())
    assert (answer.status_code, answer.json()["code"]) == (503, "gateway_unavailable")
    assert answer.headers["Retry-After"] == "5"


def test_the_views_stay_out_of_one_big_transaction(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
    assert staff.post(PAYMENTS, body()).status_code == 201


# -- several merchants -------------------------------------------------------------------------


def test_the_currency_finds_the_merchant_where_none_is_the_default(
    staff: APIClient, settings: Any
) -> None:
    one = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
    settings.PAGOEFECTIVO = {
        **settings.PAGOEFECTIVO,
        "MERCHANTS": {
            "soles": {**one, "CURRENCIES": ["PEN"]},
            "dollars": {**one, "SERVICE_ID": "5678", "CURRENCIES": ["USD"]},
            "more-dollars": {**one, "SERVICE_ID": "5679", "CURRENCIES": ["USD"]},
        },
    }
    assert staff.post(PAYMENTS, body("A-1")).json()["merchant"] == "soles"
    assert errors_of(staff.post(PAYMENTS, body("A-2", currency="USD"))) == {"merchant": "required"}
    named = staff.post(PAYMENTS, body("A-3", currency="USD", merchant="dollars"))
    assert named.json()["merchant"] == "dollars"

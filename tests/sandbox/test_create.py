"""``POST /cips``: a code, or exactly the documented error."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_pagoefectivo.sandbox import codes, control

from .conftest import Api, lima

pytestmark = pytest.mark.django_db(transaction=True)

#: Every field of the document, with values at the limits of its length.
FULL: dict[str, Any] = {
    "transactionCode": "x" * 36,
    "paymentConcept": "Dos polos de algodón, talla M ☂",
    "additionalData": "any",
    "adminEmail": "ventas@shop.example",
    "userId": "42",
    "userName": "n" * 30,
    "userLastName": "Ñ" * 30,
    "userUbigeo": "150101",
    "userCountry": "c" * 20,
    "userDocumentType": "DNI",
    "userDocumentNumber": "1" * 14,
    "userPhone": "9" * 15,
    "userCodeCountry": "+51",
    "serviceId": 1234,
}
#: As sent, and as answered.
AMOUNTS = [
    ("25", "25"),
    ("25.0", "25"),
    ("1.00", "1"),
    ("22.05", "22.05"),
    ("22.50", "22.5"),
    ("0.01", "0.01"),
    ("1e2", "100"),
    ("9999999999999.99", "9999999999999.99"),
]


def test_the_documented_answer(api: Api) -> None:
    expiry = lima(timedelta(hours=24))
    answer = api.create(dateExpiry=expiry)
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    payload = answer.json()
    assert payload["code"] == 100, "a number here, text in the answer to a token request"
    assert payload["message"] == "Solicitud exitosa."
    data = payload["data"]
    code = control.code(data["cip"])
    assert data == {
        "cip": code.cip,
        "currency": "PEN",
        "amount": 22.05,
        "transactionCode": "A-1001-1",
        "dateExpiry": expiry,
        "cipUrl": f"{api.host}/sandbox/{code.uuid}.html",
    }
    assert isinstance(data["cip"], int)
    assert len(str(data["cip"])) == 8
    assert str(code) == str(code.cip)
    assert code.status_at() == 22
    assert code.amount == Decimal("22.05")
    assert code.user_email == "ana@shop.example"
    assert code.service_id == "1234"
    assert code.origin == api.host


def test_every_field(api: Api) -> None:
    data = api.make(**FULL)
    code = control.code(data["cip"])
    assert code.concept == FULL["paymentConcept"]
    assert code.details == {
        name: value
        for name, value in FULL.items()
        if name not in ("transactionCode", "paymentConcept")
    }


def test_amounts_are_numbers(api: Api) -> None:
    for sent, answered in AMOUNTS:
        body = json.dumps(api.order(amount="@")).replace('"@"', sent)
        answer = api.call("POST", "/cips", data=body.encode())
        assert answer.status_code == 201
        assert f'"amount": {answered},' in answer.text


def test_a_required_field_is_missing(api: Api) -> None:
    answer = api.create(amount=...)
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "111",
        "message": "Solicitud con datos inválidos.",
        "data": [{"code": "112", "message": "Requerido.", "field": "amount"}],
    }
    assert not control.SandboxCode.objects.exists()


def test_a_field_is_invalid(api: Api) -> None:
    answer = api.create(userUbigeo="15010")
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "111",
        "message": "Solicitud con datos inválidos.",
        "data": [{"code": "113", "message": "Valor inválido.", "field": "userUbigeo"}],
    }


def test_all_faulty_fields_are_named(api: Api) -> None:
    answer = api.create(amount=..., currency="EUR", userPhone="x", userEmail="")
    errors = {(error["code"], error["field"]) for error in answer.json()["data"]}
    assert errors == {
        ("112", "amount"),
        ("113", "currency"),
        ("113", "userPhone"),
        ("112", "userEmail"),
    }


def test_a_body_that_is_no_json(api: Api) -> None:
    answer = api.call("POST", "/cips", data=b"amount=22")
    assert answer.status_code == 400
    assert answer.json()["data"][0]["field"] == "body"


@pytest.mark.parametrize("name", ["Origin", "Accept-Language"])
def test_headers_are_checked(api: Api, name: str) -> None:
    missing = api.call("POST", "/cips", api.order(), headers={name: None})
    assert (missing.status_code, missing.json()["data"][0]["code"]) == (400, "112")
    wrong = api.call("POST", "/cips", api.order(), headers={name: "https://shop.example"})
    assert (wrong.status_code, wrong.json()["data"][0]["code"]) == (400, "113")
    assert wrong.json()["data"][0]["field"] == name


def test_headers_that_are_taken(api: Api) -> None:
    for origin, language in itertools.product(("web", "android", "ios"), ("es-PE", "en-US")):
        headers = {"Origin": origin, "Accept-Language": language}
        assert api.call("POST", "/cips", api.order(), headers=headers).status_code == 201


def test_another_service_is_refused(api: Api) -> None:
    answer = api.create(serviceId=999)
    assert answer.status_code == 400
    assert answer.json()["code"] == "508"


def test_over_the_limit(api: Api, settings: Any) -> None:
    settings.PAGOEFECTIVO_SANDBOX = {"AMOUNT_LIMIT": "500.00"}
    assert api.create(amount=500).status_code == 201
    answer = api.create(amount=500.01)
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "511",
        "message": "El monto supera el límite del servicio.",
        "data": [],
    }


def test_over_what_the_sandbox_can_keep(api: Api) -> None:
    assert api.create(amount=10_000_000_000_000).json()["code"] == "511"


def test_without_a_term_the_service_has_one(api: Api) -> None:
    data = api.make(dateExpiry=...)
    term = datetime.fromisoformat(data["dateExpiry"]) - datetime.fromisoformat(lima())
    assert timedelta(hours=23, minutes=59) < term < timedelta(hours=24, minutes=1)


def test_a_repeated_transaction_code_makes_a_second_code(api: Api) -> None:
    one, two = api.make(), api.make()
    assert one["cip"] != two["cip"]
    assert one["cipUrl"] != two["cipUrl"]
    assert control.SandboxCode.objects.filter(transaction_code="A-1001-1").count() == 2


def test_a_number_that_is_taken_is_not_used_again(api: Api) -> None:
    taken = api.make()["cip"]
    with mock.patch.object(codes, "_random_cip", side_effect=[taken, taken, 12345678]):
        assert api.make()["cip"] == 12345678


def test_numbers_that_are_all_taken_end(api: Api) -> None:
    taken = api.make()["cip"]
    asked = mock.Mock(
        transaction_code="x", amount=1, currency="PEN", concept="", user_email="", details={}
    )
    code = control.code(taken)
    asked.date_expiry = code.date_expiry
    with (
        mock.patch.object(codes, "_random_cip", return_value=taken),
        pytest.raises(IntegrityError),
    ):
        codes.make(asked, "1234", "", code.created_at)


def test_many_at_once(api: Api) -> None:
    def make(number: int) -> int:
        return int(api.make(transactionCode=f"T-{number}")["cip"])

    with ThreadPoolExecutor(8) as pool:
        cips = list(pool.map(make, range(40)))
    assert len(set(cips)) == 40
    assert control.calls("create").count() == 40


def test_a_create_takes_three_statements(api: Api) -> None:
    client = Client(headers={"origin": "web", "accept-language": "es-PE"})
    with CaptureQueriesContext(connection) as queries:
        answer = client.post(
            "/sandbox/v1/cips",
            api.order(),
            content_type="application/json",
            headers={"authorization": f"Bearer {api.token}"},
        )
    assert answer.status_code == 201
    statements = [
        query["sql"].split()[0]
        for query in queries
        if query["sql"].split()[0] not in ("BEGIN", "COMMIT")
    ]
    assert statements == ["SELECT", "INSERT", "INSERT"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods(api: Api, method: str) -> None:
    assert api.call(method, "/cips").status_code == 405


def test_calls_are_noted(api: Api) -> None:
    api.make()
    api.create(amount=0)
    api.create(currency="EUR", amount="x")
    api.token = "x"
    api.create()
    assert str(control.calls("create").last()) == "POST /sandbox/v1/cips → 201"
    noted = list(control.calls("create").values_list("method", "path", "status", "service_id"))
    assert noted == [
        ("POST", "/sandbox/v1/cips", 401, ""),
        ("POST", "/sandbox/v1/cips", 400, "1234"),
        ("POST", "/sandbox/v1/cips", 400, "1234"),
        ("POST", "/sandbox/v1/cips", 201, "1234"),
    ]

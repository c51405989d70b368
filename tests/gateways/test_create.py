"""Asking for a code: what is sent, what is read, what is refused before sending."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_pagoefectivo.exceptions import InvalidPayment, OutcomeUnknown
from django_pagoefectivo.gateways import CipGateway, Customer, IssuedCode

from .samples import CHARGE, MakeGateway, charge
from .server import TOKEN, Reply, Request, WireServer, issued

URL = "https://pre1a.payment.pagoefectivo.pe/0b5f1c7e-8a76-4d6e-9d8a-0b5f1c7e8a76.html"


def answering(**data: Any) -> Any:
    """The usual answer with some values of ``data`` changed; ``...`` leaves one out."""

    def script(request: Request) -> Reply:
        usual = issued(request)
        assert isinstance(usual.body, dict)
        inner = {**usual.body["data"], **data}
        kept = {name: value for name, value in inner.items() if value is not ...}
        return Reply(201, {**usual.body, "data": kept})

    return script


def test_exactly_what_is_sent(server: WireServer, make_gateway: MakeGateway) -> None:
    full = charge(country="PERU", ubigeo="150101", customer_id="c-77", expires_at=CHARGE.expires_at)
    make_gateway(admin_email="ventas@shop.example").create(full)
    sent = server.last("POST /cips")
    assert json.loads(sent.body, parse_float=Decimal) == {
        "currency": "PEN",
        "amount": Decimal("22.5"),
        "transactionCode": "A-1001-1",
        "dateExpiry": "2026-11-24T10:15:30-05:00",
        "paymentConcept": "Pedido 1001",
        "adminEmail": "ventas@shop.example",
        "userEmail": "ana.perez@example.com",
        "userId": "c-77",
        "userName": "Ana",
        "userLastName": "Pérez",
        "userUbigeo": "150101",
        "userCountry": "PERU",
        "userDocumentType": "DNI",
        "userDocumentNumber": "45678912",
        "userPhone": "987654321",
        "userCodeCountry": "+51",
    }
    assert "Pérez".encode() in sent.body


def test_headers(server: WireServer, gateway: CipGateway) -> None:
    gateway.create(CHARGE)
    headers = server.last("POST /cips").headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["origin"] == "web"
    assert headers["accept-language"] == "es-PE"
    assert headers["accept"] == "application/json"
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["user-agent"].startswith("django-pagoefectivo/")


def test_a_netrc_entry_does_not_replace_the_token(
    server: WireServer, gateway: CipGateway, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    gateway.create(CHARGE)
    assert server.last("POST /cips").headers["authorization"] == f"Bearer {TOKEN}"
    assert "authorization" not in server.last("POST /authorizations").headers


def test_cookies_are_not_carried_from_answer_to_call(
    server: WireServer, gateway: CipGateway
) -> None:
    server.on(
        "POST /cips",
        lambda r: dataclasses.replace(issued(r), headers={"Set-Cookie": "session=1; Path=/"}),
    )
    gateway.create(CHARGE)
    gateway.create(CHARGE)
    assert "cookie" not in server.last("POST /cips").headers


def test_nothing_that_is_not_known_is_invented(server: WireServer, gateway: CipGateway) -> None:
    gateway.create(
        dataclasses.replace(CHARGE, description="", customer=Customer(email="a@example.com"))
    )
    assert set(server.last("POST /cips").json) == {
        "currency",
        "amount",
        "transactionCode",
        "dateExpiry",
        "userEmail",
    }


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"first_name": "N" * 31}, "userName", "N" * 30),
        ({"first_name": "Ñ" * 31}, "userName", "Ñ" * 30),
        ({"last_name": "A" * 200}, "userLastName", "A" * 30),
        ({"country": "C" * 21}, "userCountry", "C" * 20),
        (
            {"expires_at": datetime(2026, 12, 1, 3, 0, 0, 500, tzinfo=UTC)},
            "dateExpiry",
            "2026-11-30T22:00:00-05:00",
        ),
        ({"currency": "USD"}, "currency", "USD"),
        ({"document_number": "12345678901234"}, "userDocumentNumber", "12345678901234"),
        ({"phone": "123456789012345"}, "userPhone", "123456789012345"),
        ({"transaction_code": "x" * 36}, "transactionCode", "x" * 36),
        ({"description": 'Zapatos "Ñandú"\n\u2028'}, "paymentConcept", 'Zapatos "Ñandú"\n\u2028'),
    ],
)
def test_single_fields(
    server: WireServer, gateway: CipGateway, changes: dict[str, Any], field: str, expected: str
) -> None:
    asked = charge(**changes)
    gateway.validate(asked)
    gateway.create(asked)
    assert server.last("POST /cips").json[field] == expected


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(amount=st.decimals("0.01", "9999999999999.99", places=2))
def test_amounts_are_sent_as_the_exact_number(
    server: WireServer, gateway: CipGateway, amount: Decimal
) -> None:
    gateway.create(charge(amount=amount))
    text = server.last("POST /cips").body.decode()
    number = text.partition('"amount": ')[2].partition(",")[0]
    assert Decimal(number) == amount
    assert "e" not in number.lower()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param({}, {}, id="documented"),
        pytest.param({"cip": "10092759"}, {}, id="cip-text"),
        pytest.param({"cip": "0010092759"}, {}, id="cip-zeros"),
        pytest.param({"cip": 12345678901234}, {"cip": "12345678901234"}, id="cip-of-14-digits"),
        pytest.param({"cip": 7}, {"cip": "7"}, id="cip-of-1-digit"),
        pytest.param({"amount": "22.50"}, {}, id="amount-text"),
        pytest.param({"amount": ...}, {}, id="no-amount"),
        pytest.param({"currency": ..., "transactionCode": ...}, {}, id="less"),
        pytest.param({"dateExpiry": "2026-11-24T10:15:30"}, {}, id="expiry-without-offset"),
        pytest.param(
            {"dateExpiry": "1900-01-01T00:00:00-05:00"}, {"expires_at": None}, id="sentinel"
        ),
        pytest.param({"dateExpiry": ...}, {"expires_at": None}, id="no-expiry"),
        pytest.param({"cipUrl": ...}, {"cip_url": "", "remote_id": ""}, id="no-url"),
        pytest.param(
            {"cipUrl": "javascript:alert(1)"}, {"cip_url": "", "remote_id": ""}, id="no-web-url"
        ),
        pytest.param(
            {"cipUrl": "https://x.example/" + "y" * 500},
            {"cip_url": "", "remote_id": ""},
            id="url-longer-than-can-be-kept",
        ),
    ],
)
def test_what_is_read(
    server: WireServer, gateway: CipGateway, data: dict[str, Any], expected: dict[str, Any]
) -> None:
    server.on("POST /cips", answering(**data))
    usual = {
        "cip": "10092759",
        "cip_url": URL,
        "remote_id": "0b5f1c7e-8a76-4d6e-9d8a-0b5f1c7e8a76",
        "expires_at": datetime(2026, 11, 24, 15, 15, 30, tzinfo=UTC),
    }
    assert gateway.create(CHARGE) == IssuedCode(**{**usual, **expected})


@pytest.mark.parametrize("code", ["100", 100, " 100 "])
@pytest.mark.parametrize("status", [200, 201])
def test_success_in_any_form(
    server: WireServer, gateway: CipGateway, status: int, code: object
) -> None:
    server.on("POST /cips", lambda r: dataclasses.replace(issued(r, code=code), status=status))
    assert gateway.create(CHARGE).cip == "10092759"


def test_capital_keys_in_the_answer(server: WireServer, gateway: CipGateway) -> None:
    data = {"Cip": 10092759, "CipUrl": URL, "TransactionCode": "A-1001-1", "Amount": 22.5}
    server.on("POST /cips", Reply(201, {"code": 100, "data": data}))
    assert gateway.create(CHARGE).cip_url == URL


def test_a_transaction_code_of_digits_may_come_back_as_a_number(
    server: WireServer, gateway: CipGateway
) -> None:
    server.on("POST /cips", answering(transactionCode=1001))
    assert gateway.create(charge(transaction_code="1001")).cip == "10092759"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"cip": ...}, id="no-cip"),
        pytest.param({"cip": None}, id="cip-null"),
        pytest.param({"cip": ""}, id="cip-empty"),
        pytest.param({"cip": 0}, id="cip-zero"),
        pytest.param({"cip": -5}, id="cip-negative"),
        pytest.param({"cip": True}, id="cip-bool"),
        pytest.param({"cip": [1]}, id="cip-list"),
        pytest.param({"cip": 1.5}, id="cip-broken"),
        pytest.param({"cip": "12A"}, id="cip-letters"),
        pytest.param({"cip": "١٢٣"}, id="cip-other-digits"),
        pytest.param({"cip": 123456789012345}, id="cip-of-15-digits"),
        pytest.param({"transactionCode": "A-1001-2"}, id="other-transaction-code"),
        pytest.param({"transactionCode": ""}, id="empty-transaction-code"),
        pytest.param({"amount": 22.51}, id="other-amount"),
        pytest.param({"amount": 2250}, id="amount-in-cents"),
        pytest.param({"amount": "22,50"}, id="amount-with-comma"),
        pytest.param({"currency": "USD"}, id="other-currency"),
    ],
)
def test_an_answer_about_something_else_is_doubt(
    server: WireServer, gateway: CipGateway, data: dict[str, Any]
) -> None:
    server.on("POST /cips", answering(**data))
    with pytest.raises(OutcomeUnknown):
        gateway.create(CHARGE)
    assert server.calls["POST /cips"] == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"currency": "EUR"}, "currency"),
        ({"currency": "pen"}, "currency"),
        ({"transaction_code": ""}, "transaction_code"),
        ({"transaction_code": "x" * 37}, "transaction_code"),
        ({"document_type": "RUC"}, "document_type"),
        ({"document_number": "1" * 15}, "document_number"),
        ({"phone": "+51987654321"}, "phone"),
        ({"phone": "1" * 16}, "phone"),
        ({"phone": "٩٨٧٦٥٤٣٢١"}, "phone"),
        ({"phone_country_code": "51+"}, "phone_country_code"),
        ({"phone_country_code": "+12345"}, "phone_country_code"),
        ({"ubigeo": "15010"}, "ubigeo"),
        ({"ubigeo": "15010a"}, "ubigeo"),
        ({"ubigeo": "150101\n"}, "ubigeo"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_field(
    server: WireServer, gateway: CipGateway, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidPayment) as caught:
        gateway.validate(charge(**changes))
    assert caught.value.field == field
    assert not server.requests


@pytest.mark.parametrize("code", ["+51", "51", "+1", "+1234"])
@pytest.mark.parametrize("document_type", ["", "DNI", "PAR", "PAS", "LMI", "NAN"])
def test_what_can_be_sent_is_not_refused(
    gateway: CipGateway, code: str, document_type: str
) -> None:
    gateway.validate(charge(phone_country_code=code, document_type=document_type))

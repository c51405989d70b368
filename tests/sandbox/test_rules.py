"""The rules of the API's fields, as tables. No database, no server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_pagoefectivo.sandbox import options, protocol
from django_pagoefectivo.sandbox.protocol import Refused

NOW = datetime(2026, 11, 23, 15, 15, 30, tzinfo=UTC)
ORDER = {
    "currency": "PEN",
    "amount": 22.05,
    "transactionCode": "A-1001-1",
    "dateExpiry": "2026-11-24T10:15:30-05:00",
    "userEmail": "ana@shop.example",
}
TOKEN_REQUEST = {
    "accessKey": "TESTACCESSKEY0000001",
    "idService": 1234,
    "dateRequest": "2026-11-23T10:15:30-05:00",
    "hashString": "0" * 64,
}


def errors(data: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    """The codes and fields that a create or token request is refused with."""
    changed = {name: v for name, v in {**data, **changes}.items() if v is not ...}
    read = protocol.read_object(json.dumps(changed).encode())
    try:
        if "currency" in data:
            protocol.read_create(read, NOW, options.LARGEST_AMOUNT)
        else:
            protocol.read_token_request(read, NOW)
    except Refused as refused:
        answer = refused.answer
        assert isinstance(answer, protocol.Answer)
        assert (answer.status, answer.code) == (400, 111)
        for error in answer.data:
            assert (
                error["message"] == {"112": "Requerido.", "113": "Valor inválido."}[error["code"]]
            )
        return [(error["code"], error["field"]) for error in answer.data]
    return []


def test_the_samples_are_right() -> None:
    assert errors(ORDER) == []
    assert errors(TOKEN_REQUEST) == []


@pytest.mark.parametrize("value", [..., None, ""])
def test_required_fields(value: Any) -> None:
    for name in ("currency", "amount", "transactionCode", "userEmail"):
        assert errors(ORDER, **{name: value}) == [("112", name)]
    for name in TOKEN_REQUEST:
        assert errors(TOKEN_REQUEST, **{name: value}) == [("112", name)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("currency", "EUR"),
        ("currency", "pen"),
        ("currency", 1),
        ("amount", "22.05"),
        ("amount", 0),
        ("amount", -1),
        ("amount", 22.055),
        ("amount", True),
        ("amount", 10**16),
        ("amount", [1]),
        ("transactionCode", "x" * 37),
        ("transactionCode", 1001),
        ("transactionCode", "a\x00"),
        ("transactionCode", "a\ud800"),
        ("dateExpiry", "2030-01-01T00:00:00"),
        ("dateExpiry", "2030-01-01T00:00:00Z"),
        ("dateExpiry", "2030-01-01T00:00:00+00:00"),
        ("dateExpiry", "2030-01-01T00:00:00.5-05:00"),
        ("dateExpiry", "2030-02-30T00:00:00-05:00"),
        ("dateExpiry", "2020-01-01T00:00:00-05:00"),
        ("dateExpiry", ""),
        ("dateExpiry", 1),
        ("paymentConcept", 1),
        ("additionalData", {}),
        ("adminEmail", 1),
        ("userEmail", "ana"),
        ("userEmail", 1),
        ("userEmail", "a@" + "b" * 260 + ".example"),
        ("userId", 42),
        ("userName", ""),
        ("userName", "n" * 31),
        ("userLastName", "n" * 31),
        ("userUbigeo", "15010"),
        ("userUbigeo", "15010a"),
        ("userUbigeo", 150101),
        ("userCountry", "c" * 21),
        ("userDocumentType", "RUC"),
        ("userDocumentNumber", "1" * 15),
        ("userPhone", "9" * 16),
        ("userPhone", "+51 999"),
        ("userPhone", "\u0661\u0662"),
        ("userPhone", 999999999),
        ("userCodeCountry", "+51999"),
        ("userCodeCountry", "PE"),
        ("serviceId", "1234"),
    ],
)
def test_invalid_fields_of_a_create_request(name: str, value: Any) -> None:
    assert errors(ORDER, **{name: value}) == [("113", name)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accessKey", 12),
        ("idService", "1234"),
        ("idService", True),
        ("idService", 0),
        ("dateRequest", "2026-11-23 10:15:30-05:00"),
        ("dateRequest", "2026-11-23T15:15:30+00:00"),
        ("dateRequest", "2026-11-23T15:15:30Z"),
        ("dateRequest", "2026-11-23T10:15:30.000000-05:00"),
        ("dateRequest", "2026-13-23T10:15:30-05:00"),
        ("dateRequest", "2026-11-23T10:00:29-05:00"),
        ("dateRequest", "2026-11-23T10:30:31-05:00"),
        ("hashString", "abc"),
    ],
)
def test_invalid_fields_of_a_token_request(name: str, value: Any) -> None:
    assert errors(TOKEN_REQUEST, **{name: value}) == [("113", name)]


@pytest.mark.parametrize("date", ["2026-11-23T10:00:30-05:00", "2026-11-23T10:30:30-05:00"])
def test_a_clock_that_is_a_little_off(date: str) -> None:
    assert errors(TOKEN_REQUEST, dateRequest=date) == []


@pytest.mark.parametrize("text", ["1E+999999", "1E-999999", "0.001", "1e16"])
def test_odd_numbers(text: str) -> None:
    body = json.dumps({**ORDER, "amount": "@"}).replace('"@"', text).encode()
    with pytest.raises(Refused) as caught:
        protocol.read_create(protocol.read_object(body), NOW, options.LARGEST_AMOUNT)
    assert caught.value.answer.code == 111
    assert str(caught.value) == "400 111"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'"text"', b"\xff", b'{"a": NaN}', b"[" * 99999, b"amount=1"]
)
def test_a_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        protocol.read_object(body)
    assert isinstance(caught.value.answer, protocol.Answer)
    assert caught.value.answer.data == [
        {"code": "113", "message": "Valor inválido.", "field": "body"}
    ]


def test_dates_and_amounts_of_answers() -> None:
    assert protocol.date_text(NOW + timedelta(microseconds=5)) == "2026-11-23T10:15:30-05:00"
    assert protocol.date_text(None) == "1900-01-01T00:00:00-05:00"
    assert [repr(protocol.number(Decimal(text))) for text in ("25.00", "1", "22.05")] == [
        "25",
        "1",
        "22.05",
    ]


@pytest.mark.parametrize(
    "value",
    [
        "text",
        {"LIMIT": 1},
        {"AMOUNT_LIMIT": "much"},
        {"AMOUNT_LIMIT": 0},
        {"AMOUNT_LIMIT": "NaN"},
        {"AMOUNT_LIMIT": 10**14},
    ],
)
def test_a_setting_that_cannot_be_used(settings: Any, value: Any) -> None:
    settings.PAGOEFECTIVO_SANDBOX = value
    with pytest.raises(ImproperlyConfigured, match="PAGOEFECTIVO_SANDBOX"):
        options.amount_limit()


@pytest.mark.parametrize("value", ["", "shop.example", "ftp://shop.example", 5])
def test_a_callback_address_that_cannot_be_used(settings: Any, value: Any) -> None:
    settings.PAGOEFECTIVO_SANDBOX = {"CALLBACK_URL": value}
    with pytest.raises(ImproperlyConfigured, match="CALLBACK_URL"):
        options.callback_url()

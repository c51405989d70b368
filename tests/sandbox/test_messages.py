"""Notifications as bytes, and their signatures."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.control import NotificationFault, SandboxCode
from django_pagoefectivo.sandbox.messages import message
from django_pagoefectivo.sandbox.notifications import signature_of

PAID_AT = datetime(2026, 11, 23, 15, 20, tzinfo=UTC)


def a_code(cip: int = 11546901, amount: str = "22.05") -> SandboxCode:
    return SandboxCode(
        cip=cip,
        amount=Decimal(amount),
        currency="PEN",
        transaction_code="A-1001-1",
        operation_number="1253",
        service_id="1234",
        paid_at=PAID_AT,
    )


def body(fault: NotificationFault, amount: str = "22.05") -> bytes:
    return control.build_notification(a_code(amount=amount), fault=fault)


def test_the_documented_vector() -> None:
    said = message(a_code())
    assert said.body == (
        b'{"eventType":"cip.paid","operationNumber":"1253",'
        b'"data":{"cip":"11546901","currency":"PEN","amount":22.05}}'
    )
    assert (
        signature_of(said, "1234")
        == "f8360efadc95d7e7fec46da057448d2979c30f657eb48ae561cf4cb6e59a4a24"
    )


def test_the_vector_of_the_newer_form() -> None:
    said = message(
        a_code(2523136, "100.00"), operation_number="778899", fault=NotificationFault.NEWER_FORM
    )
    assert said.body == (
        b'{"eventType":"cip.paid","operationNumber":"778899","data":{"cip":"2523136",'
        b'"currency":"PEN","amount":100.00,"paymentDate":"2026-11-23T10:20:00-05:00",'
        b'"transactionCode":"A-1001-1"}}'
    )
    assert (
        signature_of(said, "1234")
        == "4e3a6a788c8b7c72ce1f77d60546977f0990d2edecce01528c22dadc60fedd22"
    )


def test_the_indented_body_is_signed_in_its_compact_form() -> None:
    said = message(a_code(amount="22.50"), fault=NotificationFault.INDENTED)
    assert said.body.decode() == (
        "{\n"
        '    "eventType": "cip.paid",\n'
        '    "operationNumber": "1253",\n'
        '    "data": {\n'
        '        "cip": "11546901",\n'
        '        "currency": "PEN",\n'
        '        "amount": 22.50\n'
        "    }\n"
        "}"
    )
    plain = message(a_code(amount="22.50"))
    assert b"22.50" in plain.body
    assert signature_of(said, "1234") == signature_of(plain, "1234")


@pytest.mark.parametrize(
    ("fault", "data"),
    [
        ("none", {"cip": "11546901", "currency": "PEN", "amount": 22.05}),
        ("missing-field", {"cip": "11546901", "currency": "PEN"}),
        ("wrong-amount", {"cip": "11546901", "currency": "PEN", "amount": 21.05}),
        ("wrong-currency", {"cip": "11546901", "currency": "USD", "amount": 22.05}),
        ("numbers-as-text", {"cip": "11546901", "currency": "PEN", "amount": "22.05"}),
        ("text-as-numbers", {"cip": 11546901, "currency": "PEN", "amount": 22.05}),
        ("capital-keys", {"Cip": "11546901", "Currency": "PEN", "Amount": 22.05}),
        ("unknown-event", {"cip": "11546901", "currency": "PEN", "amount": 22.05}),
    ],
)
def test_each_form(fault: str, data: dict[str, object]) -> None:
    kind = NotificationFault(fault)
    assert json.loads(body(kind)) == {
        "eventType": "cip.reviewed" if kind is NotificationFault.UNKNOWN_EVENT else "cip.paid",
        "operationNumber": 1253 if kind is NotificationFault.TEXT_AS_NUMBERS else "1253",
        "data": data,
    }


def test_a_wrong_amount_is_never_zero() -> None:
    assert json.loads(body(NotificationFault.WRONG_AMOUNT, "0.50"))["data"]["amount"] == 1.5


def test_the_other_currency_of_dollars() -> None:
    written = control.build_notification(
        a_code(), currency="USD", fault=NotificationFault.WRONG_CURRENCY
    )
    assert json.loads(written)["data"]["currency"] == "PEN"


def test_what_is_given_counts() -> None:
    written = control.build_notification(
        a_code(),
        event_type="cip.refunded",
        operation_number="ABC",
        amount=Decimal("1.5"),
        currency="USD",
        fault=NotificationFault.TEXT_AS_NUMBERS,
    )
    assert written == (
        b'{"eventType":"cip.refunded","operationNumber":"ABC",'
        b'"data":{"cip":11546901,"currency":"USD","amount":1.50}}'
    )


def test_without_an_operation_there_is_no_number() -> None:
    written = control.build_notification(a_code(), event_type="cip.expired", operation_number="")
    assert "operationNumber" not in json.loads(written)


def test_signatures() -> None:
    right = signature_of(message(a_code()), "1234")
    upper = signature_of(message(a_code(), fault=NotificationFault.UPPER_CASE_SIGNATURE), "1234")
    wrong = signature_of(message(a_code(), fault=NotificationFault.WRONG_SIGNATURE), "1234")
    assert upper == right.upper() != right
    assert len(wrong) == 64
    assert wrong != right


def test_nobody_to_sign_for() -> None:
    with pytest.raises(ImproperlyConfigured, match="SERVICE_ID 999"):
        signature_of(message(a_code()), "999")

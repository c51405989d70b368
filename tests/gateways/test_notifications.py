"""What a signed notification is read as, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_pagoefectivo.exceptions import InvalidNotification
from django_pagoefectivo.gateways import CipGateway, Gateway, Notification, RemoteStatus

PAID = Notification(
    event_type="cip.paid",
    status=RemoteStatus.PAID,
    cip="11546901",
    operation_number="1253",
    amount=Decimal("22.05"),
    currency="PEN",
)
DATA = {"cip": "11546901", "currency": "PEN", "amount": 22.05}


def body(data: Any = DATA, **root: Any) -> bytes:
    """A notification; a part that is ``...`` is left out."""
    parts = {"eventType": "cip.paid", "operationNumber": "1253", "data": data, **root}
    if isinstance(data, dict):
        parts["data"] = {key: value for key, value in data.items() if value is not ...}
    return json.dumps({key: value for key, value in parts.items() if value is not ...}).encode()


def paid(**data: Any) -> bytes:
    return body({**DATA, **data})


@pytest.mark.parametrize(
    ("raw", "changes"),
    [
        pytest.param(body(), {}, id="documented"),
        pytest.param(paid(cip=11546901), {}, id="cip-number"),
        pytest.param(paid(cip="0011546901"), {}, id="cip-zeros"),
        pytest.param(body(operationNumber=1253), {}, id="operation-number"),
        pytest.param(body(operationNumber=...), {"operation_number": ""}, id="no-operation"),
        pytest.param(
            body({**DATA, "operationNumber": 77}, operationNumber=...),
            {"operation_number": "77"},
            id="operation-in-data",
        ),
        pytest.param(
            body(operationNumber="9" * 100), {"operation_number": "9" * 64}, id="operation-long"
        ),
        pytest.param(paid(amount="22.05"), {}, id="amount-text"),
        pytest.param(paid(amount=22), {"amount": Decimal(22)}, id="amount-whole"),
        pytest.param(paid(currency="pen"), {}, id="currency-small"),
        pytest.param(
            body({"Cip": "11546901", "Currency": "PEN", "Amount": 22.05}), {}, id="capital-keys"
        ),
        pytest.param(
            b'{"EventType":"cip.paid","OperationNumber":1253,'
            b'"Data":{"Cip":11546901,"Currency":"PEN","Amount":22.05}}',
            {},
            id="capital-everywhere",
        ),
        pytest.param(b"\xef\xbb\xbf" + body(), {}, id="bom"),
        pytest.param(paid(transactionCode=1001), {"transaction_code": "1001"}, id="code-number"),
        pytest.param(
            paid(transactionCode="A-1", cip=...),
            {"transaction_code": "A-1", "cip": ""},
            id="no-cip",
        ),
        pytest.param(
            paid(paymentDate="2026-11-23T10:20:00-05:00"),
            {"paid_at": datetime(2026, 11, 23, 15, 20, tzinfo=UTC)},
            id="payment-date",
        ),
        pytest.param(
            paid(paymentDate="2026-11-23T10:20:00"),
            {"paid_at": datetime(2026, 11, 23, 15, 20, tzinfo=UTC)},
            id="payment-date-without-offset",
        ),
        pytest.param(paid(paymentDate="1900-01-01T00:00:00-05:00"), {}, id="sentinel"),
        pytest.param(paid(paymentDate="soon"), {}, id="no-date"),
        pytest.param(paid(paymentDate=True), {}, id="date-bool"),
        pytest.param(paid(extra={"deep": [1]}), {}, id="more-fields"),
        pytest.param(
            paid(transactionCode="A\x001\ud800"),
            {"transaction_code": "A\ufffd1?"},
            id="nul-and-surrogate",
        ),
        pytest.param(paid(transactionCode=True), {}, id="code-bool"),
        pytest.param(paid(transactionCode=["A"]), {}, id="code-list"),
        pytest.param(
            body(eventType="cip.expired"),
            {"event_type": "cip.expired", "status": RemoteStatus.EXPIRED},
            id="expired",
        ),
        pytest.param(
            body(eventType="cip.refunded"),
            {"event_type": "cip.refunded", "status": RemoteStatus.REFUNDED},
            id="refunded",
        ),
        pytest.param(
            body(eventType="cip.frozen"),
            {"event_type": "cip.frozen", "status": RemoteStatus.UNKNOWN},
            id="unknown-event",
        ),
        pytest.param(
            body({"cip": 11546901}, eventType="cip.expired"),
            {
                "event_type": "cip.expired",
                "status": RemoteStatus.EXPIRED,
                "amount": None,
                "currency": "",
            },
            id="expired-needs-no-amount",
        ),
        pytest.param(
            body({"cip": 11546901, "amount": "much"}, eventType="cip.paid.twice"),
            {
                "event_type": "cip.paid.twice",
                "status": RemoteStatus.UNKNOWN,
                "amount": None,
                "currency": "",
            },
            id="unknown-event-needs-no-amount",
        ),
    ],
)
def test_what_is_read(raw: bytes, changes: dict[str, Any]) -> None:
    assert CipGateway.parse_notification(raw) == dataclasses.replace(PAID, **changes)


def test_amounts_keep_their_decimals() -> None:
    raw = b'{"eventType":"cip.paid","data":{"cip":1,"currency":"PEN","amount":22.50}}'
    assert str(CipGateway.parse_notification(raw).amount) == "22.50"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"cip=1", "not JSON", id="form"),
        pytest.param(body()[:-3], "not JSON", id="cut"),
        pytest.param(b"\xff" + body(), "not JSON", id="not-utf-8"),
        pytest.param(body() + b"}", "not JSON", id="more-behind"),
        pytest.param(b'{"a":' * 50_000, "not JSON: nested too deeply", id="deep"),
        pytest.param(b"[1]", "the JSON is no object", id="list"),
        pytest.param(b"null", "the JSON is no object", id="null"),
        pytest.param(b'"cip.paid"', "the JSON is no object", id="text"),
        pytest.param(b"{}", "eventType is missing", id="empty-object"),
        pytest.param(body(eventType=...), "eventType is missing", id="no-event"),
        pytest.param(body(eventType=None), "eventType is missing", id="event-null"),
        pytest.param(body(eventType=True), "eventType is missing", id="event-bool"),
        pytest.param(body(eventType=["cip.paid"]), "eventType is missing", id="event-list"),
        pytest.param(body(eventType=" "), "eventType is missing", id="event-blank"),
        pytest.param(body(...), "data is missing or no object", id="no-data"),
        pytest.param(body(None), "data is missing or no object", id="data-null"),
        pytest.param(body([DATA]), "data is missing or no object", id="data-list"),
        pytest.param(body("{}"), "data is missing or no object", id="data-text"),
        pytest.param(paid(cip=...), "data has neither cip nor transactionCode", id="no-cip"),
        pytest.param(paid(cip=None), "data has neither cip nor transactionCode", id="cip-null"),
        pytest.param(paid(cip=True), "data has neither cip nor transactionCode", id="cip-bool"),
        pytest.param(paid(cip=[1]), "data has neither cip nor transactionCode", id="cip-list"),
        pytest.param(paid(cip=1.5), "data has neither cip nor transactionCode", id="cip-broken"),
        pytest.param(
            b'{"eventType":"cip.paid","data":{"cip":1e500,"currency":"PEN","amount":1}}',
            "data has neither cip nor transactionCode",
            id="cip-huge",
        ),
        pytest.param(paid(amount=...), "data.amount is missing or no amount", id="no-amount"),
        pytest.param(paid(amount=None), "data.amount is missing or no amount", id="amount-null"),
        pytest.param(paid(amount=True), "data.amount is missing or no amount", id="amount-bool"),
        pytest.param(paid(amount=[1]), "data.amount is missing or no amount", id="amount-list"),
        pytest.param(paid(amount=-1), "data.amount is missing or no amount", id="amount-negative"),
        pytest.param(paid(amount="1,5"), "data.amount is missing or no amount", id="amount-comma"),
        pytest.param(paid(amount="NaN"), "data.amount is missing or no amount", id="nan-text"),
        pytest.param(paid(amount=float("nan")), "not JSON: NaN", id="nan"),
        pytest.param(paid(amount=float("inf")), "not JSON: Infinity", id="infinity"),
        pytest.param(
            b'{"eventType":"cip.paid","data":{"cip":1,"currency":"PEN","amount":1e9999}}',
            "data.amount is missing or no amount",
            id="amount-huge",
        ),
        pytest.param(paid(currency=...), "data.currency is missing", id="no-currency"),
        pytest.param(paid(currency=None), "data.currency is missing", id="currency-null"),
        pytest.param(paid(currency=True), "data.currency is missing", id="currency-bool"),
        pytest.param(paid(currency=[]), "data.currency is missing", id="currency-list"),
    ],
)
def test_what_is_refused_and_why(raw: bytes, sentence: str) -> None:
    with pytest.raises(InvalidNotification) as caught:
        CipGateway.parse_notification(raw)
    assert str(caught.value).startswith(sentence)


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
_FIELDS = ["cip", "Cip", "currency", "amount", "paymentDate", "transactionCode", "operationNumber"]


@settings(deadline=None)
@given(
    event=_JUNK | st.just("cip.paid"),
    operation=_JUNK,
    data=_JUNK | st.dictionaries(st.sampled_from(_FIELDS), _JUNK),
)
def test_junk_is_read_or_refused_and_never_anything_else(
    event: Any, operation: Any, data: Any
) -> None:
    raw = body(data, eventType=event, operationNumber=operation)
    try:
        read = CipGateway.parse_notification(raw)
    except InvalidNotification:
        return
    for field in dataclasses.fields(read):
        value = getattr(read, field.name)
        assert "\x00" not in str(value)
        str(value).encode()


@settings(deadline=None)
@given(raw=st.binary(max_size=300))
def test_bytes_are_read_or_refused(raw: bytes) -> None:
    with pytest.raises(InvalidNotification):
        CipGateway.parse_notification(raw)


def test_the_base_gateway_reads_nothing() -> None:
    with pytest.raises(NotImplementedError):
        Gateway.parse_notification(body())

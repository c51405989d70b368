"""Hostile notifications by the thousand: never a 5xx, never a changed payment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz_settings
from hypothesis import strategies as st

from django_pagoefectivo.models import Payment
from django_pagoefectivo.testing import make_payment

from .kit import URL, hmac_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(240),
    pytest.mark.slow,
]

#: What the payments are over; no hostile body says this sum for them.
AMOUNT = Decimal("123.45")
CIP, CODE = "90000001", "FUZZ-1"


def quick(examples: int) -> Any:
    """Settings for that many examples, however long one takes on a busy machine."""
    return fuzz_settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


nasty_text = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=st.characters(codec=None), max_size=10),
    st.sampled_from(
        [
            *("", " ", "\x00", "\ud800", "\udfff\ud800", "\u202e", "é", "💸", "ﬀ", "İ", "\\u0000"),
            *("cip.paid", "CIP.PAID", "cip.paid ", "cip.paid\x00", "cip.printed", "__class__"),
            *("9" * 5000, "0" * 70, "-0", "1e5", "1_000", "٣", "NaN", "Infinity", "sNaN", "0x10"),
            *("' OR 1=1 --", "%s%n{0}", "<script>", "../../etc/passwd", "\r\nX: y", "a" * 3000),
            *("2026-11-23T10:20:00-05:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z"),
            *("1900-01-01T00:00:00-05:00", "2026-02-30", "2026-11-23T25:61:61", "20261123"),
            *(CIP, "0" + CIP, CODE, CODE.lower(), CODE + " ", "PEN", "pen", "USD", "123.46"),
        ]
    ),
)
nasty_number = st.one_of(
    st.integers(),
    st.integers(min_value=10**300, max_value=10**320),
    st.floats(),
    st.sampled_from([0, -1, 1e308, -0.0, 1e-300, 123.46, 123.449999, 2**63, -(2**63)]),
)
literal_numbers = st.sampled_from(
    [
        *("1e999", "1E-99999", "-1e999999999999", "1e400", "1e401", "0.000000000000000001"),
        *("9" * 400, "9" * 4299, "9" * 4301, "0." + "1" * 400, "123.4500000000000000001"),
        *("NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "1e", "--1", "123.46"),
        *("9999999999999.99", "10000000000000", "99999999999999999.99", "1e-1000000"),
    ]
)
leaf = st.one_of(st.none(), st.booleans(), nasty_number, nasty_text)
tree = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(nasty_text, inner, max_size=4)
)
field_name = st.sampled_from(
    [
        *("cip", "Cip", "CIP", "transactionCode", "TransactionCode", "currency", "Currency"),
        *("amount", "Amount", "paymentDate", "PaymentDate", "operationNumber", "eventType"),
    ]
)
shaped = st.fixed_dictionaries(
    {},
    optional={
        "eventType": st.one_of(
            st.sampled_from(["cip.paid", "cip.printed", "CIP.PAID"]), nasty_text, leaf
        ),
        "operationNumber": leaf,
        "data": st.one_of(
            st.dictionaries(field_name | nasty_text, leaf | tree, max_size=8),
            st.fixed_dictionaries(
                {
                    "cip": st.sampled_from([CIP, int(CIP), "0" + CIP, "404"]) | leaf,
                    "amount": st.sampled_from(["123.46", 1, "123.44999"]) | leaf,
                    "currency": st.sampled_from(["PEN", "pen", "USD"]) | nasty_text,
                },
                optional={
                    "transactionCode": st.sampled_from([CODE, CODE.lower(), "X"]) | leaf,
                    "paymentDate": nasty_text,
                },
            ),
            tree,
        ),
    },
)


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def with_literal(draw: st.DrawFn) -> bytes:
    """A body that is right but for a number as only raw JSON can have it."""
    number = draw(literal_numbers)
    name = draw(st.sampled_from(["amount", "cip", "transactionCode", "operationNumber"]))
    values = {"cip": f'"{CIP}"', "amount": "1.5", "currency": '"PEN"', name: number}
    inner = ",".join(f'"{key}":{value}' for key, value in values.items())
    return f'{{"eventType":"cip.paid","operationNumber":{number},"data":{{{inner}}}}}'.encode()


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """A genuine-looking body with a piece cut out, doubled or overwritten."""
    body = as_bytes(
        {
            "eventType": "cip.paid",
            "operationNumber": "1",
            "data": {"cip": CIP, "currency": "PEN", "amount": 7.05, "transactionCode": CODE},
        }
    )
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, len(body)))
    middle = draw(st.one_of(st.just(b""), st.binary(max_size=6), st.just(body[start:end] * 2)))
    return body[:start] + middle + body[end:]


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return b'{"eventType":"cip.paid","data":' + opening * depth + closing * depth + b"}"


bodies = st.one_of(
    shaped.map(as_bytes),
    tree.map(as_bytes),
    st.binary(max_size=200),
    with_literal(),
    mutilated(),
    st.sampled_from([b"", b"\x00", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"{" * 50]),
)
#: Too long to come again and again.
GIANTS = {
    "deep lists": nested(30_000, b"[", b"]"),
    "lists just within Python's depth": nested(900, b"[", b"]"),
    "deep objects": nested(8_000, b'{"data":', b"}"),
    "never closed": b"[" * 65_000,
    "quotes": b'"' * 60_001,
    "quotes and spaces": b'" ' * 32_000,
    "one long string": b'"' + b"a" * 65_000,
    "backslashes": b'"' + b"\\" * 60_000,
    "spaces": b" " * 65_536,
    "too many spaces": b" " * 65_537,
    "spaces between": b"1 " * 32_000,
    "half an object": b'{"data":' * 8000,
    "NULs": b"\x00" * 60_000,
    "a long number": b'{"eventType":"cip.paid","data":{"cip":1,"amount":' + b"9" * 60_000 + b"}}",
    "many keys": b"{" + b",".join(b'"k%d":0' % n for n in range(6000)) + b"}",
    "keys twice": b'{"eventType":"cip.paid","eventType":{},"data":{"cip":1},"data":{"cip":2}}',
    "UTF-16": '{"eventType":"cip.paid"}'.encode("utf-16"),
}
signatures = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80),
    st.text("0123456789abcdefABCDEF", min_size=64, max_size=64),
    st.sampled_from(["", "0", "x" * 9000, "None", "null", "\u00b2" * 64]),
)
content_types = st.sampled_from(
    [
        *("application/json", "", "text/html", "application/json; charset=utf-16", "garbage"),
        *("application/x-www-form-urlencoded", "multipart/form-data", "*/*", "text/plain; charset"),
        *("multipart/form-data; boundary=x", 'multipart/mixed; boundary="a\x0bb"', "a/b; c=d; e"),
        "application/json; charset=there-is-none",
    ]
)
header_names = st.sampled_from(
    [
        *("HTTP_X_FORWARDED_FOR", "HTTP_HOST", "HTTP_ACCEPT_LANGUAGE", "HTTP_COOKIE"),
        *("HTTP_CONTENT_ENCODING", "HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_TRANSFER_ENCODING"),
        *("HTTP_EXPECT", "HTTP_ORIGIN", "HTTP_REFERER", "HTTP_PE_SIGNATURE2", "HTTP_AUTHORIZATION"),
    ]
)
header_values = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
    st.sampled_from(["", "gzip", "chunked", "DELETE", "sessionid=" + "a" * 40, "en\x7f", "*"]),
)
headers = st.dictionaries(header_names, header_values, max_size=3)


def rows() -> list[Any]:
    return list(
        Payment.objects.order_by("pk").values_list(
            *("status", "amount", "currency", "cip", "paid_amount", "paid_at", "operation_number"),
            *("cancelled_at", "refunded_at", "expires_at", "open_key", "confirmed_key"),
        )
    )


class Target:
    """The shop under fire."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False, enforce_csrf_checks=True)
        pending = {"amount": AMOUNT, "cip": CIP, "transaction_code": CODE}
        make_payment("pending", **pending)
        for status in ("created", "paid", "expired", "cancelled", "failed"):
            make_payment(status, amount=AMOUNT)
        self.before = rows()
        self.answers: Counter[int] = Counter()

    def fire(self, body: bytes, signature: str, content_type: str, extra: Any) -> int:
        url = URL if len(body) % 3 else URL + "default/"
        status: int = self.client.generic(
            "POST", url, body, content_type, HTTP_PE_SIGNATURE=signature, **extra
        ).status_code
        self.answers[status] += 1
        return status


@pytest.fixture
def target() -> Iterator[Target]:
    shop = Target()
    yield shop
    assert rows() == shop.before


@pytest.mark.parametrize("bodies_sent", [300, pytest.param(5000, marks=pytest.mark.once)])
def test_hostile_notifications(target: Target, bodies_sent: int) -> None:
    """Each body comes twice: rightly signed, and forged with hostile headers."""

    @quick(bodies_sent)  # type: ignore[untyped-decorator]
    @given(bodies, signatures, content_types, headers)
    def run(body: bytes, signature: str, content_type: str, extra: dict[str, str]) -> None:
        status = target.fire(body, hmac_of(body), content_type, {})
        assert status in (200, 400, 413)
        if status == 200:
            assert rows() == target.before
        status = target.fire(body, signature, content_type, extra)
        assert status in (400, 403, 413)

    run()
    assert sum(target.answers.values()) > bodies_sent
    # The fuzz reaches behind the signature and behind the parser.
    assert target.answers[200] > bodies_sent / 60, target.answers
    assert target.answers[400] > bodies_sent / 25, target.answers
    assert target.answers[403] > bodies_sent / 2.5, target.answers


@pytest.mark.timeout(20)
@pytest.mark.parametrize("body", GIANTS.values(), ids=GIANTS)
def test_giants_are_answered_soon(body: bytes, target: Target) -> None:
    assert target.fire(body, hmac_of(body), "application/json", {}) in (200, 400, 413)
    assert target.fire(body, "00" * 32, "application/json", {}) in (403, 413)


def test_genuine_but_oddly_dressed(target: Target) -> None:
    """Signed bodies with hostile headers are taken for what they say."""

    @quick(300)  # type: ignore[untyped-decorator]
    @given(mutilated() | with_literal(), content_types, headers)
    def run(body: bytes, content_type: str, extra: dict[str, str]) -> None:
        assert target.fire(body, hmac_of(body), content_type, extra) in (200, 400)

    run()


def test_the_fuzz_would_notice(target: Target) -> None:
    """A right notification, through the same gun, does change the payment."""
    body = as_bytes(
        {
            "eventType": "cip.paid",
            "operationNumber": "1",
            "data": {"cip": CIP, "currency": "PEN", "amount": float(AMOUNT)},
        }
    )
    assert target.fire(body, hmac_of(body), "multipart/form-data; boundary=x", {}) == 200
    assert rows() != target.before
    target.before = rows()

"""Token hashes and notification signatures: the vectors, then every odd form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_pagoefectivo.gateways import CipGateway
from django_pagoefectivo.gateways.signing import compact, digest, matching_key, sign, token_hash

SECRET = "test-secret-key-not-real-0123456789abcdef"
OTHER = "another-made-up-secret-key-0123456789abcd"
PAID = (
    b'{"eventType":"cip.paid","operationNumber":"1253",'
    b'"data":{"cip":"11546901","currency":"PEN","amount":22.05}}'
)
PAID_SIGNATURE = "f8360efadc95d7e7fec46da057448d2979c30f657eb48ae561cf4cb6e59a4a24"
NEWER = (
    b'{"eventType":"cip.paid","operationNumber":"778899","data":{"cip":"2523136",'
    b'"currency":"PEN","amount":100.00,"paymentDate":"2026-11-23T10:20:00-05:00",'
    b'"transactionCode":"A-1001-1"}}'
)
NEWER_SIGNATURE = "4e3a6a788c8b7c72ce1f77d60546977f0990d2edecce01528c22dadc60fedd22"
INDENTED = b"""{
    "eventType": "cip.paid",\r
\t"operationNumber" : "1253",
    "data": {"cip": "11546901", "currency": "PEN", "amount": 22.05}
}
"""


def test_token_hash_of_the_protocol() -> None:
    assert (
        token_hash("1234", "TESTACCESSKEY0000001", SECRET, "2026-11-23T10:15:30-05:00")
        == "baf9368d5c329d26d7661ce5d6f102ce5df502f6df638a7ddc4337745dc60e3d"
    )


@pytest.mark.parametrize(
    ("body", "signature"),
    [(PAID, PAID_SIGNATURE), (NEWER, NEWER_SIGNATURE)],
    ids=["documented", "newer"],
)
def test_signatures_of_the_protocol(body: bytes, signature: str) -> None:
    assert sign(body, SECRET) == signature
    assert CipGateway.signing_key(body, signature, (SECRET,)) == 0


@pytest.mark.parametrize(
    ("body", "signature", "keys", "expected"),
    [
        pytest.param(PAID, PAID_SIGNATURE.upper(), (SECRET,), 0, id="upper-hex"),
        pytest.param(PAID, PAID_SIGNATURE.title(), (SECRET,), 0, id="mixed-hex"),
        pytest.param(PAID, f"  {PAID_SIGNATURE}\t", (SECRET,), 0, id="padded"),
        pytest.param(PAID, PAID_SIGNATURE, (OTHER, SECRET), 1, id="fallback"),
        pytest.param(PAID, PAID_SIGNATURE, (OTHER, "x", SECRET), 2, id="second-fallback"),
        pytest.param(INDENTED, PAID_SIGNATURE, (SECRET,), 0, id="indented-signed-compact"),
        pytest.param(INDENTED, PAID_SIGNATURE, (OTHER, SECRET), 1, id="indented-fallback"),
        pytest.param(INDENTED, sign(INDENTED, SECRET), (SECRET,), 0, id="indented-signed-raw"),
        pytest.param(PAID, sign(INDENTED, SECRET), (SECRET,), None, id="compact-signed-indented"),
        pytest.param(PAID, PAID_SIGNATURE, (OTHER,), None, id="another-key"),
        pytest.param(PAID, PAID_SIGNATURE, (), None, id="no-keys"),
        pytest.param(PAID, NEWER_SIGNATURE, (SECRET,), None, id="of-another-body"),
        pytest.param(PAID, "", (SECRET,), None, id="empty"),
        pytest.param(PAID, PAID_SIGNATURE[:-1], (SECRET,), None, id="cut"),
        pytest.param(PAID, PAID_SIGNATURE + "0", (SECRET,), None, id="longer"),
        pytest.param(PAID, f"sha256={PAID_SIGNATURE}", (SECRET,), None, id="prefixed"),
        pytest.param(PAID, "ñ" * 64, (SECRET,), None, id="not-ascii"),
        pytest.param(PAID, "\udcff" * 64, (SECRET,), None, id="surrogates"),
        pytest.param(PAID[:-1], PAID_SIGNATURE, (SECRET,), None, id="body-cut"),
        pytest.param(PAID.replace(b"PEN", b"P N"), PAID_SIGNATURE, (SECRET,), None, id="altered"),
        pytest.param(
            PAID.replace(b"PEN", b"PEN "), PAID_SIGNATURE, (SECRET,), None, id="space-in-a-string"
        ),
    ],
)
def test_which_key_signed(
    body: bytes, signature: str, keys: tuple[str, ...], expected: int | None
) -> None:
    assert matching_key(body, signature, keys) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{ "amount" : 22.50 }', b'{"amount":22.50}'),
        (b'{"amount": 1.0E+2}', b'{"amount":1.0E+2}'),
        (b'{"a": "x  y\\t z"}', b'{"a":"x  y\\t z"}'),
        (b'{"a": "say \\" hi \\" "}', b'{"a":"say \\" hi \\" "}'),
        (b'{"a": "back\\\\" , "b": 1}', b'{"a":"back\\\\","b":1}'),
        (b'{"a": "caf\xc3\xa9  \\u00e9"}', b'{"a":"caf\xc3\xa9  \\u00e9"}'),
        (b'\t{\r\n"b":[1 , 2 ]\n}\n', b'{"b":[1,2]}'),
        (b'{"a": 1, "a": 2}', b'{"a":1,"a":2}'),
        (b'{"a": "never closed  ', b'{"a":"never closed  '),
        (b'{"a": "ends in a backslash  \\', b'{"a":"ends in a backslash  \\'),
        ("\ufeff{ }".encode(), "\ufeff{}".encode()),
        ('{"a":\u00a01}'.encode(), '{"a":\u00a01}'.encode()),
        (b"\xff\xfe { \x00 }", b"\xff\xfe{\x00}"),
        (b"", b""),
        (b" \n ", b""),
    ],
)
def test_compact_only_drops_white_space_outside_strings(body: bytes, expected: bytes) -> None:
    assert compact(body) == expected
    assert compact(expected) == expected


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    value=st.dictionaries(st.text(), _VALUES, max_size=5),
    indent=st.sampled_from([0, 1, 2, 4, "\t", " \t "]),
    separators=st.sampled_from([(",", ":"), (" , ", " : "), (",\r\n", ":\t")]),
    ascii_only=st.booleans(),
)
def test_any_indented_object_passes_with_the_signature_over_its_compact_form(
    value: dict[str, object], indent: int | str, separators: tuple[str, str], ascii_only: bool
) -> None:
    short = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
    long = json.dumps(value, ensure_ascii=ascii_only, separators=separators, indent=indent)

    signed, delivered = short.encode(), long.encode()

    assert compact(delivered) == signed
    assert matching_key(delivered, sign(signed, SECRET), (OTHER, SECRET)) == 1
    assert digest(delivered) == digest(signed)


@settings(deadline=None)
@given(body=st.binary(max_size=200))
def test_compact_never_touches_anything_but_white_space(body: bytes) -> None:
    assert compact(body).translate(None, b" \t\r\n") == body.translate(None, b" \t\r\n")


def test_wording_makes_a_notification_distinct_and_indentation_does_not() -> None:
    assert digest(INDENTED) == digest(PAID)
    assert digest(PAID.replace(b"22.05", b"22.050")) != digest(PAID)

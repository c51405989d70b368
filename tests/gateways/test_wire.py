"""Reading and writing single values of the wire, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from django_pagoefectivo.gateways.wire import (
    field_of,
    read_amount,
    read_cip,
    read_json,
    read_moment,
    read_text,
    to_lima_text,
)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 23, 15, 15, 30, tzinfo=UTC), "2026-11-23T10:15:30-05:00"),
        (datetime(2026, 11, 23, 15, 15, 30, 999999, tzinfo=UTC), "2026-11-23T10:15:30-05:00"),
        (datetime(2026, 7, 1, 2, 0, tzinfo=UTC), "2026-06-30T21:00:00-05:00"),
        (
            datetime(2026, 11, 23, 16, 15, tzinfo=timezone(timedelta(hours=1))),
            "2026-11-23T10:15:00-05:00",
        ),
    ],
)
def test_moments_are_written_in_lima_time(moment: datetime, expected: str) -> None:
    assert to_lima_text(moment) == expected
    assert len(to_lima_text(moment)) == 25


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-23T10:20:00-05:00", datetime(2026, 11, 23, 15, 20, tzinfo=UTC)),
        ("2026-11-23T10:20:00", datetime(2026, 11, 23, 15, 20, tzinfo=UTC)),
        ("2026-11-23 10:20:00", datetime(2026, 11, 23, 15, 20, tzinfo=UTC)),
        (" 2026-11-23T10:20:00-05:00 ", datetime(2026, 11, 23, 15, 20, tzinfo=UTC)),
        ("2026-11-23T15:20:00Z", datetime(2026, 11, 23, 15, 20, tzinfo=UTC)),
        ("2026-11-23T10:20:00.1234567", datetime(2026, 11, 23, 15, 20, 0, 123456, tzinfo=UTC)),
        ("1900-01-01T00:00:00-05:00", None),
        ("1900-01-01T00:00:00", None),
        ("1900-12-31T23:59:59-05:00", None),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-05:00", None),
        ("2026-02-30T10:20:00-05:00", None),
        ("23/11/2026 10:20", None),
        ("", None),
        ("   ", None),
        (None, None),
        (1796483400, None),
        (True, None),
        (["2026-11-23"], None),
    ],
)
def test_moments_are_read_or_none(value: object, expected: datetime | None) -> None:
    assert read_moment(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("22.50"), "22.50"),
        ("22.50", "22.50"),
        (" 22.5 ", "22.5"),
        (22, "22"),
        ("0", "0"),
        (Decimal("1E+2"), "1E+2"),
        ("22,50", None),
        ("1,000.00", None),
        ("1_000", None),
        ("٢٢", None),
        ("S/ 22.50", None),
        ("NaN", None),
        ("Infinity", None),
        (-1, None),
        ("-0.01", None),
        ("", None),
        (True, None),
        (None, None),
        ([22], None),
        ({"value": 22}, None),
        (Decimal("1E+401"), None),
    ],
)
def test_amounts_are_read_exactly_or_none(value: object, expected: str | None) -> None:
    amount = read_amount(value)
    assert (None if amount is None else str(amount)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  A-1 ", "A-1"),
        (1253, "1253"),
        (Decimal("1253.0"), "1253"),
        (Decimal("1253.5"), ""),
        (Decimal("1E+500"), ""),
        pytest.param(10**500, "", id="huge"),
        (True, ""),
        (False, ""),
        (None, ""),
        (["1"], ""),
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b", "a?b"),
    ],
)
def test_texts_are_read_or_empty(value: object, expected: str) -> None:
    assert read_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(10092759, "10092759"), ("0010092759", "10092759"), ("000", "0"), ("A1", "A1"), (None, "")],
)
def test_cips_are_numbers_in_any_form(value: object, expected: str) -> None:
    assert read_cip(value) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"amount": 22.50}', {"amount": Decimal("22.50")}),
        ("\ufeff[1]".encode(), [1]),
        (b'"\\ud800"', "\ud800"),
    ],
)
def test_json_is_read_with_exact_decimals(body: bytes, expected: Any) -> None:
    read = read_json(body)
    assert read == expected
    assert repr(read) == repr(expected)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"<html></html>", id="html"),
        pytest.param(b'{"a": NaN}', id="nan"),
        pytest.param(b'{"a": -Infinity}', id="infinity"),
        pytest.param(b'{"a": 1e99999999999999999999}', id="exponent-out-of-range"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"a":' * 100_000, id="deep-objects"),
        pytest.param(b"9" * 5000, id="huge-number"),
        pytest.param(b'{"a": "\xff"}', id="not-utf-8"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="utf-16"),
        pytest.param(b'{"a": "\x00"}', id="raw-nul"),
    ],
)
def test_whatever_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(body)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"cip": 1}, 1),
        ({"Cip": 1}, 1),
        ({"cip": 1, "Cip": 2}, 1),
        ({"CIP": 1}, None),
        ({}, None),
    ],
)
def test_keys_may_begin_with_a_capital(data: dict[str, int], expected: int | None) -> None:
    assert field_of(data, "cip") == expected

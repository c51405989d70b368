from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from django_pagoefectivo.pages.formats import format_cip, format_lima, format_money, in_lima


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (Decimal("22.05"), "PEN", "S/ 22.05"),
        (Decimal(10), "USD", "US$ 10.00"),
        (25, "PEN", "S/ 25.00"),
        ("0.5", "PEN", "S/ 0.50"),
        (Decimal("1234.5"), "PEN", "S/ 1,234.50"),
        (Decimal("9999999999999.99"), "PEN", "S/ 9,999,999,999,999.99"),
        (Decimal(12), "EUR", "EUR 12.00"),
        (Decimal(12), "", "12.00"),
        (None, "PEN", ""),
        ("", "PEN", ""),
        ("much", "PEN", ""),
        (Decimal("NaN"), "PEN", ""),
        (Decimal("Infinity"), "PEN", ""),
    ],
)
@pytest.mark.parametrize("language", ["es", "es-pe", "en", "zh-hans"])
def test_money_where_shops_of_peru_are_read(
    amount: Any, currency: str, text: str, language: str
) -> None:
    with translation.override(language):
        assert format_money(amount, currency) == text


def test_money_in_a_language_with_its_own_form() -> None:
    with translation.override("de"):
        assert format_money(Decimal("1234.5"), "PEN") == "S/ 1.234,50"
        assert format_money(Decimal("1234.5"), "PEN", language="es") == "S/ 1,234.50"


@pytest.mark.parametrize(
    ("cip", "text"),
    [
        (None, ""),
        ("", ""),
        ("7", "7"),
        ("1234", "1234"),
        ("12345", "123 45"),
        ("123456", "123 456"),
        ("2523136", "2523 136"),
        ("11546901", "1154 6901"),
        (11546901, "1154 6901"),
        ("123456789", "123 456 789"),
        ("1234567890", "1234 567 890"),
        ("12345678901", "1234 5678 901"),
        ("12345678901234", "1234 5678 901 234"),
    ],
)
def test_cip_in_groups(cip: Any, text: str) -> None:
    assert format_cip(cip) == text
    assert format_cip(cip).replace(" ", "") == ("" if cip is None else str(cip))


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 24, 20, 0, tzinfo=UTC), "Tuesday 24 November, 3:00\xa0p.m."),
        (datetime(2026, 11, 25, 4, 59, tzinfo=UTC), "Tuesday 24 November, 11:59\xa0p.m."),
        (datetime(2026, 11, 25, 5, 0, tzinfo=UTC), "Wednesday 25 November, 12:00\xa0a.m."),
        # Lima keeps UTC-5 while others have summer time.
        (datetime(2026, 7, 1, 5, 30, tzinfo=UTC), "Wednesday 1 July, 12:30\xa0a.m."),
        # Without an offset it is Lima time.
        (datetime(2026, 11, 24, 15, 0), "Tuesday 24 November, 3:00\xa0p.m."),  # noqa: DTZ001
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/Lima", "Asia/Shanghai"])
def test_lima_time_whatever_the_server_s_zone(
    moment: datetime, text: str, zone: str, settings: Any
) -> None:
    settings.TIME_ZONE = zone
    assert format_lima(moment) == text


def test_lima_offset_is_told() -> None:
    assert in_lima(datetime(2026, 11, 24, 20, 0, tzinfo=UTC)).isoformat() == (
        "2026-11-24T15:00:00-05:00"
    )

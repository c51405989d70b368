"""Reading and writing the values PagoEfectivo sends: JSON, dates, amounts, codes.

Reading is forgiving about form (numbers as text, dates without an offset, the sentinel
of 1900) and strict about meaning: what cannot be read is ``None``, never a guess.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

#: Lima keeps one offset all year, so a fixed zone says the same as ``America/Lima``.
LIMA = timezone(timedelta(hours=-5), "America/Lima")

#: Before this year a date is the platform's way to say "has not happened".
_FIRST_REAL_YEAR = 1901
#: After it a date says "never", and its moment in UTC may be one that nothing can hold.
_LAST_REAL_YEAR = 2999
_LONGEST_NUMBER = 400


def to_lima_text(moment: datetime) -> str:
    """An aware datetime as the wire wants it: Lima time, offset, no fraction of a second."""
    return moment.astimezone(LIMA).replace(microsecond=0).isoformat()


def read_moment(value: object) -> datetime | None:
    """A date of the wire as aware UTC; ``None`` for none, the 1900 sentinel or no date.

    So is one after the year 2999. A date without an offset is Lima time.
    """
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=LIMA)
        if not _FIRST_REAL_YEAR <= moment.year <= _LAST_REAL_YEAR:
            return None
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_json(body: bytes) -> Any:
    """Parse JSON with exact decimals. Raises ``ValueError`` for whatever is not JSON."""
    try:
        return json.loads(
            body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except InvalidOperation:
        raise ValueError("a number out of range") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def read_text(value: object) -> str:
    """Text or a whole number as text without surrounding space; everything else is ``""``.

    Characters that no database keeps (NUL, lone surrogates) are replaced.
    """
    if isinstance(value, bool):
        return ""
    if isinstance(value, Decimal):
        if not value.is_finite() or value.adjusted() > _LONGEST_NUMBER:
            return ""
        if value != value.to_integral_value():
            return ""
        value = int(value)
    if isinstance(value, int):
        return str(value) if abs(value).bit_length() < 4 * _LONGEST_NUMBER else ""
    if isinstance(value, str):
        clean = value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
        return clean.strip()
    return ""


def read_cip(value: object) -> str:
    """A CIP as text; PagoEfectivo's are numbers, so leading zeros do not count."""
    text = read_text(value)
    return (text.lstrip("0") or "0") if text.isascii() and text.isdigit() else text


def read_amount(value: object) -> Decimal | None:
    """An amount given as a number or as text with a dot, or ``None``. Never negative."""
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, str):
            # Decimal() also takes "1_000" and digits of other scripts.
            if not value.isascii() or "_" in value:
                return None
            amount = Decimal(value.strip())
        elif isinstance(value, int | Decimal):
            amount = Decimal(value)
        else:
            return None
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount < 0 or amount.adjusted() > _LONGEST_NUMBER:
        return None
    return amount


def field_of(data: Mapping[str, Any], name: str) -> Any:
    """``data[name]``, also where the key begins with a capital; ``None`` if missing."""
    if name in data:
        return data[name]
    return data.get(name[:1].upper() + name[1:])

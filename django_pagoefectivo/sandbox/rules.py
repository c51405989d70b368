"""Rules of single fields: whether a JSON value has the published kind and length. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from ..conf import is_web_url

#: How far a token request's clock may be off: a choice.
CLOCK_TOLERANCE = timedelta(minutes=15)
LONGEST_CIP = 14

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-05:00", re.ASCII)
_INTERNATIONAL_PHONE = re.compile(r"\+?[0-9]{1,20}")
_COUNTRY_CODE = re.compile(r"\+?[0-9]{1,5}")

Rule = Callable[[object], bool]


def text(shortest: int = 0, longest: int = 4000) -> Rule:
    """Text of a length. Where none is published, 4000 is a choice."""

    def rule(value: object) -> bool:
        return (
            isinstance(value, str)
            and shortest <= len(value) <= longest
            # What no database keeps: NUL and halves of surrogate pairs.
            and "\x00" not in value
            and not any("\ud800" <= character <= "\udfff" for character in value)
        )

    return rule


def digits(shortest: int, longest: int) -> Rule:
    """Text of so many digits."""
    return lambda value: (
        isinstance(value, str)
        and value.isascii()
        and value.isdigit()
        and shortest <= len(value) <= longest
    )


def one_of(*known: str) -> Rule:
    """One of the known words."""
    return lambda value: isinstance(value, str) and value in known


def is_whole(value: object) -> bool:
    """A whole number above 0."""
    # True is an int to Python, and no number to JSON.
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18


def is_cip(value: object) -> bool:
    """A number of 1 to 14 digits."""
    return isinstance(value, int) and is_whole(value) and value < 10**LONGEST_CIP


def is_amount(value: object) -> bool:
    """A number above 0 with up to 16 digits before the dot and 2 after it."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    if isinstance(value, int):
        return 0 < value < 10**16
    return 0 < value < 10**16 and value == round(value, 2)


def is_email(value: object) -> bool:
    """Text that is an e-mail address."""
    if not isinstance(value, str) or len(value) > 254:
        return False
    try:
        validate_email(value)
    except ValidationError:
        return False
    return True


def is_address(value: object) -> bool:
    """An http(s) address."""
    return isinstance(value, str) and len(value) <= 500 and is_web_url(value)


def is_phone(value: object) -> bool:
    """Up to 20 digits, perhaps behind a plus sign."""
    return isinstance(value, str) and bool(_INTERNATIONAL_PHONE.fullmatch(value))


def is_country_code(value: object) -> bool:
    """A telephone prefix like ``+51``, up to 5 characters."""
    return isinstance(value, str) and len(value) <= 5 and bool(_COUNTRY_CODE.fullmatch(value))


def about(now: datetime) -> Rule:
    """A date that is ``now`` but for the difference of two clocks."""

    def rule(value: object) -> bool:
        date = _date(value)
        return date is not None and abs(date - now) <= CLOCK_TOLERANCE

    return rule


def after(now: datetime) -> Rule:
    """A date that is still to come."""

    def rule(value: object) -> bool:
        date = _date(value)
        return date is not None and date > now

    return rule


def _date(value: object) -> datetime | None:
    """A date of exactly the published form: 25 characters, with Lima's offset."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None

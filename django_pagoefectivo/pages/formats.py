"""Money, codes and dates as a shopper in Peru reads them."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from django.utils import formats, timezone
from django.utils.translation import get_language, pgettext

LIMA = ZoneInfo("America/Lima")
SYMBOLS = {"PEN": "S/", "USD": "US$"}

#: Languages in which the shoppers and staff of a Peruvian shop read 1,234.50. Django's own
#: Spanish is Spain's, with the comma and the point the other way round, and an amount of
#: money is the last thing to leave room for doubt about.
POINT_LANGUAGES = frozenset({"en", "es", "zh"})

#: A bank's form takes up to 14 digits; groups of three or four are read and typed with the
#: fewest slips.
LONGEST_GROUP = 4


def format_money(amount: object, currency: str, language: str | None = None) -> str:
    """``S/ 1,234.50`` or ``US$ 10.00`` in ``language``, by default the active one.

    An unknown currency is shown by its code. What is no number gives ``""``.
    """
    try:
        number = Decimal(str(amount)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    except InvalidOperation:
        return ""
    if not number.is_finite():
        return ""
    language = language or get_language() or "en"
    if language.partition("-")[0] in POINT_LANGUAGES:
        text = f"{number:,.2f}"
    else:
        text = formats.number_format(number, 2, use_l10n=True, force_grouping=True)
    return f"{SYMBOLS.get(currency, currency)} {text}".strip()


def cip_groups(cip: object) -> list[str]:
    """The digits of a code in groups of about equal length, the longer ones first."""
    digits = "" if cip is None else str(cip).strip()
    if not digits:
        return []
    count = -(-len(digits) // LONGEST_GROUP)
    short, longer = divmod(len(digits), count)
    groups = []
    start = 0
    for index in range(count):
        end = start + short + (index < longer)
        groups.append(digits[start:end])
        start = end
    return groups


def format_cip(cip: object) -> str:
    """``1154 6901``: the code as a person reads it aloud. ``""`` where there is none."""
    return " ".join(cip_groups(cip))


def in_lima(moment: datetime) -> datetime:
    """``moment`` on Lima's clock; a naive one is Lima time already."""
    if timezone.is_naive(moment):
        return moment.replace(tzinfo=LIMA)
    return moment.astimezone(LIMA)


def format_lima(moment: datetime) -> str:
    """Day and time in Lima, in words of the active language."""
    # Translators: a Django date format, for "Tuesday 24 November, 3:00 p.m."
    pattern = pgettext("date format", "l j F, g:i a")
    # "3:00 p.m." is read as one, so it is not broken over two lines.
    pattern = pattern.replace(":i a", ":i\N{NO-BREAK SPACE}a")
    # date_format would move an aware time to the server's zone.
    return formats.date_format(in_lima(moment).replace(tzinfo=None), pattern)

"""Cells that a spreadsheet shows and never runs."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

from ..gateways.wire import LIMA

_SIGNS = "=+\\-@＝＋－＠"  # noqa: RUF001
#: What spreadsheets take for the beginning of a formula, also behind white space and as
#: Asian keyboards type it. A tab or line break at the beginning shifts cells in some.
_FORMULA = re.compile(f"\\A(?:[\\s\0]*[{_SIGNS}]|[\t\r\n])")
#: White space, separators and quotes, and the sign of a formula behind them.
_BEHIND = re.compile(f'(?<![\\s,;"])([\\s,;"]+)([{_SIGNS}])')
#: Behind one of these some reader of a CSV file begins a new cell.
_BORDERS = frozenset(',;"\t\r\n\x85\u2028\u2029')
#: Numbers and phone numbers, which look like it and are harmless.
_NUMBER = re.compile(r"[+-]?\d[\d ]*(?:[.,]\d+)?", re.ASCII)
#: What XML, and so XLSX, cannot hold; no text has a use for it.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

Cell = str | int | Decimal | datetime | date | bool | None


def inert(text: str, *, numbers: bool = True) -> str:
    """``text`` so that no spreadsheet takes it for a formula: an apostrophe before it.

    Numbers, also with a sign, stay as they are unless ``numbers`` is false; control characters
    are dropped.
    """
    clean = _CONTROL.sub("", text)
    if _FORMULA.match(clean) and not (numbers and _NUMBER.fullmatch(clean)):
        return f"'{clean}"
    return clean


def inert_in_csv(text: str, *, first: bool = False) -> str:
    """``text`` as ``inert`` makes it, and so wherever another separator would begin a cell.

    Who opens a file with commas as one with semicolons or tabs, or without regard to quotes,
    cuts its texts in pieces. ``first``: it stands in the first column, whose cell then goes on
    with the next ones, so that a number with a sign is no number any more.
    """
    return _BEHIND.sub(_with_apostrophe, inert(text, numbers=not first))


def _with_apostrophe(match: re.Match[str]) -> str:
    gap, sign = match.groups()
    return match.group() if _BORDERS.isdisjoint(gap) else f"{gap}'{sign}"


def without_control(text: str) -> str:
    """``text`` without the characters that XML cannot hold."""
    return _CONTROL.sub("", text)


def as_text(cell: Cell, decimal_mark: str = ".", *, first: bool = False) -> str:
    """A cell of a CSV file: amounts with a dot or comma, moments in Lima time.

    ``first``: it is the first of its row.
    """
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, datetime):
        return f"{cell.astimezone(LIMA):%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return f"{cell:f}".replace(".", decimal_mark)
    return inert_in_csv(cell, first=first) if isinstance(cell, str) else str(cell)

"""Cells that a spreadsheet shows and never runs."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

from ..gateways.wire import LIMA

#: What spreadsheets take for the beginning of a formula, also behind white space and as
#: Asian keyboards type it. A tab or line break at the beginning shifts cells in some.
_FORMULA = re.compile("\\A(?:[\\s\0]*[=+\\-@＝＋－＠]|[\t\r\n])")  # noqa: RUF001
#: Numbers and phone numbers, which look like it and are harmless.
_NUMBER = re.compile(r"[+-]?\d[\d ]*(?:[.,]\d+)?", re.ASCII)
#: What XML, and so XLSX, cannot hold; no text has a use for it.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

Cell = str | int | Decimal | datetime | date | bool | None


def inert(text: str) -> str:
    """``text`` so that no spreadsheet takes it for a formula: an apostrophe before it.

    Numbers, also with a sign, stay as they are; control characters are dropped.
    """
    clean = _CONTROL.sub("", text)
    if _FORMULA.match(clean) and not _NUMBER.fullmatch(clean):
        return f"'{clean}"
    return clean


def without_control(text: str) -> str:
    """``text`` without the characters that XML cannot hold."""
    return _CONTROL.sub("", text)


def as_text(cell: Cell, decimal_mark: str = ".") -> str:
    """A cell of a CSV file: amounts with a dot or comma, moments in Lima time."""
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
    return inert(cell) if isinstance(cell, str) else str(cell)

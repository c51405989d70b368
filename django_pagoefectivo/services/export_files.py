"""Rows as a CSV or XLSX file, made as they come."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from tempfile import NamedTemporaryFile
from typing import IO, Any

from ..gateways.wire import LIMA
from .cells import Cell, as_text, inert, without_control

try:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
except ImportError:  # the extra "xlsx"
    HAS_XLSX = False
else:
    HAS_XLSX = True

#: Tells spreadsheets that it is UTF-8, so that accents come out right.
_BOM = "\ufeff"
_ROWS_AT_ONCE = 200
#: Of the format itself.
SHEET_ROWS = 1_048_576
_LONGEST_CELL = 32_767


class _Lines(list[str]):
    """What ``csv`` writes, until somebody takes it away."""

    def write(self, line: str) -> None:
        self.append(line)

    def taken(self) -> bytes:
        text = "".join(self)
        self.clear()
        return text.encode("utf-8", "replace")


def csv_parts(
    headings: list[str], rows: Iterable[list[Cell]], *, decimal_comma: bool = False
) -> Iterator[bytes]:
    """A CSV file in UTF-8 with its mark, piece by piece.

    With ``decimal_comma`` as spreadsheets of those countries read it: semicolons between the
    columns. No cell is taken for a formula, whichever separator somebody reads it with.
    """
    lines = _Lines()
    writer = csv.writer(lines, delimiter=";" if decimal_comma else ",")
    mark = "," if decimal_comma else "."
    lines.write(_BOM)
    writer.writerow([as_text(heading) for heading in headings])
    for number, row in enumerate(rows, start=1):
        writer.writerow([as_text(cell, mark, first=at == 0) for at, cell in enumerate(row)])
        if number % _ROWS_AT_ONCE == 0:
            yield lines.taken()
    yield lines.taken()


def xlsx_file(title: str, headings: list[str], rows: Iterable[list[Cell]]) -> IO[bytes]:
    """An XLSX file, at its beginning; it vanishes when it is closed.

    Text is text, also where it looks like a formula. Where one sheet cannot hold all rows
    the next one goes on. Needs the extra ``xlsx``, as ``HAS_XLSX`` says.
    """
    book = Workbook(write_only=True)

    sheet: Any = None
    for number, row in enumerate(rows):
        if number % (SHEET_ROWS - 1) == 0:
            sheet = _new_sheet(book, title, headings)
        sheet.append([_cell(sheet, value) for value in row])
    if sheet is None:
        _new_sheet(book, title, headings)
    file = NamedTemporaryFile(suffix=".xlsx")  # noqa: SIM115 - whoever sends it closes it
    try:
        book.save(file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _new_sheet(book: Any, title: str, headings: list[str]) -> Any:
    number = len(book.worksheets)
    sheet = book.create_sheet(f"{title} {number + 1}" if number else title)
    sheet.freeze_panes = "A2"
    sheet.append([_cell(sheet, heading) for heading in headings])
    return sheet


def _cell(sheet: Any, value: Cell) -> Any:
    cell = WriteOnlyCell(sheet)
    if isinstance(value, str):
        text = without_control(value)
        cell.value = text[:_LONGEST_CELL]
        cell.data_type = "s"
        # It stays text when somebody edits the cell, too.
        cell.quotePrefix = inert(text) != text
    elif isinstance(value, datetime):
        cell.value = value.astimezone(LIMA).replace(tzinfo=None)
        cell.number_format = "yyyy-mm-dd hh:mm:ss"
    else:
        cell.value = value
        if isinstance(value, Decimal):
            cell.number_format = "0.00"
    return cell

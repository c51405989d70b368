"""Settlement reports as rows: CSV in any common form, or XLSX; read as a stream.

Nothing here knows payments. Whatever is wrong with a file is a ``StatementError`` with the
line it is wrong in.
"""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

try:
    from openpyxl import load_workbook
except ImportError:  # the extra "xlsx"
    HAS_XLSX = False
else:
    HAS_XLSX = True

DELIMITERS = ";,\t|"
LONGEST_LINE = 64 * 1024
#: What an XLSX may unpack to; a bomb is some kilobytes that unpack to gigabytes.
LARGEST_UNPACKED = 512 * 1024 * 1024
#: The last row that spreadsheets have. A row may claim any number, and the ones left out
#: before it are made up one by one.
LAST_ROW = 1_048_576
#: Columns of an XLSX. One cell in the last column there is makes up all those before it.
WIDEST = 256
_CHUNK = 1024 * 1024
_NUL = "The file is no table: it holds NUL bytes."


class StatementError(ValueError):
    """The file cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row's number in the file, counted from 1, and its cells."""

    number: int
    cells: Sequence[Any]


def read_rows(file: IO[bytes]) -> Iterator[Row]:
    """The non-empty rows of a seekable binary ``file``. Raises ``StatementError``."""
    file.seek(0)
    head = file.read(8)
    file.seek(0)
    if not head:
        raise StatementError("The file is empty.")
    if head.startswith(b"PK\x03\x04"):
        return _xlsx_rows(file)
    if head.startswith((b"%PDF", b"\xd0\xcf\x11\xe0")):
        raise StatementError(
            "The file is no table: it looks like a PDF or an old Excel file (.xls). Save it as "
            "CSV or XLSX."
        )
    return _csv_rows(file)


# -- CSV ---------------------------------------------------------------------------------------


def _encoding(file: IO[bytes]) -> str:
    """UTF-8 or UTF-16 where the bytes are such, else what Windows writes in Peru."""
    head = file.read(4)
    file.seek(0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while chunk := file.read(_CHUNK):
            if b"\x00" in chunk:
                raise StatementError(_NUL)
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    finally:
        file.seek(0)
    return "utf-8-sig"


def _lines(file: IO[bytes], encoding: str) -> Iterator[str]:
    """The file's lines from its beginning, none of them longer than allowed."""
    file.seek(0)
    lines: Iterator[str | bytes] = (
        _utf_16_lines(file) if encoding == "utf-16" else _byte_lines(file)
    )
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE:
            raise StatementError(f"Line {number} is longer than {LONGEST_LINE} characters.")
        try:
            yield line if isinstance(line, str) else line.decode(encoding)
        except UnicodeDecodeError:
            raise StatementError(
                f"Line {number} has bytes that are neither UTF-8 nor Windows-1252. Save the file "
                "as UTF-8."
            ) from None


def _byte_lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE + 1):
        yield line


def _utf_16_lines(file: IO[bytes]) -> Iterator[str]:
    text = io.TextIOWrapper(file, "utf-16", errors="replace", newline="")
    try:
        while line := text.readline(LONGEST_LINE + 1):
            if "\x00" in line:
                raise StatementError(_NUL)
            yield line
    finally:
        # The file belongs to the caller; the wrapper must not close it.
        text.detach()


def _delimiter(file: IO[bytes], encoding: str) -> str:
    """The one that splits the first lines into the most columns."""
    sample = list(islice(_lines(file, encoding), 20))

    def columns(delimiter: str) -> int:
        return max((line.count(delimiter) for line in sample), default=0)

    best = max(DELIMITERS, key=columns)
    if not columns(best):
        raise StatementError(
            "The file is no table: no semicolon, comma, tab or bar separates columns in its "
            "first lines."
        )
    return best


def _csv_rows(file: IO[bytes]) -> Iterator[Row]:
    encoding = _encoding(file)
    delimiter = _delimiter(file, encoding)
    reader = csv.reader(_lines(file, encoding), delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Row(reader.line_num, cells)
    except csv.Error as error:
        raise StatementError(
            f"Line {reader.line_num} cannot be read as CSV: {error}. A quotation mark may not be "
            "closed."
        ) from None


# -- XLSX --------------------------------------------------------------------------------------


def _xlsx_rows(file: IO[bytes]) -> Iterator[Row]:
    if not HAS_XLSX:
        raise StatementError(
            'XLSX needs the extra: pip install "django-pagoefectivo[xlsx]". Or save it as CSV.'
        )
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        raise StatementError("The file is a damaged XLSX.") from None
    if unpacked > LARGEST_UNPACKED:
        raise StatementError(
            f"The XLSX unpacks to {unpacked // 1024**2} MB, more than "
            f"{LARGEST_UNPACKED // 1024**2} MB. Save it as CSV."
        )
    file.seek(0)
    try:
        # data_only: what a formula showed when the file was saved; nothing is computed.
        book = load_workbook(file, read_only=True, data_only=True)
    except Exception as error:  # noqa: BLE001 - a damaged file makes openpyxl raise anything
        raise StatementError(f"The XLSX cannot be opened ({type(error).__name__}).") from None
    try:
        sheet = book.worksheets[0] if book.worksheets else None
        if sheet is None:
            raise StatementError("The XLSX has no sheet.")
        # What the sheet says of its size may be a lie that makes every row enormous.
        sheet.reset_dimensions()
        for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            _refuse_beyond(number, len(cells))
            if any(cell not in (None, "") for cell in cells):
                yield Row(number, cells)
    finally:
        book.close()


def _refuse_beyond(row: int, width: int) -> None:
    if row > LAST_ROW:
        raise StatementError(
            f"The sheet goes on behind row {LAST_ROW}, the last one that a sheet can have. Save "
            "it as CSV."
        )
    if width > WIDEST:
        raise StatementError(
            f"Row {row} of the sheet has {width} columns, more than {WIDEST}. Delete those that "
            "are not part of the report, also empty ones, or save it as CSV."
        )

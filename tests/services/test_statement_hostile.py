"""Reports made to harm: enormous sheets, moments no calendar of a database has."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from openpyxl import Workbook

from django_pagoefectivo.models import LineState, Statement, StatementMapping
from django_pagoefectivo.services import statements
from django_pagoefectivo.services.statement_files import LAST_ROW, WIDEST, StatementError

#: Far above what a refusal takes, far below what reading it all would.
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(60), pytest.mark.slow]


def sheet(edit: Callable[[bytes], bytes]) -> io.BytesIO:
    """A report of one line as XLSX, its sheet's XML as ``edit`` makes it."""
    book, plain, made = Workbook(), io.BytesIO(), io.BytesIO()
    page = book.active
    assert page is not None
    page.append(["CIP", "Monto"])
    page.append(["1001", 22.05])
    book.save(plain)
    with zipfile.ZipFile(plain) as parts, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in parts.namelist():
            part = parts.read(name)
            new.writestr(name, edit(part) if name.endswith("sheet1.xml") else part)
    return made


def moved(row: int) -> io.BytesIO:
    """The report whose line stands in ``row``."""
    return sheet(
        lambda xml: (
            xml.replace(b'<row r="2"', b'<row r="%d"' % row)
            .replace(b'r="A2"', b'r="A%d"' % row)
            .replace(b'r="B2"', b'r="B%d"' % row)
        )
    )


def widened(column: str, rows: int) -> io.BytesIO:
    """The report with ``rows`` more rows of one cell in ``column``."""
    more = b"".join(
        b'<row r="%d"><c r="%s%d"><v>1</v></c></row>' % (row, column.encode(), row)
        for row in range(3, rows + 3)
    )
    return sheet(lambda xml: xml.replace(b"</sheetData>", more + b"</sheetData>"))


def load(file: io.BytesIO) -> Statement:
    return statements.import_statement(file, file_name="report.xlsx", merchant="default")


def look(file: io.BytesIO) -> Any:
    return statements.preview_statement(file, merchant="default", most=1000)


@pytest.mark.parametrize("read", [look, load])
@pytest.mark.parametrize("row", [LAST_ROW + 1, 9_000_000_000, 10**30])
def test_a_row_that_no_sheet_has_is_refused_soon(read: Any, row: int) -> None:
    with pytest.raises(StatementError, match=f"behind row {LAST_ROW}"):
        read(moved(row))
    assert not Statement.objects.exists()


@pytest.mark.parametrize("read", [look, load])
def test_a_sheet_that_is_too_wide_is_refused_soon(read: Any) -> None:
    with pytest.raises(StatementError, match=f"Row 3 .* 16384 columns, more than {WIDEST}"):
        read(widened("XFD", 20_000))
    assert not Statement.objects.exists()


@pytest.mark.parametrize("row", [3, 40, 5000, LAST_ROW])
def test_empty_rows_before_a_line_are_passed_over(row: int) -> None:
    statement = load(moved(row))
    assert [line.number for line in statement.lines.all()] == [row]


def test_a_wide_sheet_is_read() -> None:
    assert load(widened("IV", 2)).line_count == 3


def dated_csv(moment: str) -> io.BytesIO:
    return io.BytesIO(f"CIP;Monto;Fecha de pago\n1001;22,05;{moment}\n1002;1,00;\n".encode())


def dated_xlsx(moment: datetime) -> io.BytesIO:
    book, file = Workbook(), io.BytesIO()
    page = book.active
    assert page is not None
    for row in (["CIP", "Monto", "Fecha de pago"], ["1001", 22.05, moment], ["1002", 1, None]):
        page.append(row)
    book.save(file)
    return file


@pytest.mark.parametrize(
    ("file", "cell"),
    [
        (dated_csv("31/12/9999 23:59"), "31/12/9999 23:59"),
        (dated_csv("01-01-0001"), "01-01-0001"),
        (dated_csv("9999-12-31T23:59:59-05:00"), "9999-12-31T23:59:59-05:00"),
        (dated_csv("0001-01-01T00:00:00+14:00"), "0001-01-01T00:00:00+14:00"),
        (dated_csv("31/12/1999"), "31/12/1999"),
        (dated_xlsx(datetime(9999, 12, 31, 23, 59)), "9999-12-31 23:59:00"),  # noqa: DTZ001
    ],
)
def test_a_moment_out_of_range_is_its_lines_fault(file: io.BytesIO, cell: str) -> None:
    assert look(file).counts.total() == 2
    statement = load(file)
    wrong, other = statement.lines.order_by("number")
    assert (wrong.state, wrong.paid_at) == (LineState.UNREADABLE, None)
    assert wrong.problem == f"Line 2: {cell!r} is no date from 2000 to 2099."
    assert other.state == LineState.UNKNOWN


def test_a_heading_chosen_by_hand_that_no_file_has_is_not_remembered() -> None:
    file = io.BytesIO(b"A;B\n1001;22,05\n")
    columns = {"cip": "A", "amount": "B", "net": "x\0y", "fee": "B"}
    statement = statements.import_statement(
        file, file_name="report.csv", merchant="default", columns=columns
    )
    assert statement.line_count == 1
    assert StatementMapping.objects.get().columns == {"cip": "A", "amount": "B"}


def test_nul_characters_are_refused_in_any_encoding() -> None:
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(StatementError, match="NUL"):
            load(io.BytesIO("CIP;Monto;N\0to\n1001;22,05;1\n".encode(encoding)))

"""Settlement reports: preview, import, and what agrees with the shop's payments.

A file is read as a stream, a thousand lines at a time, and imported in one transaction:
all of it or nothing. The same file twice changes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from ..gateways.wire import LIMA, read_cip, read_text
from ..models import (
    Attention,
    LineState,
    Source,
    Statement,
    StatementLine,
    StatementMapping,
)
from .batches import in_batches
from .statement_columns import (
    FIELDS,
    FIRST_YEAR,
    LAST_YEAR,
    is_enough,
    mapped,
    read_currency,
    read_date,
    read_number,
    recognise,
    says_refund,
)
from .statement_files import Row, StatementError, read_rows
from .statement_matching import match
from .transactions import repeated_on_conflict
from .transitions import Actor, flag, read_again

if TYPE_CHECKING:
    from django.contrib.auth.models import User

BATCH = 1000
#: Reports may begin with a title and a period before the headings.
_HEADING_WITHIN = 20
_PREVIEW_LINES = 20
_STATEMENT = Actor(Source.STATEMENT)
_NO_LINES = "The file has headings but no lines."


@dataclass(slots=True)
class Preview:
    """What an import would do; nothing is written.

    ``columns`` are the recognised fields with their headings, ``headings`` all of the file's;
    if ``ready`` is false the columns must be mapped by hand first. ``counts`` tells how many
    lines would be in each state, ``lines`` are the first ones.
    """

    headings: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    ready: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[StatementLine] = field(default_factory=list)
    known_as: Statement | None = None


def preview_statement(
    file: IO[bytes],
    *,
    merchant: str,
    columns: Mapping[str, str] | None = None,
    most: int | None = None,
) -> Preview:
    """Read ``file`` as an import would. Raises ``StatementError``.

    ``columns`` maps fields to headings; else the remembered mapping of ``merchant``, else
    what the headings say. ``most`` is how many lines behind the headings are read and
    counted; all of them without.
    """
    preview = Preview(known_as=_known(merchant, _file_digest(file)))
    rows, layout = _layout(file, merchant, columns, preview)
    if not preview.ready:
        return preview
    read = islice(rows, most)
    for batch in _batches(read, layout, merchant, Statement(merchant=merchant)):
        preview.counts.update(line.state for line in batch)
        preview.lines += batch[: _PREVIEW_LINES - len(preview.lines)]
    if not preview.lines:
        raise StatementError(_NO_LINES)
    return preview


def import_statement(
    file: IO[bytes],
    *,
    file_name: str,
    merchant: str,
    columns: Mapping[str, str] | None = None,
    user: User | None = None,
    progress: Callable[[int], None] | None = None,
) -> Statement:
    """Import ``file`` and return its statement, the earlier one if it is known already.

    ``columns`` is remembered for the merchant's next file, as far as this one has them.
    ``progress`` is told how many
    lines have been read. Raises ``StatementError``, and nothing is written then.
    """
    digest = _file_digest(file)
    if known := _known(merchant, digest):
        flag_paid_twice(known)
        return known
    found = Preview()
    rows, layout = _layout(file, merchant, columns, found)
    if not found.ready:
        raise StatementError(
            "The columns of the file are not recognised: a CIP or a transaction code and an "
            f"amount are needed. Its headings: {', '.join(found.headings) or 'none'}."
        )
    statement = Statement(
        merchant=merchant, file_name=file_name[-255:], file_digest=digest, uploaded_by=user
    )
    try:
        _import(rows, layout, _by_hand(found, columns), statement, progress)
    except IntegrityError:
        # Somebody else imported the same file at the same time.
        if known := _known(merchant, digest):
            return known
        raise
    flag_paid_twice(statement)
    return statement


def flag_paid_twice(statement: Statement) -> int:
    """Flag the payments that ``statement`` shows as paid once more; how many were new.

    After the import's commit: each payment has its own short transaction, and what an
    interruption left out the same file makes good when it is imported again.
    """
    twice = statement.lines.filter(
        state=LineState.PAID_TWICE, payment__isnull=False, settled_at__isnull=True
    )
    return sum(
        repeated_on_conflict(partial(_flag_twice, statement, line))
        for batch in in_batches(twice.select_related("payment"), BATCH)
        for line in batch
    )


def _flag_twice(statement: Statement, line: StatementLine) -> bool:
    assert line.payment is not None  # noqa: S101
    note = (
        f"Paid once more in statement {statement.file_name}, line {line.number}: "
        f"{line.amount} {line.currency or line.payment.currency} "
        f"(operation {line.operation_number or '?'})."
    )
    return flag(read_again(line.payment), Attention.DUPLICATE_PAYMENT, note, _STATEMENT)


def _by_hand(found: Preview, columns: Mapping[str, str] | None) -> dict[str, str]:
    """Of the columns chosen by hand those that the file has, in its own words."""
    chosen = mapped(found.headings, columns or {})
    return {name: found.headings[at] for name, at in chosen.items()}


def _import(
    rows: Iterator[Row],
    layout: Mapping[str, int],
    columns: Mapping[str, str],
    statement: Statement,
    progress: Callable[[int], None] | None,
) -> None:
    merchant = statement.merchant
    with transaction.atomic():
        if columns:
            StatementMapping.objects.update_or_create(
                merchant=merchant, defaults={"columns": dict(columns)}
            )
        statement.save(force_insert=True)
        days: list[Any] = []
        for batch in _batches(rows, layout, merchant, statement):
            StatementLine.objects.bulk_create(batch)
            statement.line_count += len(batch)
            dated = [line.paid_at.astimezone(LIMA).date() for line in batch if line.paid_at]
            days = [min([*days[:1], *dated]), max([*days[-1:], *dated])] if dated else days
            if progress is not None:
                progress(statement.line_count)
        if not statement.line_count:
            raise StatementError(_NO_LINES)
        statement.first_day, statement.last_day = (days[0], days[-1]) if days else (None, None)
        statement.save(update_fields=("line_count", "first_day", "last_day"))


# -- reading -----------------------------------------------------------------------------------


def _file_digest(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(1024 * 1024):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _known(merchant: str, digest: str) -> Statement | None:
    return Statement.objects.filter(merchant=merchant, file_digest=digest).first()


def _layout(
    file: IO[bytes], merchant: str, columns: Mapping[str, str] | None, preview: Preview
) -> tuple[Iterator[Row], dict[str, int]]:
    """The rows behind the headings and where each field stands; fills ``preview``."""
    if columns is None:
        remembered = StatementMapping.objects.filter(merchant=merchant).first()
        columns = remembered.columns if remembered else None
    rows = _readable(read_rows(file))
    widest = 0
    for row in islice(rows, _HEADING_WITHIN):
        layout = _columns_of(row, columns)
        headings = [str(cell or "").strip() for cell in row.cells]
        width = sum(map(bool, headings))
        if width > widest:
            # A title above the table has fewer cells than its headings.
            preview.headings, widest = headings, width
        if is_enough(layout):
            preview.headings = headings
            preview.columns = {name: headings[at] for name, at in layout.items()}
            preview.ready = True
            return rows, layout
    return rows, {}


def _readable(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows; whatever else a damaged file makes its reader raise is a ``StatementError``."""
    number = 0
    try:
        for row in rows:
            number = row.number
            yield row
    except StatementError:
        raise
    except Exception as error:  # noqa: BLE001 - openpyxl raises anything for broken XML
        raise StatementError(
            f"The file is damaged after line {number} ({type(error).__name__})."
        ) from None


def _columns_of(row: Row, columns: Mapping[str, str] | None) -> dict[str, int]:
    """Field → column, if ``row`` has the headings: as chosen by hand, else as recognised."""
    by_hand = mapped(row.cells, columns or {})
    return by_hand if is_enough(by_hand) else recognise(row.cells) | by_hand


def _batches(
    rows: Iterator[Row],
    layout: Mapping[str, int],
    merchant: str,
    statement: Statement,
) -> Iterator[list[StatementLine]]:
    while chunk := list(islice(rows, BATCH)):
        batch = [_line(row, layout, merchant, statement) for row in chunk]
        match(batch, merchant)
        yield batch


def _line(
    row: Row, layout: Mapping[str, int], merchant: str, statement: Statement
) -> StatementLine:
    """What one row says. What cannot be read makes it unreadable, with the reason."""
    cells = {
        name: row.cells[layout[name]] if name in layout and layout[name] < len(row.cells) else None
        for name in FIELDS
    }
    amount, status = read_number(cells["amount"]), cells["status"]
    line = StatementLine(
        statement=statement,
        number=row.number,
        cip=read_cip(_code(cells["cip"]))[:64],
        transaction_code=_code(cells["transaction_code"])[:64],
        operation_number=_code(cells["operation_number"])[:64],
        is_refund=says_refund(status) or (amount is not None and amount < 0),
        amount=None if amount is None else abs(amount),
        commission=_absolute(read_number(cells["commission"])),
        net=_absolute(read_number(cells["net"])),
        currency=read_currency(cells["currency"]),
        paid_at=read_date(cells["paid_at"]),
        state=LineState.UNKNOWN,
    )
    problems = []
    if not line.cip and not line.transaction_code:
        problems.append("it has neither a CIP nor a transaction code")
    if amount is None:
        problems.append(f"{str(cells['amount'] or '')[:40]!r} is no amount")
    if cells["paid_at"] and line.paid_at is None:
        problems.append(
            f"{str(cells['paid_at'])[:40]!r} is no date from {FIRST_YEAR} to {LAST_YEAR}"
        )
    if cells["currency"] and not line.currency:
        problems.append(f"{str(cells['currency'])[:20]!r} is no currency known here")
    if problems:
        line.state = LineState.UNREADABLE
        line.problem = f"Line {row.number}: {'; '.join(problems)}."
    line.digest = _line_digest(merchant, line, row)
    return line


def _code(cell: object) -> str:
    """A code as text; spreadsheets turn codes into floats."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return read_text(cell)


def _absolute(number: Decimal | None) -> Decimal | None:
    return None if number is None else abs(number)


def _line_digest(merchant: str, line: StatementLine, row: Row) -> str:
    parts: list[object] = [merchant]
    if line.state == LineState.UNREADABLE:
        parts += [str(cell) for cell in row.cells]
    else:
        moment = line.paid_at.isoformat() if line.paid_at else ""
        parts += [line.cip, line.transaction_code, line.operation_number, line.is_refund]
        parts += [line.amount, line.currency, moment]
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()

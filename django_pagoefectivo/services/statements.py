"""Settlement reports: preview, import, and what agrees with the shop's payments.

A file is read as a stream, a thousand lines at a time, and imported in one transaction:
all of it or nothing. The same file twice changes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet, Sum

from ..gateways.wire import LIMA, read_cip, read_text
from ..models import (
    LineState,
    Payment,
    PaymentQuerySet,
    Statement,
    StatementLine,
    StatementMapping,
    Status,
)
from .statement_columns import (
    FIELDS,
    is_enough,
    mapped,
    read_currency,
    read_date,
    read_number,
    recognise,
    says_refund,
)
from .statement_files import Row, StatementError, read_rows
from .statistics import Period, lima_day

if TYPE_CHECKING:
    from django.contrib.auth.models import User

BATCH = 1000
#: Reports may begin with a title and a period before the headings.
_HEADING_WITHIN = 20
_PREVIEW_LINES = 20
_NO_LINES = "The file has headings but no lines."
WAS_PAID = (Status.PAID, Status.REFUNDED)
#: States that wait for a person; a refund does only where it disagrees with the payment.
OPEN_STATES = (
    LineState.AMOUNT_DIFFERS,
    LineState.NOT_PAID_HERE,
    LineState.UNKNOWN,
    LineState.REFUNDED,
    LineState.UNREADABLE,
)


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


@dataclass(frozen=True, slots=True)
class DayTotal:
    """One Lima day and currency of a statement. ``ours`` is what the shop holds as paid."""

    day: Any
    currency: str
    count: int
    gross: Decimal
    commission: Decimal | None
    net: Decimal | None
    ours: Decimal

    @property
    def difference(self) -> Decimal:
        """The file's gross less the shop's."""
        return self.gross - self.ours


def preview_statement(
    file: IO[bytes], *, merchant: str, columns: Mapping[str, str] | None = None
) -> Preview:
    """Read ``file`` as an import would. Raises ``StatementError``.

    ``columns`` maps fields to headings; else the remembered mapping of ``merchant``, else
    what the headings say.
    """
    preview = Preview(known_as=_known(merchant, _file_digest(file)))
    rows, layout = _layout(file, merchant, columns, preview)
    if not preview.ready:
        return preview
    for batch in _batches(rows, layout, merchant, Statement(merchant=merchant)):
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

    ``columns`` is remembered for the merchant's next file. ``progress`` is told how many
    lines have been read. Raises ``StatementError``, and nothing is written then.
    """
    digest = _file_digest(file)
    if known := _known(merchant, digest):
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
        return _import(rows, layout, columns, statement, progress)
    except IntegrityError:
        # Somebody else imported the same file at the same time.
        if known := _known(merchant, digest):
            return known
        raise


def _import(
    rows: Iterator[Row],
    layout: Mapping[str, int],
    columns: Mapping[str, str] | None,
    statement: Statement,
    progress: Callable[[int], None] | None,
) -> Statement:
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
    return statement


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
        _match(batch, merchant)
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
        problems.append(f"{str(cells['paid_at'])[:40]!r} is no date")
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


# -- comparing ---------------------------------------------------------------------------------


def _match(batch: Sequence[StatementLine], merchant: str) -> None:
    """Give each readable line its payment and its state; three statements a batch."""
    readable = [line for line in batch if line.state != LineState.UNREADABLE]
    digests = {line.digest for line in readable}
    known = set(StatementLine.objects.filter(digest__in=digests).values_list("digest", flat=True))
    by_cip = _payments_by("cip", merchant, readable)
    by_code = _payments_by("transaction_code", merchant, readable)
    here: set[str] = set()
    for line in readable:
        payment = by_cip.get(line.cip) or by_code.get(line.transaction_code)
        line.payment = payment
        if line.digest in known or line.digest in here:
            line.state = LineState.SEEN_BEFORE
        else:
            line.state, line.problem = compare(line, payment)
        here.add(line.digest)


def _payments_by(column: str, merchant: str, lines: Sequence[StatementLine]) -> dict[str, Payment]:
    wanted = {value for line in lines if (value := getattr(line, column))}
    if not wanted:
        return {}
    found = Payment.objects.filter(merchant=merchant, **{f"{column}__in": wanted}).order_by()
    return {getattr(payment, column): payment for payment in found}


def compare(
    line: StatementLine, payment: Payment | None, *, by_hand: bool = False
) -> tuple[LineState, str]:
    """How a readable line and its payment agree, and the sentence if they do not. Pure.

    ``by_hand``: a person says that the line is about the payment, whatever its codes are.
    """
    if payment is None:
        return LineState.UNKNOWN, "No payment has this code."
    if not by_hand and line.transaction_code and line.cip and payment.cip == line.cip:
        if payment.transaction_code != line.transaction_code:
            return (
                LineState.UNKNOWN,
                f"CIP {line.cip} belongs to {payment.transaction_code} here.",
            )
    # What was paid counts: staff may have accepted another amount than was asked for.
    amount = payment.amount
    if payment.status in WAS_PAID and payment.paid_amount is not None:
        amount = payment.paid_amount
    if line.amount != amount or (line.currency and line.currency != payment.currency):
        there = f"{line.amount} {line.currency}".strip()
        return LineState.AMOUNT_DIFFERS, f"{there} there, {amount} {payment.currency} here."
    if line.is_refund:
        return LineState.REFUNDED, (
            "" if payment.status == Status.REFUNDED else f"Here it is {payment.status}."
        )
    if payment.status not in WAS_PAID:
        return LineState.NOT_PAID_HERE, f"Here it is {payment.status}."
    return LineState.MATCHED, ""


# -- what follows ------------------------------------------------------------------------------


def paid_but_not_in(statement: Statement) -> PaymentQuerySet:
    """The payments of the statement's days that are paid here but in no statement."""
    if statement.first_day is None or statement.last_day is None:
        return Payment.objects.none()
    period = Period(statement.first_day, statement.last_day)
    return Payment.objects.filter(
        merchant=statement.merchant,
        status__in=WAS_PAID,
        paid_at__gte=period.start,
        paid_at__lt=period.end,
        statement_lines__isnull=True,
    )


def counts_of(statement: Statement) -> dict[str, int]:
    """How many lines of a statement are in each state."""
    rows = statement.lines.order_by().values_list("state").annotate(count=Count("pk"))
    return dict(rows)


def waiting(lines: QuerySet[StatementLine]) -> QuerySet[StatementLine]:
    """Those of ``lines`` that somebody still has to look into."""
    return lines.filter(state__in=OPEN_STATES, settled_at__isnull=True).exclude(
        state=LineState.REFUNDED, problem=""
    )


def put_aside(lines: QuerySet[StatementLine]) -> QuerySet[StatementLine]:
    """Those of ``lines`` that somebody put aside with a comment."""
    return lines.filter(state__in=OPEN_STATES, settled_at__isnull=False)


def totals_of(statement: Statement) -> list[DayTotal]:
    """Per Lima day and currency: the file's gross, commission and net, and the shop's sum."""
    rows = (
        statement.lines.exclude(state__in=(LineState.UNREADABLE, LineState.SEEN_BEFORE))
        .filter(is_refund=False)
        .order_by()
        .annotate(day=lima_day("paid_at"))
        .values("day", "currency")
        .annotate(
            count=Count("pk"),
            gross=Sum("amount"),
            fees=Sum("commission"),
            to_get=Sum("net"),
            ours=Sum("payment__paid_amount", filter=Q(payment__status__in=WAS_PAID)),
        )
        .order_by("day", "currency")
    )
    return [
        DayTotal(
            day=row["day"],
            currency=row["currency"],
            count=row["count"],
            gross=row["gross"] or Decimal(0),
            commission=row["fees"],
            net=row["to_get"],
            ours=row["ours"] or Decimal(0),
        )
        for row in rows
    ]

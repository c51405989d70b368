"""What the columns of a settlement report mean, and what its cells say. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ..gateways.wire import LIMA, read_moment

#: Field → headings, without accents and case, most telling first.
HEADINGS: dict[str, tuple[str, ...]] = {
    "cip": (
        "cip",
        "codigo cip",
        "cod cip",
        "nro cip",
        "numero cip",
        "numero de cip",
        "codigo de pago",
        "codigo pago",
        "cip code",
        "payment code",
    ),
    "transaction_code": (
        "codigo de transaccion",
        "codigo transaccion",
        "transaction code",
        "transactioncode",
        "numero de orden",
        "nro orden",
        "orden",
        "order number",
        "order id",
        "order",
    ),
    "operation_number": (
        "numero de operacion",
        "numero operacion",
        "nro de operacion",
        "nro operacion",
        "n operacion",
        "operacion",
        "operation number",
        "operationnumber",
        "operation",
    ),
    "amount": (
        "monto pagado",
        "importe pagado",
        "monto bruto",
        "monto total",
        "monto",
        "importe",
        "gross amount",
        "amount",
        "gross",
        "total",
    ),
    "commission": ("comision total", "comision", "commission", "fee"),
    "net": ("monto neto", "importe neto", "neto", "net amount", "net", "abono", "monto a abonar"),
    "currency": ("moneda", "divisa", "currency"),
    "paid_at": (
        "fecha de pago",
        "fecha pago",
        "fecha y hora de pago",
        "fecha cancelacion",
        "fecha de cancelacion",
        "payment date",
        "paid at",
        "fecha",
        "date",
    ),
    "status": ("estado", "status"),
}
FIELDS = tuple(HEADINGS)
_CURRENCIES = {
    "pen": "PEN",
    "s": "PEN",
    "sol": "PEN",
    "soles": "PEN",
    "nuevos soles": "PEN",
    "usd": "USD",
    "us": "USD",
    "dolar": "USD",
    "dolares": "USD",
    "dollars": "USD",
}
_REFUND = ("devol", "devuel", "extorn", "refund", "reembols", "revers")
_CURRENCY_SIGN = re.compile(r"S/\.?|US\$|\$|PEN|USD|\s", re.IGNORECASE)
_NUMBER = re.compile(r"\(?-?[0-9.,]+\)?")
_DATE_FORMS = (
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%d/%m/%y %H:%M",
    "%d/%m/%y",
    "%d/%m/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p",
)
LARGEST_AMOUNT = Decimal("9999999999999.99")
#: The years in which anything can have been paid; others are slips, and the calendar's ends
#: cannot be told in another time zone.
FIRST_YEAR, LAST_YEAR = 2000, 2099


def plain(text: object) -> str:
    """Text without accents, case and punctuation, for comparing headings."""
    decomposed = unicodedata.normalize("NFKD", str(text if text is not None else ""))
    bare = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    return " ".join(re.sub(r"[^a-z0-9]+", " ", bare).split())


def recognise(cells: Sequence[Any]) -> dict[str, int]:
    """Field → column for a row of headings; fields that are not there are left out."""
    headings = [plain(cell) for cell in cells]
    found: dict[str, int] = {}
    for name, known in HEADINGS.items():
        for heading in known:
            if heading in headings and headings.index(heading) not in found.values():
                found[name] = headings.index(heading)
                break
    return found


def mapped(cells: Sequence[Any], columns: Mapping[str, str]) -> dict[str, int]:
    """Field → column by the headings somebody chose by hand."""
    headings = [plain(cell) for cell in cells]
    return {
        name: headings.index(plain(heading))
        for name, heading in columns.items()
        if name in HEADINGS and plain(heading) in headings
    }


def is_enough(found: Iterable[str]) -> bool:
    """Whether lines can be compared with payments: a code and an amount."""
    names = set(found)
    return "amount" in names and bool(names & {"cip", "transaction_code"})


def read_number(value: object) -> Decimal | None:
    """A number with comma or dot, currency signs and thousands separators; else ``None``.

    Where one separator stands alone before exactly three digits it separates thousands:
    money has two decimals.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float | Decimal):
        text = repr(value) if isinstance(value, float) else str(value)
        return _as_decimal(text)
    text = _CURRENCY_SIGN.sub("", str(value))
    if not _NUMBER.fullmatch(text):
        return None
    negative = text.startswith("-") or (text.startswith("(") and text.endswith(")"))
    text = text.strip("()-")
    last = max(text.rfind("."), text.rfind(","))
    if last >= 0:
        mark, decimals = text[last], text[last + 1 :]
        other = "," if mark == "." else "."
        thousands = text.count(mark) > 1 or (len(decimals) == 3 and other not in text)
        text = (
            text.replace(".", "").replace(",", "")
            if thousands
            else (text[:last].replace(".", "").replace(",", "") + "." + decimals)
        )
    number = _as_decimal(text)
    return -number if number is not None and negative else number


def _as_decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
        if not number.is_finite() or abs(number) > LARGEST_AMOUNT:
            return None
        return number.quantize(Decimal("0.01"))
    except InvalidOperation:
        return None


def read_date(value: object) -> datetime | None:
    """A date in a form common in Peru (day first) or ISO, as aware UTC; Lima time if unsaid.

    ``None`` for what is no date and for one before ``FIRST_YEAR`` or after ``LAST_YEAR``.
    """
    moment = _moment(value)
    if moment is None or not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return None
    return moment.astimezone(UTC)


def _moment(value: object) -> datetime | None:
    """What a cell says, aware, of any year."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=LIMA) if value.tzinfo is None else value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=LIMA)
    text = " ".join(str(value or "").replace("a. m.", "AM").replace("p. m.", "PM").split())
    if not text:
        return None
    for form in _DATE_FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=LIMA)
        except ValueError:
            continue
    return read_moment(text)


def read_currency(value: object) -> str:
    """``PEN`` or ``USD`` from a code, a sign or a name; ``""`` if it is none of them."""
    return _CURRENCIES.get(plain(value), "")


def says_refund(status: object) -> bool:
    """Whether a line's status tells of money given back."""
    text = plain(status)
    return any(word in text for word in _REFUND)

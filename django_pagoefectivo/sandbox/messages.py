"""Notifications as bytes: the documented form and the others that are seen. No I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Union

from django.utils import timezone

from .faults import NotificationFault
from .messages_payment import Callback, callback
from .models import SandboxCode
from .protocol import date_text

#: ``cip.paid`` is documented, expired and refunded are seen in the open; the last is made up.
PAID, EXPIRED, REFUNDED, UNKNOWN = "cip.paid", "cip.expired", "cip.refunded", "cip.reviewed"

#: A JSON object whose values are encoded already, so that ``22.50`` keeps its last zero.
_Members = Sequence[tuple[str, Union[str, "_Members"]]]


@dataclass(frozen=True, slots=True)
class Message:
    """What a notification says, and the form in which it says it."""

    event_type: str
    cip: int
    currency: str
    amount: Decimal
    operation_number: str
    transaction_code: str
    paid_at: datetime | None
    form: NotificationFault = NotificationFault.NONE

    @property
    def body(self) -> bytes:
        """The bytes to send."""
        indented = self.form is NotificationFault.INDENTED
        return _write(self._members(), indented=indented).encode()

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers: never any insignificant white space."""
        return _write(self._members(), indented=False).encode()

    def _members(self) -> _Members:
        numbers = self.form is NotificationFault.TEXT_AS_NUMBERS
        members: list[tuple[str, str | _Members]] = [("eventType", _text(self.event_type))]
        if self.operation_number:
            as_number = numbers and self.operation_number.isdecimal()
            number = self.operation_number.lstrip("0") or "0"
            members.append(
                ("operationNumber", number if as_number else _text(self.operation_number))
            )
        members.append(("data", self._data()))
        return members

    def _data(self) -> _Members:
        form = self.form
        cip, amount = str(self.cip), f"{self.amount:.2f}"
        data = [
            ("cip", cip if form is NotificationFault.TEXT_AS_NUMBERS else _text(cip)),
            ("currency", _text(self.currency)),
        ]
        if form is not NotificationFault.MISSING_FIELD:
            as_text = form is NotificationFault.NUMBERS_AS_TEXT
            data.append(("amount", _text(amount) if as_text else amount))
        if form is NotificationFault.NEWER_FORM:
            data.append(("paymentDate", _text(date_text(self.paid_at))))
            data.append(("transactionCode", _text(self.transaction_code)))
        if form is NotificationFault.CAPITAL_KEYS:
            data = [(name[0].upper() + name[1:], value) for name, value in data]
        return data


AnyMessage = Message | Callback


def message(
    code: SandboxCode,
    *,
    event_type: str = PAID,
    operation_number: str | None = None,
    amount: Decimal | None = None,
    currency: str | None = None,
    paid_at: datetime | None = None,
    fault: NotificationFault = NotificationFault.NONE,
) -> AnyMessage:
    """What is to be said about ``code`` in its contract's form; what is not given is its own.

    ``fault`` may change the form, or what is said: the amount, the currency, the event.
    """
    amount = code.amount if amount is None else amount
    currency = code.currency if currency is None else currency
    if fault is NotificationFault.WRONG_AMOUNT:
        amount = amount - 1 if amount > 1 else amount + 1
    elif fault is NotificationFault.WRONG_CURRENCY:
        currency = "PEN" if currency == "USD" else "USD"
    elif fault is NotificationFault.UNKNOWN_EVENT:
        event_type = UNKNOWN
    if code.contract_enum is SandboxCode.Contract.PAYMENT:
        return callback(
            code,
            event_type,
            amount=amount,
            currency=currency,
            occurred_at=paid_at or timezone.now(),
            form=fault,
        )
    return Message(
        event_type=event_type,
        cip=code.cip,
        currency=currency,
        amount=amount,
        operation_number=code.operation_number if operation_number is None else operation_number,
        transaction_code=code.transaction_code,
        paid_at=paid_at or code.paid_at,
        form=fault,
    )


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write(members: _Members, *, indented: bool, depth: int = 1) -> str:
    line, colon = ("\n" + "    " * depth, ": ") if indented else ("", ":")
    written = [
        line
        + _text(name)
        + colon
        + (value if isinstance(value, str) else _write(value, indented=indented, depth=depth + 1))
        for name, value in members
    ]
    last_line = "\n" + "    " * (depth - 1) if indented else ""
    return "{" + ",".join(written) + last_line + "}"

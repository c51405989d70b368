"""The Payment API's rules: what a request must hold and what an answer looks like. No I/O.

Its description publishes what the calls do, not the names of fields, the error codes or the
status words: all of those are the project's choice, made once more here and not taken from
the client's side, so that a mistake there cannot agree with itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from . import rules
from .models import SandboxCode
from .protocol import DEFAULT_TERM, Refused, date_text, parse_object
from .rules import Rule

REQUIRED = "REQUIRED"
INVALID = "INVALID"
INVALID_REQUEST = "INVALID_REQUEST"
UNAUTHORIZED = "INVALID_SIGNATURE"
FORBIDDEN = "MERCHANT_INACTIVE"
OVER_LIMIT = "AMOUNT_LIMIT"
REPEATED = "ORDER_EXISTS"
NOT_FOUND = "NOT_FOUND"
INTERNAL_ERROR = "INTERNAL_ERROR"

MESSAGES: dict[str, str] = {
    REQUIRED: "Requerido.",
    INVALID: "Valor inválido.",
    INVALID_REQUEST: "Solicitud con datos inválidos.",
    UNAUTHORIZED: "Firma inválida.",
    FORBIDDEN: "El comercio no está activo.",
    OVER_LIMIT: "El monto supera el límite del comercio.",
    REPEATED: "Ya existe un pago con ese número de orden.",
    NOT_FOUND: "El pago no existe.",
    INTERNAL_ERROR: "Error interno.",
}
STATUS_WORDS: dict[SandboxCode.Status, str] = {
    SandboxCode.Status.GENERATED: "PENDING",
    SandboxCode.Status.PAID: "PAID",
    SandboxCode.Status.EXPIRED: "EXPIRED",
    SandboxCode.Status.ANNULLED: "CANCELLED",
    SandboxCode.Status.DELETED: "CANCELLED",
}
_AMOUNT = re.compile(r"[0-9]{1,13}\.[0-9]{2}")


@dataclass(frozen=True, slots=True)
class PaymentAnswer:
    """An answer before it is JSON."""

    status: int
    data: dict[str, Any]

    @property
    def code(self) -> str:
        """The code of an error; empty for success."""
        return str(self.data.get("code", ""))

    def payload(self) -> Any:
        """The JSON object."""
        return self.data


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A valid create request; ``customer`` is as it came."""

    order_number: str
    amount: Decimal
    currency: str
    description: str
    expires_at: datetime
    return_url: str
    callback_url: str
    customer: dict[str, Any]


def error(status: int, code: str, fields: Mapping[str, str] | None = None) -> PaymentAnswer:
    """An error's answer: code, message and the code of each field."""
    errors = [
        {"field": name, "code": fault, "message": MESSAGES[fault]}
        for name, fault in (fields or {}).items()
    ]
    return PaymentAnswer(
        status,
        {"code": code, "message": MESSAGES[code], **({"errors": errors} if errors else {})},
    )


def refuse(status: int, code: str, fields: Mapping[str, str] | None = None) -> NoReturn:
    """Answer with an error."""
    raise Refused(error(status, code, fields))


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a request; anything else is refused."""
    data = parse_object(body)
    if data is None:
        refuse(400, INVALID_REQUEST, {"body": INVALID})
    return data


def read_create(data: Mapping[str, Any], now: datetime, limit: Decimal) -> PaymentRequest:
    """Check every field of a create request, then its amount against the limit."""
    customer = data.get("customer")
    errors = _wrong(
        data,
        required={
            "merchantId": rules.text(1, 64),
            "amount": _is_amount,
            "currency": rules.one_of("PEN"),
            "orderNumber": rules.text(1, 36),
        },
        optional={
            "description": rules.text(),
            "expiresAt": rules.after(now),
            "returnUrl": rules.is_address,
            "callbackUrl": rules.is_address,
            "customer": lambda value: isinstance(value, dict),
        },
    )
    if isinstance(customer, dict):
        errors |= {
            f"customer.{name}": fault
            for name, fault in _wrong(
                customer,
                required={"email": rules.is_email},
                optional={
                    "name": rules.text(),
                    "documentType": rules.one_of("DNI", "PAR", "PAS", "LMI", "NAN"),
                    "documentNumber": rules.text(0, 14),
                    "phone": rules.is_phone,
                },
            ).items()
        }
    if errors:
        refuse(400, INVALID_REQUEST, errors)
    amount = Decimal(data["amount"])
    if amount > limit:
        refuse(400, OVER_LIMIT)
    expiry = data.get("expiresAt")
    return PaymentRequest(
        order_number=data["orderNumber"],
        amount=amount,
        currency=data["currency"],
        description=data.get("description") or "",
        expires_at=now + DEFAULT_TERM if expiry is None else datetime.fromisoformat(expiry),
        return_url=data.get("returnUrl") or "",
        callback_url=data.get("callbackUrl") or "",
        customer=dict(customer or {}),
    )


def described(code: SandboxCode, now: datetime, page: str) -> dict[str, Any]:
    """The answer to a status query. Dates that have not happened are ``null``.

    ``redirectUrl`` is there, as in the answer to the create call: whoever lost that one could
    show the shopper nothing otherwise.
    """
    return {
        "paymentId": str(code.uuid),
        "redirectUrl": page,
        "orderNumber": code.transaction_code,
        "status": status_word(code, now),
        "amount": f"{code.amount:.2f}",
        "currency": code.currency,
        "paidAt": None if code.paid_at is None else date_text(code.paid_at),
        "expiresAt": date_text(code.date_expiry),
    }


def status_word(code: SandboxCode, now: datetime) -> str:
    """The word for a code's state at ``now``."""
    if code.refunded_at is not None:
        return "REFUNDED"
    return STATUS_WORDS[code.status_at(now)]


def _wrong(
    data: Mapping[str, Any], *, required: Mapping[str, Rule], optional: Mapping[str, Rule]
) -> dict[str, str]:
    """The missing and the invalid fields of ``data``."""
    errors = {}
    for name, rule in {**required, **optional}.items():
        value = data.get(name)
        if value is None or value == "":
            if name in required:
                errors[name] = REQUIRED
        elif not rule(value):
            errors[name] = INVALID
    return errors


def _is_amount(value: object) -> bool:
    return isinstance(value, str) and bool(_AMOUNT.fullmatch(value)) and Decimal(value) > 0

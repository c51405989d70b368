"""The CIP API's rules: what a request must hold and what an answer looks like. No I/O.

Facts from PagoEfectivo's public technical document (REST API v1.1). Where it publishes
nothing, the choice made here is called one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Protocol

from . import rules
from .rules import Rule

SUCCESS = 100
INVALID_DATA = 111
REQUIRED = 112
INVALID_VALUE = 113
INTERNAL_ERROR = 166
UNAUTHORIZED = 401
WRONG_SERVICE = 508
OVER_LIMIT = 511

MESSAGES: dict[int, str] = {
    SUCCESS: "Solicitud exitosa.",
    INVALID_DATA: "Solicitud con datos inválidos.",
    REQUIRED: "Requerido.",
    INVALID_VALUE: "Valor inválido.",
    INTERNAL_ERROR: "Error interno.",
    # Neither code nor message of a 401 is published; these are a choice.
    UNAUTHORIZED: "No autorizado.",
    WRONG_SERVICE: "El servicio del token es inválido.",
    OVER_LIMIT: "El monto supera el límite del servicio.",
}

#: How a date that has not happened is said.
NEVER = "1900-01-01T00:00:00-05:00"
#: The term of a code that was asked for without one: a choice.
DEFAULT_TERM = timedelta(hours=24)
#: CIPs in one status query: a choice, far above what clients send.
LONGEST_SEARCH = 1000

_LIMA = timezone(timedelta(hours=-5))


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before it is JSON: HTTP status, API code, message and data."""

    status: int
    code: int
    data: Any
    code_as_text: bool = True

    def payload(self) -> dict[str, Any]:
        """The JSON object. ``code`` is text in some answers and a number in others."""
        return {
            "code": str(self.code) if self.code_as_text else self.code,
            "message": MESSAGES[self.code],
            "data": self.data,
        }


class AnyAnswer(Protocol):
    """An answer of either contract."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def code(self) -> int | str:
        """The API's code, empty where the contract has none for this answer."""

    def payload(self) -> Any:
        """The JSON object."""


class Refused(Exception):
    """A request that is answered with an error; ``answer`` is that error."""

    def __init__(self, answer: AnyAnswer) -> None:
        super().__init__(f"{answer.status} {answer.code}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request of the right form; its hash is not checked yet."""

    service_id: int
    access_key: str
    date_request: str
    hashed: str


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A valid create request; ``details`` are its other fields, as they came."""

    currency: str
    amount: Decimal
    transaction_code: str
    date_expiry: datetime
    concept: str
    user_email: str
    service_id: int | None
    details: dict[str, Any]


# -- answers ---------------------------------------------------------------------------


def refuse(status: int, code: int) -> NoReturn:
    """Answer with an error that names no field."""
    raise Refused(Answer(status, code, []))


def refuse_fields(errors: Mapping[str, int]) -> NoReturn:
    """Answer 400 with ``111`` and the code of each field: ``112`` or ``113``."""
    raise Refused(
        Answer(
            400,
            INVALID_DATA,
            [
                {"code": str(code), "message": MESSAGES[code], "field": name}
                for name, code in errors.items()
            ],
        )
    )


def date_text(moment: datetime | None) -> str:
    """A date of an answer: Lima time with its offset; the year 1900 for ``None``."""
    if moment is None:
        return NEVER
    return moment.astimezone(_LIMA).replace(microsecond=0).isoformat()


def number(amount: Decimal) -> int | float:
    """An amount of an answer: ``25``, ``1``, ``22.05``. A float keeps its 15 digits."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


# -- requests --------------------------------------------------------------------------


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a request; ``None`` for anything else."""
    try:
        data = json.loads(
            body.decode("utf-8"), parse_float=Decimal, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError, InvalidOperation):
        return None
    return data if isinstance(data, dict) else None


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a request; anything else is refused, as the field ``body``."""
    data = parse_object(body)
    if data is None:
        refuse_fields({"body": INVALID_VALUE})
    return data


def read_token_request(data: Mapping[str, Any], now: datetime) -> TokenRequest:
    """Check the form of a token request and that its date is now."""
    check(
        data,
        required={
            "accessKey": rules.text(1),
            "idService": rules.is_whole,
            "dateRequest": rules.about(now),
            "hashString": rules.text(64, 64),
        },
    )
    return TokenRequest(
        int(data["idService"]), data["accessKey"], data["dateRequest"], data["hashString"]
    )


def read_create(data: Mapping[str, Any], now: datetime, limit: Decimal) -> CreateRequest:
    """Check every field of a create request, then its amount against the limit.

    ``userPhone`` and ``userCodeCountry`` are marked mandatory in the document, but accepted
    without in practice, and so they are here. A term that is over is refused: a choice.
    """
    optional: dict[str, Rule] = {
        "dateExpiry": rules.after(now),
        "paymentConcept": rules.text(),
        "additionalData": rules.text(),
        "adminEmail": rules.text(0, 254),
        "userId": rules.text(),
        "userName": rules.text(1, 30),
        "userLastName": rules.text(1, 30),
        "userUbigeo": rules.digits(6, 6),
        "userCountry": rules.text(1, 20),
        "userDocumentType": rules.one_of("DNI", "PAR", "PAS", "LMI", "NAN"),
        "userDocumentNumber": rules.text(0, 14),
        "userPhone": rules.digits(1, 15),
        "userCodeCountry": rules.is_country_code,
        "serviceId": rules.is_whole,
    }
    check(
        data,
        required={
            "currency": rules.one_of("PEN", "USD"),
            "amount": rules.is_amount,
            "transactionCode": rules.text(1, 36),
            "userEmail": rules.is_email,
        },
        optional=optional,
    )
    amount = Decimal(data["amount"])
    if amount > limit:
        refuse(400, OVER_LIMIT)
    expiry = data.get("dateExpiry")
    return CreateRequest(
        currency=data["currency"],
        amount=amount,
        transaction_code=data["transactionCode"],
        date_expiry=now + DEFAULT_TERM if expiry is None else datetime.fromisoformat(expiry),
        concept=data.get("paymentConcept") or "",
        user_email=data["userEmail"],
        service_id=data.get("serviceId"),
        details={
            name: data[name]
            for name in optional
            if name not in {"dateExpiry", "paymentConcept"} and data.get(name) is not None
        },
    )


def read_search(data: Mapping[str, Any]) -> list[int]:
    """The CIPs of a status query, each once, in their order."""
    check(
        data,
        required={
            "data": lambda items: isinstance(items, list) and 0 < len(items) <= LONGEST_SEARCH
        },
    )
    cips: dict[int, None] = {}
    for item in data["data"]:
        if not isinstance(item, dict):
            refuse_fields({"data": INVALID_VALUE})
        check(item, required={"cip": rules.is_cip})
        cips[item["cip"]] = None
    return list(cips)


def read_extend(data: Mapping[str, Any], now: datetime) -> datetime:
    """The new term of a code. One that is over is refused: a choice."""
    check(data, required={"dateExpiry": rules.after(now)})
    return datetime.fromisoformat(data["dateExpiry"])


def check(
    data: Mapping[str, Any],
    *,
    required: Mapping[str, Rule],
    optional: Mapping[str, Rule] | None = None,
) -> None:
    """Refuse ``data`` with the list of all its missing and invalid fields."""
    errors: dict[str, int] = {}
    for name, rule in {**required, **(optional or {})}.items():
        value = data.get(name)
        if value is None or value == "":
            if name in required:
                errors[name] = REQUIRED
                continue
            if value is None:
                continue
        if not rule(value):
            errors[name] = INVALID_VALUE
    if errors:
        refuse_fields(errors)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")

"""What a payment may be asked for with. Each refusal names the field, before any call."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from ..conf import Merchant, Options
from ..exceptions import InvalidPayment
from ..gateways import Customer

#: 15 digits, which every supported database keeps exactly.
LARGEST_AMOUNT = Decimal("9999999999999.99")
LONGEST_REFERENCE = 64
#: A deadline beyond it is a slip, and some databases and clocks end soon after.
LONGEST_TERM = timedelta(days=3653)
#: Objects and arrays within each other; MariaDB keeps no more than one more.
DEEPEST_METADATA = 30
_LONGEST = {
    "email": 254,
    "first_name": 255,
    "last_name": 255,
    "document_type": 10,
    "document_number": 20,
    "phone": 20,
    "phone_country_code": 5,
    "country": 100,
    "ubigeo": 6,
    "customer_id": 255,
}
#: An escape, and not the six characters of one, whose backslash is escaped itself.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_PHONE_PUNCTUATION = re.compile(r"[\s().-]")


def valid_amount(amount: object) -> Decimal:
    """The amount as a ``Decimal`` with two decimals."""
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int):
        raise InvalidPayment(
            "amount",
            f"{type(amount).__name__} is not exact enough for money; give a Decimal or an int.",
        )
    value = Decimal(amount)
    if not value.is_finite() or value <= 0:
        raise InvalidPayment("amount", f"{value} is not above zero.")
    if value > LARGEST_AMOUNT:
        raise InvalidPayment("amount", f"{value} is more than {LARGEST_AMOUNT}.")
    if value != value.quantize(Decimal("0.01")):
        raise InvalidPayment("amount", f"{value} has more than 2 decimals.")
    return value.quantize(Decimal("0.01"))


def valid_text(field: str, value: object, longest: int | None = None) -> str:
    """Text that every database keeps as it is."""
    if not isinstance(value, str):
        raise InvalidPayment(field, f"must be text, not {type(value).__name__}.")
    if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise InvalidPayment(field, "has characters that cannot be stored (NUL or surrogates).")
    if longest is not None and len(value) > longest:
        raise InvalidPayment(field, f"is longer than {longest} characters.")
    return value


def valid_reference(order_reference: object) -> str:
    """The order's reference: 1 to 64 characters, none of them a control character."""
    value = valid_text("order_reference", order_reference, LONGEST_REFERENCE)
    if not value.strip():
        raise InvalidPayment("order_reference", "is empty.")
    if not value.isprintable():
        raise InvalidPayment("order_reference", "has control characters.")
    return value


def valid_currency(currency: object, merchant: Merchant) -> str:
    """A currency the merchant takes."""
    if currency not in merchant.currencies:
        raise InvalidPayment(
            "currency",
            f"{currency!r} is not one of merchant {merchant.name}'s currencies "
            f"({', '.join(merchant.currencies)}).",
        )
    return str(currency)


def valid_expiry(
    expires_at: datetime | None, expires_in: timedelta | None, options: Options
) -> datetime:
    """When the code ends: in whole seconds, aware, in the next ten years."""
    now = timezone.now()
    if expires_at is not None and expires_in is not None:
        raise InvalidPayment("expires_at", "give either expires_at or expires_in, not both.")
    field = "expires_in" if expires_at is None else "expires_at"
    if expires_at is None:
        term = options.expires_in if expires_in is None else expires_in
        if not isinstance(term, timedelta) or term <= timedelta(0):
            raise InvalidPayment("expires_in", f"{term!r} is no timedelta above zero.")
        try:
            expires_at = now + term
        except OverflowError:
            raise InvalidPayment("expires_in", f"{term!r} is too long.") from None
    if not isinstance(expires_at, datetime) or timezone.is_naive(expires_at):
        raise InvalidPayment(
            "expires_at", f"{expires_at!r} has no time zone; give an aware datetime."
        )
    # The wire has whole seconds.
    expires_at = expires_at.replace(microsecond=0)
    if expires_at <= now:
        raise InvalidPayment("expires_at", f"{expires_at.isoformat()} is in the past.")
    if expires_at > now + LONGEST_TERM:
        raise InvalidPayment(field, f"{expires_at.isoformat()} is over ten years ahead.")
    return expires_at


def valid_customer(customer: object) -> Customer:
    """The customer with a usable e-mail address; the phone without its punctuation."""
    if not isinstance(customer, Customer):
        raise InvalidPayment("customer", "must be a django_pagoefectivo.services.Customer.")
    values = {
        name: valid_text(name, value, _LONGEST[name])
        for name, value in (
            (f.name, getattr(customer, f.name)) for f in dataclasses.fields(customer)
        )
    }
    try:
        validate_email(values["email"])
    except ValidationError:
        raise InvalidPayment("email", "is no e-mail address.") from None
    values["phone"] = _PHONE_PUNCTUATION.sub("", values["phone"])
    return Customer(**values)


def valid_metadata(metadata: object) -> dict[str, Any]:
    """A dict that JSON can keep, nested ``DEEPEST_METADATA`` deep at the most."""
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise InvalidPayment("metadata", f"must be a dict, not {type(metadata).__name__}.")
    if _is_deeper(metadata, DEEPEST_METADATA):
        raise InvalidPayment(
            "metadata", f"is nested more than {DEEPEST_METADATA} levels deep; flatten it."
        )
    try:
        text = json.dumps(metadata, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise InvalidPayment("metadata", f"cannot be kept as JSON: {error}") from None
    if _NUL.search(text):
        raise InvalidPayment("metadata", "has NUL characters, which cannot be stored.")
    return metadata


def _is_deeper(outermost: dict[Any, Any], most: int) -> bool:
    """Whether more than ``most`` containers lie within each other, the outermost included."""
    level: dict[int, Any] = {id(outermost): outermost}
    for _ in range(most):
        # By identity, so that one which contains itself many times stays one.
        level = {
            id(item): item
            for container in level.values()
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list | tuple)
        }
    return bool(level)

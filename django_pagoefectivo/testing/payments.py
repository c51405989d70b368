"""Payments in any state, as the services would have left them, without asking anybody."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ..conf import get_config
from ..models import Payment
from ..models.payment import order_key_for

_numbers = itertools.count(1)
_WITHOUT_CODE = ("created", "failed")
_ONCE_PAID = ("paid", "refunded")


def make_payment(status: str = "pending", **fields: Any) -> Payment:
    """Store a payment in ``status``; ``fields`` are the model's.

    A time may be given as a ``timedelta``: so long from now. No signal is sent.
    """
    return Payment.objects.create(**payment_fields(status, **fields))


def payment_fields(status: str = "pending", **fields: Any) -> dict[str, Any]:
    """The fields of such a payment, for a factory of one's own or ``Payment(**fields)``."""
    number = next(_numbers)
    now = timezone.now()
    given: dict[str, Any] = {
        name: now + value if isinstance(value, timedelta) else value
        for name, value in fields.items()
    }
    merchant = given.get("merchant", "default")
    shop = get_config().shop_of(merchant)
    key = order_key_for(shop, given.setdefault("order_reference", f"O-{number}"))
    values: dict[str, Any] = {
        "merchant": merchant,
        "order_key": key,
        "open_key": key if status in ("created", "pending") else None,
        "confirmed_key": key if status == "paid" else None,
        "transaction_code": f"T-{number}",
        "amount": Decimal("22.05"),
        "currency": "PEN",
        "expires_at": (now + timedelta(hours=24)).replace(microsecond=0),
        "customer_email": "rosa.quispe@correo.example",
        "customer_first_name": "Rosa",
        "customer_last_name": "Quispe",
        "customer_document_type": "DNI",
        "customer_document_number": "46718293",
        "customer_phone": "987654321",
        "status": status,
        **_code(status, merchant, number),
        **_times(status, now),
    }
    values |= given
    if status in _ONCE_PAID:
        values.setdefault("paid_amount", values["amount"])
        values.setdefault("operation_number", "1000")
    return values


def _code(status: str, merchant: str, number: int) -> dict[str, Any]:
    if status in _WITHOUT_CODE:
        return {"cip": None}
    # A payment may well be of a merchant that is no longer configured.
    with suppress(ImproperlyConfigured):
        if get_config().merchant(merchant).api == "payment":
            return {"cip": None, "remote_id": f"P-{number}"}
    return {"cip": str(20_000_000 + number)}


def _times(status: str, now: datetime) -> dict[str, datetime | None]:
    over = (now - timedelta(hours=1)).replace(microsecond=0)
    match status:
        case "pending":
            return {"next_poll_at": now}
        case "paid":
            return {"paid_at": now}
        case "refunded":
            return {"paid_at": over, "refunded_at": now}
        case "expired":
            return {"expires_at": over}
        case "cancelled":
            return {"cancelled_at": now}
        case _:
            return {}

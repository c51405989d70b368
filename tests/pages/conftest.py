"""Payments in every state, and what the pages' tests look for in markup."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from django_pagoefectivo.models import Payment
from django_pagoefectivo.models.payment import order_key_for

HOSTED = "https://pre1a.payment.pagoefectivo.pe/0F0B1A527D6E4D8A9A392F1CBD2A3B4C.html"
EMAIL = "rosa.quispe@correo.example"
PHONE = "987654321"
DOCUMENT = "46718293"

#: Page state → the fields that make a payment be in it, with times as offsets from now.
STATES: dict[str, dict[str, Any]] = {
    "preparing": {"status": "created", "cip": None, "cip_url": ""},
    "waiting": {"status": "pending"},
    "overdue": {"status": "pending", "expires_at": timedelta(minutes=-1)},
    "checking": {"status": "pending", "attention": "amount_mismatch"},
    "confirming": {"status": "pending", "checking_since": timedelta(minutes=-1)},
    "paid": {
        "status": "paid",
        "paid_at": timedelta(0),
        "paid_amount": Decimal("22.05"),
        "operation_number": "1253",
    },
    "expired": {"status": "expired", "expires_at": timedelta(hours=-1)},
    "cancelled": {"status": "cancelled", "cancelled_at": timedelta(0)},
    "refunded": {
        "status": "refunded",
        "paid_at": timedelta(hours=-1),
        "paid_amount": Decimal("22.05"),
        "refunded_at": timedelta(0),
    },
    "failed": {"status": "failed", "cip": None, "cip_url": ""},
}

_numbers = itertools.count(1)


def build_payment(state: str = "waiting", **fields: Any) -> Payment:
    """A payment in ``state``, not saved; times may be given as offsets from now."""
    number = next(_numbers)
    now = timezone.now()
    values: dict[str, Any] = {
        "order_reference": f"A-{1000 + number}",
        "transaction_code": f"A-{1000 + number}-1",
        "amount": Decimal("22.05"),
        "currency": "PEN",
        "description": "Two tickets",
        "customer_email": EMAIL,
        "customer_phone": PHONE,
        "customer_document_number": DOCUMENT,
        "cip": str(20_000_000 + number),
        "cip_url": HOSTED,
        "expires_at": timedelta(hours=24),
        **STATES[state],
        **fields,
    }
    values = {
        name: now + value if isinstance(value, timedelta) else value
        for name, value in values.items()
    }
    values.setdefault(
        "order_key", order_key_for(values.get("merchant", "default"), values["order_reference"])
    )
    return Payment(**values)


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def make_payment(db: None) -> Callable[..., Payment]:
    """Store a payment in a state."""

    def make(state: str = "waiting", **fields: Any) -> Payment:
        payment = build_payment(state, **fields)
        payment.save()
        return payment

    return make

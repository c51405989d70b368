"""A made-up merchant, shopper and charge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django_pagoefectivo.conf import Merchant
from django_pagoefectivo.gateways import Charge, CipGateway, Customer
from django_pagoefectivo.gateways.tokens import Token

MakeGateway = Callable[..., CipGateway]

ACCESS_KEY = "TESTACCESSKEY0000001"
SECRET_KEY = "test-secret-key-not-real-0123456789abcdef"

ANA = Customer(
    email="ana.perez@example.com",
    first_name="Ana",
    last_name="Pérez",
    document_type="DNI",
    document_number="45678912",
    phone="987654321",
    phone_country_code="+51",
)
CHARGE = Charge(
    transaction_code="A-1001-1",
    amount=Decimal("22.50"),
    currency="PEN",
    expires_at=datetime(2026, 11, 24, 15, 15, 30, tzinfo=UTC),
    description="Pedido 1001",
    customer=ANA,
)


def charge(**changes: Any) -> Charge:
    """``CHARGE`` with some values changed; those of the customer go by name too."""
    names = {field.name for field in dataclasses.fields(Customer)}
    of_customer = {name: value for name, value in changes.items() if name in names}
    rest = {name: value for name, value in changes.items() if name not in names}
    return dataclasses.replace(CHARGE, customer=dataclasses.replace(ANA, **of_customer), **rest)


def merchant_at(base_url: str | None, **changes: Any) -> Merchant:
    """The made-up merchant of the protocol, calling ``base_url``."""
    values: dict[str, Any] = {
        "name": "default",
        "api": "cip",
        "environment": "sandbox",
        "base_url": base_url,
        "service_id": "1234",
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "secret_key_fallbacks": (),
        "currencies": ("PEN", "USD"),
        "admin_email": "",
    }
    return Merchant(**{**values, **changes})


def with_token(gateway: CipGateway) -> CipGateway:
    """``gateway`` with a token in the cache, as after an earlier call."""
    gateway._tokens.renew("", lambda: Token("primed-token", 7200))
    return gateway

"""Notifications as PagoEfectivo would send them: the bytes, and the headers that sign them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse

from ..conf import get_config
from ..gateways.cip import CipGateway
from ..gateways.payment import PaymentGateway
from ..gateways.registry import gateway_class
from ..gateways.signing import sign as hmac_of
from ..gateways.wire import to_lima_text
from ..models import Payment


@dataclass(frozen=True, slots=True)
class SignedNotification:
    """What to ``POST``: the body, the headers with its signature, the path of the webhook."""

    body: bytes
    headers: Mapping[str, str]
    url: str


def sign(body: bytes | str, merchant: str = "default") -> str:
    """The signature that PagoEfectivo would send with ``body``: under the merchant's secret key.

    It goes into the header ``PE-Signature`` (CIP API) or ``X-Signature`` (Payment API).
    """
    raw = body.encode() if isinstance(body, str) else body
    return hmac_of(raw, get_config().merchant(merchant).secret_key)


def notification(
    payment: Payment,
    *,
    event: str = "paid",
    operation_number: str | None = None,
    amount: Decimal | int | None = None,
    currency: str | None = None,
    paid_at: datetime | None = None,
    missing: Collection[str] = (),
    forged: bool = False,
    indented: bool = False,
    secret_key: str | None = None,
) -> SignedNotification:
    """The notification that ``payment`` was paid; everything else is what may be wrong with it.

    ``event`` is ``"paid"``, ``"expired"``, ``"refunded"`` or a whole event type.
    ``operation_number`` defaults to one that stays the payment's own, so that making the
    notification twice repeats it. ``amount``, ``currency`` and ``paid_at`` (aware) default to
    the payment's. ``missing`` names fields to leave out, ``forged`` signs with nobody's key,
    ``secret_key`` with another one, ``indented`` spreads the JSON over several lines.
    """
    merchant = get_config().merchant(payment.merchant)
    gateway = gateway_class(merchant)
    amount = payment.amount if amount is None else amount
    currency = payment.currency if currency is None else currency
    if operation_number is None:
        operation_number = payment.operation_number or str(7_000_000 + payment.pk)
    parts: dict[str, Any]
    if issubclass(gateway, CipGateway):
        data = {
            "cip": payment.cip,
            "currency": currency,
            "amount": Decimal(amount),
            "paymentDate": None if paid_at is None else to_lima_text(paid_at),
            "transactionCode": None if payment.cip else payment.transaction_code,
        }
        parts = {
            "eventType": _event_type(event, "cip."),
            "operationNumber": operation_number,
            "data": {name: value for name, value in data.items() if name not in missing},
        }
    elif issubclass(gateway, PaymentGateway):
        parts = {
            "eventType": _event_type(event, gateway.event_prefix),
            "eventId": f"E-{operation_number}",
            "paymentId": payment.remote_id or None,
            "orderNumber": payment.transaction_code,
            "operationNumber": operation_number,
            "amount": Decimal(amount),
            "currency": currency,
            "status": event.rpartition(".")[2].upper(),
            "occurredAt": None if paid_at is None else to_lima_text(paid_at),
        }
    else:
        raise ImproperlyConfigured(
            f"Merchant {merchant.name} has the gateway {gateway.__name__}, whose notifications "
            "this does not know. Write the body yourself and use sign(body, merchant)."
        )
    members = {name: value for name, value in parts.items() if name not in missing}
    # PagoEfectivo signs the JSON without white space, in whatever form it is delivered.
    compact, body = _write(members), _write(members, indented=indented)
    key = merchant.secret_key if secret_key is None else secret_key
    signature = secrets.token_hex(32) if forged else hmac_of(compact, key)
    return SignedNotification(
        body,
        {"Content-Type": "application/json", gateway.signature_header: signature},
        reverse("pagoefectivo:merchant-webhook", args=[merchant.name]),
    )


def _event_type(event: str, prefix: str) -> str:
    return event if "." in event else prefix + event


def _write(value: Any, *, indented: bool = False, depth: int = 1) -> bytes:
    """JSON in which an amount keeps its decimals: ``22.50`` and not ``22.5``."""
    if isinstance(value, Decimal):
        return f"{value:.2f}".encode()
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False).encode()
    colon = b": " if indented else b":"
    line = b"\n" + b"  " * depth if indented else b""
    end = b"\n" + b"  " * (depth - 1) if indented else b""
    members = [
        line + json.dumps(name).encode() + colon + _write(one, indented=indented, depth=depth + 1)
        for name, one in value.items()
        if one is not None
    ]
    return b"{" + b",".join(members) + end + b"}"

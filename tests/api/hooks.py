"""What shops may name as ``PAYMENT_FOR_ORDER``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from rest_framework.request import Request

from django_pagoefectivo.services import Customer
from tests.shop.models import Order


def price(request: Request, data: dict[str, Any]) -> dict[str, Any] | None:
    """Orders cost 99.90 each; a number belongs to the user whose name it begins with."""
    number = data["order_reference"]
    order = Order.objects.filter(number=number).first()
    if order is None or not number.startswith(request.user.get_username()):
        return None
    return {
        "amount": Decimal("99.90"),
        "customer": data.get("customer") or Customer(email="own@shop.example"),
        "order": order,
        "description": "From the shop",
    }


def without_customer(request: Request, data: dict[str, Any]) -> dict[str, Any]:
    return {"amount": 5}


def refuses(request: Request, data: dict[str, Any]) -> dict[str, Any]:
    raise PermissionDenied("Not on Sundays.")


def finds_nothing(request: Request, data: dict[str, Any]) -> dict[str, Any]:
    raise Order.DoesNotExist("secret words")


def has_a_slip(request: Request, data: dict[str, Any]) -> dict[str, Any]:
    return {"amount": 5, "ammount": 6, "durable": False}

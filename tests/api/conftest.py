"""Accounts of every role, clients that speak JSON, and PagoEfectivo over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from rest_framework.test import APIClient

PAYMENTS = "/pagoefectivo/api/payments/"
STATISTICS = "/pagoefectivo/api/statistics/"
CUSTOMER = {"email": "ana@shop.example"}

#: Role → whether staff, and the permissions of the app.
ROLES: dict[str, tuple[bool, tuple[str, ...]]] = {
    "owner": (False, ()),
    "other": (False, ()),
    "entitled, but no staff": (False, ("view_payment", "reconcile_payment", "add_payment")),
    "staff without permission": (True, ()),
    "staff who view": (True, ("view_payment",)),
    "staff who reconcile": (True, ("view_payment", "reconcile_payment")),
    "staff who reconcile blindly": (True, ("reconcile_payment",)),
    "staff who add": (True, ("add_payment",)),
}


def body(order_reference: str = "A-1001", amount: str = "22.05", **more: Any) -> dict[str, Any]:
    """What staff create a payment with."""
    return {
        "order_reference": order_reference,
        "amount": amount,
        "customer": dict(CUSTOMER),
        **more,
    }


def path_of(payment: Any, act: str = "") -> str:
    return f"{PAYMENTS}{getattr(payment, 'token', payment)}/{f'{act}/' if act else ''}"


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def account(db: None) -> Callable[[str], User]:
    """An account of a role, made when first asked for."""
    made: dict[str, User] = {}

    def get(role: str) -> User:
        if role not in made:
            if role == "superuser":
                made[role] = User.objects.create_superuser("root")
            else:
                staff, codenames = ROLES[role]
                user = User.objects.create_user(role.replace(" ", "-"), is_staff=staff)
                user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
                made[role] = user
        return made[role]

    return get


@pytest.fixture
def client_of(account: Callable[[str], User]) -> Callable[[str], APIClient]:
    """A client that is logged in by a session and checked for CSRF; ``anonymous`` is not."""

    def get(role: str) -> APIClient:
        client = APIClient()
        client.default_format = "json"
        if role != "anonymous":
            client.force_login(account(role))
        return client

    return get

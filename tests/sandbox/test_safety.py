"""The sandbox beside real money: it does nothing."""

from __future__ import annotations

import copy
import uuid
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver, reverse

from django_pagoefectivo.sandbox import control, credentials
from django_pagoefectivo.sandbox import urls as sandbox_urls

pytestmark = pytest.mark.django_db


def addresses() -> list[str]:
    arguments = {"uuid": uuid.uuid4(), "cip": 12345678}
    found = []
    for pattern in sandbox_urls.urlpatterns:
        needed = {name: arguments[name] for name in pattern.pattern.converters}
        found.append(reverse(f"pagoefectivo_sandbox:{pattern.name}", kwargs=needed))
    return found


@pytest.fixture
def production(settings: Any) -> None:
    changed = copy.deepcopy(settings.PAGOEFECTIVO)
    changed["MERCHANTS"]["real"] = {
        **changed["MERCHANTS"]["default"],
        "SERVICE_ID": "999",
        "ENVIRONMENT": "production",
        "BASE_URL": None,
    }
    settings.PAGOEFECTIVO = changed


@pytest.mark.usefixtures("production")
def test_every_view_is_not_found_beside_a_merchant_in_production() -> None:
    client = Client()
    assert len(addresses()) == len(get_resolver("django_pagoefectivo.sandbox.urls").url_patterns)
    for address in addresses():
        for method in ("get", "post", "patch", "delete"):
            assert getattr(client, method)(address).status_code == 404, (method, address)


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize(
    "act",
    [
        lambda: control.code(1),
        lambda: control.pay(1),
        lambda: control.expire(1),
        lambda: control.delete(1),
        lambda: control.refund(1),
        lambda: control.arm(control.ApiFault.SLOW),
        control.disarm,
        lambda: control.send(b"", "", ""),
        control.reset,
    ],
)
def test_nor_can_it_be_driven(act: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="production"):
        act()


@pytest.mark.usefixtures("production")
def test_it_does_not_know_the_merchant_in_production() -> None:
    assert credentials.merchant_of("999") is None
    assert credentials.merchant_of("1234") is not None


def test_merchants_of_other_contracts_are_not_its_own(settings: Any) -> None:
    changed = copy.deepcopy(settings.PAGOEFECTIVO)
    changed["MERCHANTS"]["default"]["API"] = "payment"
    settings.PAGOEFECTIVO = changed
    assert credentials.merchant_of("1234") is None


def test_nobody_has_to_log_in() -> None:
    client = Client()
    assert client.get("/sandbox/").status_code == 200
    assert client.post("/sandbox/v1/cips").status_code == 401
    assert client.get(f"/sandbox/{uuid.uuid4()}.html").status_code == 404


def test_requests_are_not_one_transaction() -> None:
    for pattern in sandbox_urls.urlpatterns:
        assert vars(pattern.callback)["_non_atomic_requests"] == {"default"}, pattern.name


def test_there_is_no_migration_missing() -> None:
    call_command("makemigrations", "pagoefectivo_sandbox", check=True, dry_run=True, verbosity=0)

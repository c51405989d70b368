"""What the pages about the REST API say is done here, word for word."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test.utils import isolate_apps
from rest_framework.test import APIClient

from django_pagoefectivo.api import permissions
from django_pagoefectivo.api.problems import CODES
from django_pagoefectivo.api.queries import ListQuery
from django_pagoefectivo.api.representation import PaymentBody
from django_pagoefectivo.conf.rest import REST_API_DEFAULTS
from django_pagoefectivo.services import Customer
from django_pagoefectivo.testing import make_payment
from tests.docs.blocks import snippets
from tests.servers import PagoEfectivo
from tests.shop.models import Booking

from .conftest import PAYMENTS, STATISTICS

DOCS = Path(__file__).resolve().parents[2] / "docs"
HEADLESS = (DOCS / "howto/headless.rst").read_text("utf-8")
REFERENCE = (DOCS / "reference/rest.rst").read_text("utf-8")
SETTINGS = (DOCS / "reference/settings.rst").read_text("utf-8")


def module(monkeypatch: pytest.MonkeyPatch, name: str, **names: Any) -> types.ModuleType:
    """A module of the shop in the text."""
    made = types.ModuleType(name)
    vars(made).update(names)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def run(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Do as the how-to says: its modules and its settings, from top to bottom."""
    module(monkeypatch, "shop")
    module(monkeypatch, "shop.models", Order=Booking)
    before = settings.PAGOEFECTIVO
    for block in snippets("howto/headless", "python"):
        if block.caption == "shop/models.py":
            continue
        name = block.caption.removesuffix(".py").replace("/", ".")
        known = {"PAGOEFECTIVO": settings.PAGOEFECTIVO} if name == "settings" else {}
        made = module(monkeypatch, name, **known)
        block.run(vars(made))
        if name == "settings":
            api = made.PAGOEFECTIVO["REST_API"]
            settings.PAGOEFECTIVO = {**before, "REST_API": api}


@isolate_apps("tests.shop")
def test_the_model_says_what_it_costs() -> None:
    block = next(b for b in snippets("howto/headless", "python") if b.caption == "shop/models.py")
    names = block.run(__name__="tests.shop.models")
    shopper = SimpleNamespace(email="ana@shop.example")
    order = SimpleNamespace(number="A-1", user=shopper, total=5)
    terms = names["Order"].payment_terms(order)
    assert terms == {
        "order_reference": "A-1",
        "amount": 5,
        "customer": Customer(email="ana@shop.example"),
    }


@pytest.mark.django_db(transaction=True)
def test_a_purchase_as_in_the_how_to(
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    pe: PagoEfectivo,
    client_of: Callable[[str], APIClient],
    account: Callable[[str], User],
) -> None:
    run(monkeypatch, settings)
    order = Booking.objects.create(number="A-1", user=account("owner"))
    Booking.objects.create(number="B-1", user=account("other"))
    client = client_of("owner")
    made = client.post(PAYMENTS, {"order_reference": "A-1"}).json()
    assert (made["amount"], made["order"]["id"]) == ("22.05", str(order.pk))
    assert client.post(PAYMENTS, {"order_reference": "B-1"}).status_code == 404
    script = "".join(block.code for block in snippets("howto/headless", "javascript"))
    for name in set(re.findall(r"(?:answer|payment)\.(\w+)", script)) - {"detail"}:
        assert name in made, name


@pytest.mark.django_db(transaction=True)
def test_staff_of_one_merchant_as_in_the_how_to(
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    client_of: Callable[[str], APIClient],
    account: Callable[[str], User],
) -> None:
    run(monkeypatch, settings)
    account("staff who view").groups.add(Group.objects.create(name="usd"))
    theirs, _ = make_payment(merchant="usd"), make_payment()
    own = make_payment(user=account("owner"))

    def seen(role: str) -> int:
        return len(client_of(role).get(PAYMENTS).json()["results"])

    rows = client_of("staff who view").get(PAYMENTS).json()["results"]
    assert [row["token"] for row in rows] == [str(theirs.token)]
    assert (seen("superuser"), seen("owner")) == (3, 1)
    assert client_of("owner").get(f"{PAYMENTS}{own.token}/").status_code == 200
    assert client_of("staff who view").get(STATISTICS).status_code == 403
    assert client_of("superuser").get(STATISTICS).status_code == 200


def test_every_problem_has_a_row() -> None:
    rows = re.findall(r"^``(\w+)`` +(\d{3})\b", REFERENCE, re.MULTILINE)
    assert {(code, int(status)) for code, status in rows} == {
        (code, status) for code, (status, _) in CODES.items()
    }
    told = set(re.findall(r"^``(\w+)`` ", HEADLESS, re.MULTILINE)) - {"code", "data", "request"}
    assert told <= set(CODES)


def test_every_filter_and_option_has_a_row() -> None:
    part = REFERENCE.partition("List\n----")[2].partition("A payment\n")[0]
    assert set(ListQuery().fields) <= set(re.findall(r"``(\w+)``", part))
    part = SETTINGS.partition("Of the REST API")[2].partition("From the environment")[0]
    assert set(re.findall(r"^``(\w+)`` \(", part, re.MULTILINE)) == set(REST_API_DEFAULTS)
    for rate in REST_API_DEFAULTS["THROTTLE_RATES"].values():
        assert f'"{rate}"' in part


def test_fields_that_need_a_word_are_there() -> None:
    part = REFERENCE.partition("A payment\n")[2].partition("Extend and cancel")[0]
    named = re.findall(r"^((?:``\w+``(?:, )?)+)$", part, re.MULTILINE)
    fields = {name for line in named for name in re.findall(r"``(\w+)``", line)}
    assert fields
    assert fields <= set(PaymentBody().fields)
    assert permissions.PaymentPermission.__doc__

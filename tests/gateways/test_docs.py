"""What the pages about merchants, keys and gateways say is done here, word for word."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_pagoefectivo.conf import Config, get_config
from django_pagoefectivo.gateways import CodeRef, PaymentGateway, RemoteStatus, gateway_for
from django_pagoefectivo.gateways.registry import check_merchant
from django_pagoefectivo.models import Payment, Status
from django_pagoefectivo.services import Customer, create_payment, sync_payment
from tests.docs.blocks import DOCS, Block, snippets

from .server import Reply, Request, WireServer

HOWTO = DOCS / "howto"
KEY = "test-secret-key-not-real-0123456789abcdef"


def keys(name: str) -> str:
    """An environment that has everything."""
    return f"{name.lower()}-not-real-01"[:20].ljust(20, "x")


def by_caption(page: str) -> dict[str, Block]:
    return {block.caption: block for block in snippets(f"howto/{page}", "python")}


@pytest.fixture
def own_gateway(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    """The page's gateway, importable by the path that the page gives, and a server for it."""
    blocks = by_caption("write-a-gateway")
    module = ModuleType("shop.gateways")
    blocks["shop/gateways.py"].run(module.__dict__)
    package = ModuleType("shop")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "shop", package)
    monkeypatch.setitem(sys.modules, "shop.gateways", module)
    setting = blocks["settings.py"].run(env=lambda _: KEY)["PAGOEFECTIVO"]
    with WireServer() as server:
        setting["MERCHANTS"]["default"]["BASE_URL"] = server.url
        settings.PAGOEFECTIVO = {**setting, "SITE_URL": "https://shop.example", "TIMEOUT": (1, 2)}
        yield server


def firma(signed: bytes) -> str:
    return base64.b64encode(hmac.new(KEY.encode(), signed, hashlib.sha256).digest()).decode()


def made(request: Request) -> Reply:
    return Reply(201, {"id": "P-1", "redirectUrl": "https://pay.example/P-1"})


@pytest.mark.django_db(transaction=True)
def test_the_example_of_a_gateway_of_ones_own(own_gateway: WireServer) -> None:
    own_gateway.on("POST /pagos", made)
    payment = create_payment(
        order_reference="A-1", amount=Decimal("25.50"), customer=Customer(email="a@shop.example")
    )
    sent = own_gateway.last("POST /pagos")
    assert sent.json["amount"] == 2550
    headers = {name.lower(): value for name, value in sent.headers.items()}
    assert headers["x-firma"] == firma(sent.body)
    assert (payment.status, payment.remote_id) == (Status.PENDING, "P-1")

    body = json.dumps(
        {
            "eventType": "pago.pagado",
            "id": "P-1",
            "orderNumber": payment.transaction_code,
            "amount": 2550,
            "currency": "PEN",
        }
    ).encode()
    for signature, status in ((firma(b"other"), 403), (firma(body), 200)):
        answer = Client().post(
            "/pagoefectivo/webhook/default/",
            body,
            content_type="application/json",
            headers={"X-Firma": signature},
        )
        assert answer.status_code == status
    payment = Payment.objects.get()
    assert (payment.status, payment.paid_amount) == (Status.PAID, Decimal("25.50"))


@pytest.mark.django_db(transaction=True)
def test_its_status_query_and_words(own_gateway: WireServer) -> None:
    own_gateway.on("POST /pagos", made)
    payment = create_payment(
        order_reference="A-1", amount=Decimal("25.50"), customer=Customer(email="a@shop.example")
    )
    call = "GET /pagos/estado?merchantId=M-77&paymentId=P-1"
    answer = {"id": "P-1", "status": "PAGADO", "amount": 2550, "currency": "PEN"}
    own_gateway.on(call, Reply(200, {**answer, "status": "CONCILIADO"}), Reply(200, answer))
    gateway = gateway_for(get_config().merchant("default"), get_config())
    (state,) = gateway.states([CodeRef("", remote_id="P-1")])
    assert state is not None
    assert state.status is RemoteStatus.UNKNOWN
    assert sync_payment(payment).status == Status.PAID


def test_every_choice_that_the_page_names_is_there() -> None:
    text = (HOWTO / "write-a-gateway.rst").read_text("utf-8")
    table = text.partition("What    ")[2].partition("Chosen were")[0]
    names = [part.partition("(")[0] for part in table.split("``")[1::2]]
    assert len(names) > 12
    for name in names:
        assert hasattr(PaymentGateway, name), name


def test_the_settings_of_several_merchants() -> None:
    blocks = snippets("howto/several-merchants", "python")
    first, elsewhere = (block for block in blocks if block.caption == "settings.py")
    config = Config(first.run(env=keys, timedelta=timedelta)["PAGOEFECTIVO"])
    for merchant in config.merchants():
        check_merchant(merchant)
    assert config.merchant("usd").shop == config.merchant("pen").shop == "tienda"
    assert config.options_of("usd").expires_in == timedelta(hours=6)
    assert config.options_of("outlet").site_url == "https://outlet.example"
    assert elsewhere.run()["PAGOEFECTIVO"] == {"MERCHANTS": "shop.accounts.merchants"}


def test_the_call_that_lets_the_currency_pick() -> None:
    call = by_caption("several-merchants")["shop/payments.py"]
    asked: list[dict[str, Any]] = []
    names = call.run(
        create_payment=lambda **values: asked.append(values),
        Customer=Customer,
        Order=SimpleNamespace,
        Payment=Payment,
    )
    order = SimpleNamespace(number="A-1", total=5, currency="USD", email="ana@shop.example")
    names["pay"](order)
    assert asked[0]["merchant"] == ["pen", "usd"]
    assert asked[0]["currency"] == "USD"


def test_the_accounts_that_the_page_shows_are_those_that_are_tested() -> None:
    page = HOWTO / "several-merchants.rst"
    (included,) = [
        line.split("::")[1].strip()
        for line in page.read_text("utf-8").splitlines()
        if "literalinclude" in line
    ]
    shown = (page.parent / included).resolve()
    assert shown == Path(__file__).parents[1] / "shop" / "accounts.py"


@pytest.mark.django_db
def test_what_the_page_on_rotation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    part, code = snippets("howto/rotate-keys", "python")
    entry = eval(f"{{{part.code}}}", {"env": keys})  # noqa: S307
    assert set(entry) == {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}
    began = timezone.now()
    code.run()
    assert capsys.readouterr().out.startswith("default 0 ")
    assert timezone.now() >= began

"""Fixtures of the gateway's tests: a scripted server and a merchant who calls it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import create_autospec

import pytest
from django.core.cache import cache

from django_pagoefectivo.gateways import CipGateway, Exchange
from django_pagoefectivo.gateways import tokens as token_module
from django_pagoefectivo.gateways import transport as transport_module
from django_pagoefectivo.models import Payment
from django_pagoefectivo.signals import (
    payment_confirmed,
    payment_expired,
    payment_failed,
    payment_flagged,
)

from .contracts import ALL, Contract
from .samples import MakeGateway, merchant_at
from .server import WireServer, issued


@pytest.fixture(autouse=True)
def no_tokens_left() -> Iterator[None]:
    """Each test begins without tokens and connections, and leaves no socket open."""
    cache.clear()
    token_module._remembered.clear()
    yield
    cache.clear()
    token_module._remembered.clear()
    if transport_module._Process.session is not None:
        transport_module._Process.session.close()
        transport_module._Process.session = None


@pytest.fixture(params=ALL, ids=lambda contract: contract.name)
def contract(request: pytest.FixtureRequest) -> Contract:
    """Each contract in turn."""
    chosen: Contract = request.param
    return chosen


@pytest.fixture
def installed(
    contract: Contract, live_server: Any, transactional_db: None, settings: Any
) -> Contract:
    """The contract as the one merchant's, towards the sandbox on the live server."""
    settings.PAGOEFECTIVO = {
        "MERCHANTS": {"default": contract.entry(live_server.url)},
        "SITE_URL": live_server.url,
        # Long enough for a busy machine to connect, short enough to meet a slow answer.
        "TIMEOUT": (1.8, 1.8),
    }
    return contract


@pytest.fixture
def server() -> Iterator[WireServer]:
    with WireServer() as running:
        running.on("POST /cips", issued)
        yield running


@pytest.fixture
def exchanges() -> list[Exchange]:
    return []


@pytest.fixture
def make_gateway(server: WireServer, exchanges: list[Exchange]) -> MakeGateway:
    """Gateways that call the server; values of the merchant may be changed."""

    def make(
        *, timeout: tuple[float, float] = (1, 2), cache: str = "default", **changes: Any
    ) -> CipGateway:
        merchant = merchant_at(changes.pop("base_url", server.url), **changes)
        return CipGateway(merchant, timeout=timeout, cache=cache, record=exchanges.append)

    return make


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> CipGateway:
    return make_gateway()


def _receiver(*, payment: Payment, source: str, event: Any, **kwargs: Any) -> None:
    """What a shop's receiver looks like."""


@pytest.fixture
def told() -> Iterator[dict[str, Any]]:
    """A shop that listens; its receivers by what they are told."""
    signals = {
        "confirmed": payment_confirmed,
        "expired": payment_expired,
        "failed": payment_failed,
        "flagged": payment_flagged,
    }
    spies = {name: create_autospec(_receiver) for name in signals}
    for name, signal in signals.items():
        signal.connect(spies[name], dispatch_uid=f"told.{name}", weak=False)
    yield spies
    for name, signal in signals.items():
        signal.disconnect(dispatch_uid=f"told.{name}")

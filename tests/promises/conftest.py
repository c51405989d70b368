"""Fixtures of the promises' tests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection

from tests.servers import PagoEfectivo

from .kit import Probe, listening


@pytest.fixture(autouse=True)
def _own_urls(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.promises.urls"
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _needs_postgresql(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("postgresql") and connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: it is about two transactions that write at the same time")


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Change the ``PAGOEFECTIVO`` setting; ``merchant`` changes the default merchant."""

    def change(*, merchant: dict[str, Any] | None = None, **values: Any) -> None:
        changed = copy.deepcopy(settings.PAGOEFECTIVO)
        changed["MERCHANTS"]["default"].update(merchant or {})
        changed.update(values)
        settings.PAGOEFECTIVO = changed

    return change


@pytest.fixture
def pe(configure: Callable[..., None]) -> Iterator[PagoEfectivo]:
    """PagoEfectivo over real HTTP; the default merchant's calls go there."""
    with PagoEfectivo() as server:
        configure(merchant={"BASE_URL": server.url})
        yield server


@pytest.fixture
def probe() -> Iterator[Probe]:
    """A receiver of every public signal."""
    listener = Probe()
    with listening(listener, "tests.probe"):
        yield listener

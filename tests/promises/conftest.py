"""Fixtures of the promises' tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection

from django_pagoefectivo.testing.captured import listening

from .kit import Probe


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
def probe() -> Iterator[Probe]:
    """A receiver of every public signal."""
    listener = Probe()
    with listening(listener, "tests.probe"):
        yield listener

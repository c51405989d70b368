"""Shops to rehearse with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_pagoefectivo.models import Payment
from django_pagoefectivo.testing.captured import listening

from .shops import Shop, manage


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of the shop's, made once for all copies."""
    database = tmp_path_factory.mktemp("shop") / "shop.sqlite3"
    done = manage("migrate", "-v", "0", DATABASE_URL=f"sqlite:///{database}")
    assert done.returncode == 0, done.stderr
    return database


@pytest.fixture
def shop(tmp_path: Path, migrated: Path) -> Shop:
    """A copy of the example shop."""
    return Shop(tmp_path, migrated)


@pytest.fixture
def heard() -> Iterator[list[Payment]]:
    """A shop that listens to payment_confirmed, and what it heard."""
    orders: list[Payment] = []

    def on_paid(payment: Payment, **kwargs: Any) -> None:
        orders.append(payment)

    with listening(on_paid, "shop.on_paid", ["payment_confirmed"]):
        yield orders

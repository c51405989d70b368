"""Examinations, and the installations that are examined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache

from django_pagoefectivo.doctor import Finding, Room, Severity, examine
from django_pagoefectivo.services import heartbeat
from django_pagoefectivo.testing.captured import listening


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(heartbeat, "_last", {})
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def _known_receiver() -> Iterator[None]:
    """The receiver that the factory's deliveries are owed to."""
    with listening(print, "shop.receivers.on_paid", ["payment_confirmed"]):
        yield


class Report(list[Finding]):
    """The findings of one examination."""

    def of(self, name: str) -> Finding:
        """The one finding with this id."""
        (found,) = [one for one in self if one.id == name]
        return found

    @property
    def faults(self) -> list[str]:
        """The ids of what is wrong."""
        return [one.id for one in self if one.severity in (Severity.WARNING, Severity.ERROR)]


@pytest.fixture
def doctor(db: None) -> Callable[..., Report]:
    """An examination without any network, unless ``offline=False``."""

    def look(**wishes: Any) -> Report:
        return Report(examine(Room(**{"offline": True, **wishes})))

    return look

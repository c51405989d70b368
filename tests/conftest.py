"""What every test may rely on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import TransactionTestCase
from django.utils import translation

from django_pagoefectivo.services import delivery

from .servers import PagoEfectivo

_DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "django_db_setup"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a database server, leave out the tests that say the same on every database.

    They ran on SQLite. A test that needs the database in a process of its own is marked
    ``database``; a long form of one that is run there in a shorter form, and one that uses the
    database for what is not about it (rights, calls), ``once``.
    """
    if django_settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        return
    kept = [item for item in items if _needs_a_database(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def _needs_a_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("once") is not None:
        return False
    return (
        item.get_closest_marker("django_db") is not None
        or item.get_closest_marker("database") is not None
        or not _DATABASE_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        or issubclass(getattr(item, "cls", None) or object, TransactionTestCase)
    )


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """Start each test in the settings' language.

    A request through LocaleMiddleware leaves its language active in the thread, so that the
    order of the tests would decide in which language the next one reads a page.
    """
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def own_deliveries() -> Iterator[None]:
    """Let go of what a broken database kept this process from noting: its rows are gone."""
    yield
    delivery._unnoted.clear()
    delivery._dropped.clear()


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Change the ``PAGOEFECTIVO`` setting; ``merchant`` the default merchant, ``api`` the REST
    API's part."""

    def change(
        *,
        merchant: dict[str, Any] | None = None,
        api: dict[str, Any] | None = None,
        **values: Any,
    ) -> None:
        changed = copy.deepcopy(settings.PAGOEFECTIVO)
        changed["MERCHANTS"]["default"].update(merchant or {})
        if api is not None:
            changed["REST_API"] = {**changed.get("REST_API", {}), **api}
        changed.update(values)
        settings.PAGOEFECTIVO = changed

    return change


@pytest.fixture
def pe(configure: Callable[..., None]) -> Iterator[PagoEfectivo]:
    """PagoEfectivo over real HTTP; the default merchant's calls go there."""
    with PagoEfectivo() as server:
        configure(merchant={"BASE_URL": server.url})
        yield server

"""What every test may rely on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import TransactionTestCase
from django.utils import translation

from django_pagoefectivo.services import delivery

_DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "django_db_setup"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a database server, leave out the tests that say the same on every database.

    They ran on SQLite. A test that needs the database in a process of its own is marked
    ``database``.
    """
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        return
    kept = [item for item in items if _needs_a_database(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def _needs_a_database(item: pytest.Item) -> bool:
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

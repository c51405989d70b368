"""Fixtures: the ways in which an installation may reach its database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.promises.conftest import _own_urls, probe

from .ways import connected

__all__ = ["_own_urls", "probe"]


@pytest.fixture(scope="module")
def pgbouncer_port(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """A PgBouncer before the test database."""
    # Where the tests run on SQLite there is no psycopg.
    from . import pgbouncer

    if pgbouncer.find() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no PgBouncer")
        pytest.skip("there is no PgBouncer (apt-get install pgbouncer)")
    folder: Path = tmp_path_factory.mktemp("pgbouncer")
    with pgbouncer.running(connection.settings_dict, folder) as port:
        yield port


@pytest.fixture
def through_pgbouncer(pgbouncer_port: int, transactional_db: None) -> Iterator[None]:
    """Everything in this process goes through PgBouncer."""
    with connected(options={}, HOST="127.0.0.1", PORT=pgbouncer_port):
        yield


@pytest.fixture
def through_pool(transactional_db: None) -> Iterator[None]:
    """Everything in this process goes through psycopg's pool.

    It has room for as many as the tests start at the same instant, and keeps two. Values are
    bound by the server, which some shops turn on with it.
    """
    pool = {"min_size": 2, "max_size": 40, "timeout": 30}
    with connected(options={"pool": pool, "server_side_binding": True}):
        yield


@pytest.fixture(params=["pool", "PgBouncer"])
def pooled(request: pytest.FixtureRequest) -> Any:
    """Each of the two, and a test for each."""
    if connection.vendor != "postgresql":
        pytest.skip("pools are PostgreSQL's")
    return request.getfixturevalue(
        {"pool": "through_pool", "PgBouncer": "through_pgbouncer"}[request.param]
    )

"""Databases that a measurement makes for itself and drops again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

POSTGRESQL = os.environ.get("POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres")


@contextmanager
def postgresql(label: str) -> Iterator[str]:
    """A new PostgreSQL database beside ``POSTGRESQL_URL``'s; its URL. Dropped at the end."""
    import psycopg

    name = f"pagoefectivo_bench_{os.getpid()}_{label}"
    parts = urlsplit(POSTGRESQL)
    with psycopg.connect(POSTGRESQL, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def sqlite(label: str) -> Iterator[str]:
    """A new SQLite file; its URL."""
    with tempfile.TemporaryDirectory(prefix="pagoefectivo-bench-") as folder:
        yield f"sqlite:///{Path(folder) / label}.sqlite3"


ENGINES = {"postgresql": postgresql, "sqlite": sqlite}

"""Other ways to the same database: through a pool, or at another isolation level."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections


@contextmanager
def connected(*, options: dict[str, Any], **settings: Any) -> Iterator[None]:
    """Connect all threads of this process with these ``OPTIONS`` and settings meanwhile."""
    values = connection.settings_dict
    before = dict(values)
    connections.close_all()
    values.update(settings, OPTIONS={**before["OPTIONS"], **options})
    try:
        yield
    finally:
        connections.close_all()
        if connection.vendor == "postgresql":
            pooled: Any = connection
            pooled.close_pool()
        values.clear()
        values.update(before)

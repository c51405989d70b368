"""Many rows, a few at a time, on every database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from django.db.models import Model, QuerySet

_M = TypeVar("_M", bound=Model)


def in_batches(rows: QuerySet[_M], size: int) -> Iterator[list[_M]]:
    """All of ``rows`` by their primary key, ``size`` at a time.

    Not ``iterator()``: MySQL's client reads the whole answer into memory, and PostgreSQL's
    cursors need a connection of their own behind some poolers.
    """
    ordered = rows.order_by("pk")
    last: object = None
    while batch := list((ordered if last is None else ordered.filter(pk__gt=last))[:size]):
        yield batch
        if len(batch) < size:
            return
        last = batch[-1].pk

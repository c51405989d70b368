"""What PostgreSQL really does for a statement: which rows it reads, and how."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

#: The tables that grow with the shop.
LARGE = frozenset(
    f"pagoefectivo_{name}"
    for name in ("payment", "webhookevent", "signaldelivery", "apiexchange", "timelineentry")
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as it went to the database."""

    sql: str
    params: Any


@dataclass(frozen=True, slots=True)
class Scan:
    """One reading of a table: how, and how many rows were looked at."""

    kind: str
    table: str
    rows: int


@contextmanager
def recorded() -> Iterator[list[Statement]]:
    """The statements of the block."""
    seen: list[Statement] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(Statement(sql, params))
        return execute(sql, params, many, context)

    connection.ensure_connection()
    with connection.execute_wrapper(note):
        yield seen


def scans_of(statement: Statement) -> list[Scan]:
    """Run a SELECT again and tell how each large table was read."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.sql}", statement.params)
        (plan,) = cursor.fetchone()
    if isinstance(plan, str):
        plan = json.loads(plan)
    return [scan for scan in _scans(plan[0]["Plan"]) if scan.table in LARGE]


def _scans(node: dict[str, Any]) -> Iterator[Scan]:
    if "Relation Name" in node:
        each = node["Actual Rows"] + sum(
            node.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck")
        )
        yield Scan(node["Node Type"], node["Relation Name"], round(each * node["Actual Loops"]))
    for child in node.get("Plans", ()):
        yield from _scans(child)


def worst_of(statements: list[Statement]) -> tuple[Scan | None, Statement | None]:
    """The reading of a large table that looked at the most rows, and its statement."""
    worst: tuple[Scan | None, Statement | None] = (None, None)
    for statement in statements:
        if not statement.sql.lstrip().upper().startswith(("SELECT", "WITH")):
            continue
        for scan in scans_of(statement):
            if worst[0] is None or scan.rows > worst[0].rows:
                worst = (scan, statement)
    return worst


def whole_reads(statements: list[Statement]) -> list[tuple[Scan, Statement]]:
    """The sequential scans of large tables among ``statements``."""
    return [
        (scan, statement)
        for statement in statements
        if statement.sql.lstrip().upper().startswith(("SELECT", "WITH"))
        for scan in scans_of(statement)
        if "Seq Scan" in scan.kind
    ]

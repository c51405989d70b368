"""How what belongs together is written: each statement at once, or all of them as one.

``AT_ONCE`` writes in the running transaction. ``Together`` collects a change and the rows that
tell of it, and writes them when it is ``run``: PostgreSQL takes them as a single statement,
which is a transaction of its own and needs no ``BEGIN`` and ``COMMIT`` around it; elsewhere
they are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

from django.db import IntegrityError, OperationalError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from .compiled import Sql, insert, is_stored, prepared, update_if, update_of, written_fields
from .transactions import StateChanged, is_transient

Work = Callable[[], object]


class Writes(Protocol):
    """Where a change of state, the rows that tell of it and what follows are put."""

    def update(
        self, model: type[Model], changes: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> None:
        """Write ``changes`` to the one row that has the ``expected`` values.

        Raises ``StateChanged``, now or when all is written, if there is no such row.
        """

    def insert(self, rows: Sequence[Model]) -> None:
        """Insert new rows of one model and give them their keys."""

    def then(self, work: Work) -> None:
        """Do ``work`` after the commit. What it raises is logged and goes no further."""


class _AtOnce:
    """Each statement as it comes, in the running transaction."""

    def update(
        self, model: type[Model], changes: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> None:
        if not update_if(model, changes, expected):
            raise StateChanged

    def insert(self, rows: Sequence[Model]) -> None:
        model = type(rows[0])
        connection = connections[router.db_for_write(model)]
        if len(rows) > 1 and connection.features.can_return_rows_from_bulk_insert:
            model._default_manager.bulk_create(rows)
            return
        for row in rows:
            insert(row)

    def then(self, work: Work) -> None:
        transaction.on_commit(work, robust=True)


AT_ONCE: Writes = _AtOnce()


class Together:
    """One update at the most and some new rows, all of them written by ``run`` or none.

    A row may refer to a row that was given before it and has no key yet. All models live in
    the database that payments are written to.
    """

    def __init__(self, alias: str) -> None:
        self._connection: BaseDatabaseWrapper = connections[alias]
        self._update: Sql | None = None
        self._rows: list[Model] = []
        self._after: list[Work] = []

    def update(
        self, model: type[Model], changes: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> None:
        """Collect the update; there is only one."""
        if self._update is not None:
            raise TypeError("What is written together has one update.")
        self._update = update_of(self._connection, model, changes, expected)

    def insert(self, rows: Sequence[Model]) -> None:
        """Collect new rows."""
        self._rows += rows

    def then(self, work: Work) -> None:
        """Collect what is done after the commit."""
        self._after.append(work)

    def succeed(self, only_if: Sql | None = None) -> bool:
        """``run``; ``False``, with nothing written, where another process was faster.

        What the database raises for other reasons is passed on.
        """
        try:
            self.run(only_if)
        except (StateChanged, IntegrityError):
            return False
        except OperationalError as error:
            if not is_transient(error):
                raise
            return False
        return True

    def run(self, only_if: Sql | None = None) -> None:
        """Write everything and do what follows.

        Raises ``StateChanged`` if the update's row is no longer as it was expected or
        ``only_if`` does not hold, and what the database raises; nothing is written then.
        """
        if self._update is not None and only_if is not None:
            self._update = Sql(
                f"{self._update.text} AND {only_if.text}", (*self._update.params, *only_if.params)
            )
        connection = self._connection
        as_one = connection.vendor == "postgresql"
        # An outer transaction must survive what this one statement may raise.
        is_atomic = as_one and not connection.in_atomic_block
        with nullcontext() if is_atomic else transaction.atomic(using=connection.alias):
            if as_one:
                self._write_as_one()
            else:
                self._write_in_turn()
        for work in self._after:
            transaction.on_commit(work, using=connection.alias, robust=True)

    def _write_in_turn(self) -> None:
        if self._update is not None:
            with self._connection.cursor() as cursor:
                cursor.execute(self._update.text, self._update.params)
                if cursor.rowcount != 1:
                    raise StateChanged
        for row in self._rows:
            self._refer(row)
            insert(row)

    def _write_as_one(self) -> None:
        params: list[Any] = []
        parts: list[str] = []
        keys: list[str] = []
        if self._update is not None:
            parts.append(f"changed AS ({self._update.text} RETURNING 1)")
            params += self._update.params
            keys.append("(SELECT COUNT(*) FROM changed)")
        for number, row in enumerate(self._rows):
            parts.append(f"row{number} AS ({self._insertion(row, params)})")
            keys.append(f"(SELECT * FROM row{number})")  # noqa: S608 - a number
        if not parts:
            return
        with self._connection.cursor() as cursor:
            cursor.execute(f"WITH {', '.join(parts)} SELECT {', '.join(keys)}", params)
            found = list(cursor.fetchone())
        if self._update is not None and found.pop(0) != 1:
            raise StateChanged
        for row, key in zip(self._rows, found, strict=True):
            is_stored(row, key, self._connection.alias)
        for row in self._rows:
            self._refer(row)

    def _insertion(self, row: Model, params: list[Any]) -> str:
        """The SQL that inserts ``row`` if the update changed its row; adds to ``params``."""
        quoted = self._connection.ops.quote_name
        sources = [] if self._update is None else ["changed"]
        columns, values = [], []
        for field in written_fields(type(row)):
            columns.append(quoted(str(field.column)))
            ahead = self._place_of(row, field.name)
            value = None if ahead is not None else prepared(field, row, self._connection)
            if ahead is not None:
                sources.append(f"row{ahead} AS ahead{ahead}(key)")
                values.append(f"ahead{ahead}.key")
            elif value is None:
                # Of a parameter PostgreSQL would not know the type here.
                values.append("NULL")
            else:
                values.append("%s")
                params.append(value)
        model = type(row)
        table, key = quoted(model._meta.db_table), quoted(str(model._meta.pk.column))
        source = f" FROM {', '.join(sources)}" if sources else ""
        # No value is in this text, only names that the models have.
        chosen = f"SELECT {', '.join(values)}{source}"
        return f"INSERT INTO {table} ({', '.join(columns)}) {chosen} RETURNING {key}"

    def _place_of(self, row: Model, field: str) -> int | None:
        """Which of the rows collected before it ``row`` refers to by ``field``."""
        other = row._state.fields_cache.get(field)
        if other is None or other.pk is not None:
            return None
        return next((n for n, each in enumerate(self._rows) if each is other), None)

    def _refer(self, row: Model) -> None:
        """Let ``row`` have the keys of the rows it refers to."""
        for name, other in list(row._state.fields_cache.items()):
            if other is not None and any(other is each for each in self._rows):
                setattr(row, name, other)

"""The statements that every notification runs, without building them anew each time.

The ORM takes several times as long to build and compile these as the database takes to run
them. Here its SQL is made once and kept; values are converted by the same fields as ever, so
that it is the same SQL on each database. Django's ``pre_save`` and ``post_save`` are not sent
for rows written this way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Generic, TypeVar

from django.db import connections, router
from django.db.models import Field, Model, QuerySet
from django.db.models.sql import InsertQuery
from django.db.models.sql.compiler import SQLCompiler

M = TypeVar("M", bound=Model)
Value = str | datetime


@dataclass(frozen=True, slots=True)
class _Select:
    """A compiled query: its SQL, its parameters, and how its rows become objects.

    Each parameter is a constant or, if the first of the pair says so, the name of a value.
    """

    sql: str
    params: tuple[tuple[bool, Any], ...]
    compiler: SQLCompiler
    converters: dict[int, Any]
    columns: slice
    attributes: tuple[str, ...]
    annotations: tuple[tuple[str, int], ...]


class Finder(Generic[M]):
    """A query that is compiled once for each shape that it can have.

    ``build`` makes it from named values, all of them texts or aware datetimes, and must use
    them as they are: what it gets when the query is compiled only stands for the values.
    """

    def __init__(self, model: type[M], build: Callable[..., QuerySet[M]]) -> None:
        self._model = model
        self._build = build
        self._ready: dict[Hashable, _Select] = {}

    def find(self, values: Mapping[str, Value]) -> list[M]:
        """The rows for ``values``; which of them there are makes the query's shape."""
        alias = router.db_for_write(self._model)
        connection = connections[alias]
        shape = (alias, connection.vendor, *values)
        ready = self._ready.get(shape)
        if ready is None:
            ready = self._ready[shape] = self._compile(alias, values)
        adapt = connection.ops.adapt_datetimefield_value
        params = []
        for is_named, given in ready.params:
            value = values[given] if is_named else given
            params.append(adapt(value) if is_named and isinstance(value, datetime) else value)
        with connection.cursor() as cursor:
            cursor.execute(ready.sql, params)
            rows = cursor.fetchall()
        if ready.converters:
            rows = ready.compiler.apply_converters(rows, ready.converters)
        return [self._object_of(row, ready, alias) for row in rows]

    def _object_of(self, row: Sequence[Any], ready: _Select, alias: str) -> M:
        made = self._model.from_db(alias, ready.attributes, row[ready.columns])
        for name, at in ready.annotations:
            setattr(made, name, row[at])
        return made

    def _compile(self, alias: str, values: Mapping[str, Value]) -> _Select:
        connection = connections[alias]
        adapt = connection.ops.adapt_datetimefield_value
        stands_for: dict[str, Value] = {}
        names: dict[Any, str] = {}
        for number, (name, value) in enumerate(values.items()):
            if isinstance(value, datetime):
                stand_in = datetime(1900, 1, 1, tzinfo=UTC) + timedelta(days=number)
                stands_for[name], names[adapt(stand_in)] = stand_in, name
            else:
                stands_for[name] = f"\x00{name}\x00"
                names[stands_for[name]] = name
        compiler = self._build(**stands_for).query.get_compiler(using=alias)
        sql, params = compiler.as_sql()
        if missing := names.keys() - set(params):
            lost = ", ".join(names[each] for each in missing)
            raise TypeError(f"The query does not use {lost} as it is, so it cannot be kept.")
        chosen = compiler.klass_info["select_fields"]
        return _Select(
            sql,
            tuple((True, names[each]) if each in names else (False, each) for each in params),
            compiler,
            compiler.get_converters([column for column, *_ in compiler.select]),
            slice(chosen[0], chosen[-1] + 1),
            tuple(compiler.select[at][0].target.attname for at in chosen),
            tuple(compiler.annotation_col_map.items()),
        )


def insert(row: Model) -> None:
    """Insert a new row, as ``save(force_insert=True)`` does, and give it its key."""
    model = type(row)
    alias = router.db_for_write(model, instance=row)
    connection = connections[alias]
    sql, fields = _insert_of(model, alias, connection.vendor)
    values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        if connection.features.can_return_columns_from_insert:
            row.pk = cursor.fetchone()[0]
        else:
            table, key = model._meta.db_table, model._meta.pk.column
            row.pk = connection.ops.last_insert_id(cursor, table, str(key))
    row._state.adding, row._state.db = False, alias


@lru_cache(maxsize=64)
def _insert_of(
    model: type[Model], alias: str, vendor: str
) -> tuple[str, tuple[Field[Any, Any], ...]]:
    """The SQL that inserts one row, and the fields whose values it takes in turn."""
    fields = tuple(
        field
        for field in model._meta.local_concrete_fields
        if not field.primary_key and not field.generated
    )
    query = InsertQuery(model)
    query.insert_values(fields, [model()])
    compiler = query.get_compiler(using=alias)
    if connections[alias].features.can_return_columns_from_insert:
        compiler.returning_fields = [model._meta.pk]
    ((sql, _params),) = compiler.as_sql()
    return sql, fields


def update_if(
    model: type[Model],
    pk: Any,
    changes: Mapping[str, Any],
    expected: Mapping[str, Any],
    *,
    add_one: Sequence[str] = (),
) -> bool:
    """Write ``changes`` to the row ``pk`` if it still has the ``expected`` values; whether so.

    Both map names of fields to values, those of ``expected`` are not ``None``. The numbers in
    the fields ``add_one`` grow by one.
    """
    alias = router.db_for_write(model)
    connection = connections[alias]
    quoted = connection.ops.quote_name
    params: list[Any] = []

    def equations(values: Mapping[str, Any]) -> list[str]:
        fields = [(_column_of(model, name), value) for name, value in values.items()]
        params.extend(field.get_db_prep_save(value, connection) for field, value in fields)
        return [f"{quoted(str(field.column))} = %s" for field, _value in fields]

    grown = [quoted(str(_column_of(model, name).column)) for name in add_one]
    sets = ", ".join([*equations(changes), *(f"{column} = {column} + 1" for column in grown)])
    conditions = " AND ".join(equations({model._meta.pk.name: pk, **expected}))
    table = quoted(model._meta.db_table)
    with connection.cursor() as cursor:
        # No value is in this text, only names that the models have.
        cursor.execute(f"UPDATE {table} SET {sets} WHERE {conditions}", params)  # noqa: S608
        return bool(cursor.rowcount == 1)


def _column_of(model: type[Model], name: str) -> Field[Any, Any]:
    field = model._meta.get_field(name)
    if not isinstance(field, Field):
        raise TypeError(f"{model.__name__}.{name} is no column.")
    return field

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
from typing import Any, Generic, TypeAlias, TypeVar

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Field, Model, QuerySet, TextField
from django.db.models.sql import InsertQuery
from django.db.models.sql.compiler import SQLCompiler

M = TypeVar("M", bound=Model)
Value = str | datetime
_Column: TypeAlias = "Field[Any, Any]"
_TEXTS = frozenset({CharField, TextField})


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
    values = [prepared(field, row, connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        if connection.features.can_return_columns_from_insert:
            key = cursor.fetchone()[0]
        else:
            table, column = model._meta.db_table, str(model._meta.pk.column)
            key = connection.ops.last_insert_id(cursor, table, column)
    is_stored(row, key, alias)


def prepared(field: _Column, row: Model, connection: BaseDatabaseWrapper) -> Any:
    """What is written into ``field`` of a new ``row``."""
    if field.__class__ in _TEXTS and (text := getattr(row, field.attname)).__class__ is str:
        # These fields write a text as it is, and most fields of a row are such.
        return text
    return field.get_db_prep_save(field.pre_save(row, add=True), connection)


def is_stored(row: Model, key: Any, alias: str) -> None:
    """Note that ``row`` is in the database ``alias`` now, under ``key``."""
    row.pk = key
    row._state.adding, row._state.db = False, alias


@lru_cache(maxsize=16)
def written_fields(model: type[Model]) -> tuple[_Column, ...]:
    """The fields that a new row of ``model`` gives values for."""
    return tuple(
        field
        for field in model._meta.local_concrete_fields
        if not field.primary_key and not field.generated
    )


@lru_cache(maxsize=64)
def _insert_of(model: type[Model], alias: str, vendor: str) -> tuple[str, tuple[_Column, ...]]:
    """The SQL that inserts one row, and the fields whose values it takes in turn."""
    fields = written_fields(model)
    query = InsertQuery(model)
    query.insert_values(fields, [model()])
    compiler = query.get_compiler(using=alias)
    if connections[alias].features.can_return_columns_from_insert:
        compiler.returning_fields = [model._meta.pk]
    ((sql, _params),) = compiler.as_sql()
    return sql, fields


@dataclass(frozen=True, slots=True)
class Sql:
    """A statement or a part of one, and its parameters."""

    text: str
    params: tuple[Any, ...]


def update_of(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    changes: Mapping[str, Any],
    expected: Mapping[str, Any],
    *,
    unless: Mapping[str, Any] | None = None,
    add_one: Sequence[str] = (),
) -> Sql:
    """Write ``changes`` to the rows that have the ``expected`` values and none of ``unless``.

    All map names of fields to values, those of the conditions are not ``None``. The numbers in
    the fields ``add_one`` grow by one.
    """
    quoted = connection.ops.quote_name
    params: list[Any] = []

    def equations(values: Mapping[str, Any], sign: str = "=") -> list[str]:
        fields = [(_column_of(model, name), value) for name, value in values.items()]
        params.extend(field.get_db_prep_save(value, connection) for field, value in fields)
        return [f"{quoted(str(field.column))} {sign} %s" for field, _value in fields]

    grown = [quoted(str(_column_of(model, name).column)) for name in add_one]
    sets = ", ".join([*equations(changes), *(f"{column} = {column} + 1" for column in grown)])
    conditions = " AND ".join([*equations(expected), *equations(unless or {}, "<>")])
    table = quoted(model._meta.db_table)
    # No value is in this text, only names that the models have.
    return Sql(f"UPDATE {table} SET {sets} WHERE {conditions}", tuple(params))  # noqa: S608


def update_if(
    model: type[Model],
    changes: Mapping[str, Any],
    expected: Mapping[str, Any],
    *,
    unless: Mapping[str, Any] | None = None,
    add_one: Sequence[str] = (),
) -> bool:
    """Make the update that ``update_of`` describes; whether it found just one row."""
    connection = connections[router.db_for_write(model)]
    update = update_of(connection, model, changes, expected, unless=unless, add_one=add_one)
    with connection.cursor() as cursor:
        cursor.execute(update.text, update.params)
        return bool(cursor.rowcount == 1)


def no_other_row(connection: BaseDatabaseWrapper, row: Model, same: Mapping[str, Any]) -> Sql:
    """The condition that no row but ``row`` has the values ``same``, for its update."""
    quoted = connection.ops.quote_name
    model = type(row)
    fields = [(_column_of(model, name), value) for name, value in same.items()]
    conditions = [f"other.{quoted(str(field.column))} = %s" for field, _value in fields]
    conditions.append(f"other.{quoted(str(_column_of(model, 'pk').column))} <> %s")
    values = [field.get_db_prep_save(value, connection) for field, value in fields]
    table = quoted(model._meta.db_table)
    return Sql(
        # No value is in this text, only names that the models have.
        f"NOT EXISTS (SELECT 1 FROM {table} other WHERE {' AND '.join(conditions)})",  # noqa: S608
        (*values, row.pk),
    )


@lru_cache(maxsize=256)
def _column_of(model: type[Model], name: str) -> _Column:
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    if not isinstance(field, Field):
        raise TypeError(f"{model.__name__}.{name} is no column.")
    return field

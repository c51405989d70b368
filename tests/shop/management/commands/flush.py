"""``flush`` between two tests: empties the tables that have rows, and only those.

Django's own empties every table and then writes the content types and permissions anew, which
on a database server takes longer than most tests do. Here they are left as the migrations
made them.
"""

from __future__ import annotations

from typing import Any

from django.core.management.commands.flush import Command as DjangosFlush
from django.db import connections, transaction

_KEPT = ("django_content_type", "auth_permission")
#: A table with more rows than this is emptied Django's way, which costs the same for any number.
_MANY = 2000


class Command(DjangosFlush):
    """Empties the database after a test that committed."""

    def handle(self, **options: Any) -> None:
        """Delete the rows there are."""
        connection = connections[options["database"]]
        quoted = connection.ops.quote_name
        tables = [
            table
            for table in connection.introspection.django_table_names(
                only_existing=True, include_views=False
            )
            if table not in _KEPT
        ]
        counts = " UNION ALL ".join(
            f"SELECT '{table}', (SELECT COUNT(*) FROM "  # noqa: S608
            f"(SELECT 1 FROM {quoted(table)} LIMIT {_MANY + 1}) AS few)"
            for table in tables
        )
        with connection.cursor() as cursor:
            cursor.execute(counts)
            filled = {table: count for table, count in cursor.fetchall() if count}
        if any(count > _MANY for count in filled.values()):
            super().handle(**options)
            return
        with (
            connection.constraint_checks_disabled(),
            transaction.atomic(using=connection.alias),
            connection.cursor() as cursor,
        ):
            for table in filled:
                cursor.execute(f"DELETE FROM {quoted(table)}")  # noqa: S608

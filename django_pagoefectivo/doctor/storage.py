"""The database, the cache, and what is kept in them for how long."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import timedelta

from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.db import DatabaseCache
from django.db import DatabaseError, connections, router
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from ..models import ApiExchange, Outcome, Payment, WebhookEvent
from ..shared_cache import backend_class
from .findings import Finding, Severity, ok
from .room import Room

_APPS = ("pagoefectivo", "pagoefectivo_sandbox")
#: Kept longer than this, somebody should have said why.
_LONG = timedelta(days=366)


def check_migrations(room: Room) -> Iterator[Finding]:
    """Whether the tables are those of the code."""
    connection = connections[router.db_for_write(Payment)]
    executor = MigrationExecutor(connection)
    # Whatever is not installed has no leaf.
    ours = [node for node in executor.loader.graph.leaf_nodes() if node[0] in _APPS]
    missing = [f"{one.app_label}.{one.name}" for one, _ in executor.migration_plan(ours)]
    if missing:
        yield Finding(
            "migrations",
            Severity.ERROR,
            f"{len(missing)} migrations have not been run on database "
            f'"{connection.alias}": {", ".join(missing[:5])}.',
            "Run manage.py migrate.",
            "tutorial",
        )
    else:
        yield ok("migrations", "Every migration has been run.")


def check_database(room: Room) -> Iterator[Finding]:
    """SQLite under several writers."""
    connection = connections[router.db_for_write(Payment)]
    if connection.vendor != "sqlite":
        return
    options = connection.settings_dict.get("OPTIONS", {})
    if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
        yield Finding(
            "database",
            Severity.WARNING if room.is_production else Severity.ADVICE,
            "The database is SQLite with deferred transactions: two notifications at the same "
            'instant can fail with "database is locked".',
            'Set OPTIONS = {"transaction_mode": "IMMEDIATE", "timeout": 20}, or use PostgreSQL '
            "or MariaDB.",
            "howto/databases",
        )


def check_cache(room: Room) -> Iterator[Finding]:
    """Whether the cache works, and is one cache for all processes."""
    if room.config is None or not room.cache_kind:
        # The system check says so.
        return
    alias, kind = room.config.cache, room.cache_kind
    if not room.cache_is_shared:
        yield Finding(
            "cache.shared",
            Severity.WARNING,
            f'The cache "{alias}" is a {kind}: each process has one for itself, so each fetches '
            "tokens of its own, refused notifications are counted per process, and nobody knows "
            "when the background commands last ran.",
            'Point PAGOEFECTIVO["CACHE"] at a cache that all processes share: Redis, Memcached, '
            "or the database.",
            "howto/go-live",
        )
        return
    key, value = f"pagoefectivo:doctor:{secrets.token_hex(4)}", secrets.token_hex(4)
    mend = "Start the cache's server, or correct LOCATION in CACHES."
    try:
        caches[alias].set(key, value, timeout=60)
        came_back = caches[alias].get(key) == value
        caches[alias].delete(key)
        problem = "" if came_back else "what is written to it does not come back"
    except InvalidCacheBackendError as error:
        problem = "its backend cannot be imported"
        mend = f"Install what it needs, or correct BACKEND in CACHES: {error.__cause__ or error}."
    except Exception as error:  # noqa: BLE001 - any backend raises what it likes
        problem = type(error).__name__
        if isinstance(error, DatabaseError) and _is_in_the_database(alias):
            problem = f"its table cannot be read ({problem})"
            mend = "Run manage.py createcachetable; LOCATION in CACHES is the table's name."
    if problem:
        yield Finding(
            "cache.works",
            Severity.ERROR,
            f'The cache "{alias}" ({kind}) does not work: {problem}. Payments go on, each with '
            "a token of its own.",
            mend,
            "howto/go-live",
        )
    else:
        yield ok("cache", f'The cache "{alias}" ({kind}) works and is shared.')


def _is_in_the_database(alias: str) -> bool:
    backend = backend_class(alias)
    return backend is not None and issubclass(backend, DatabaseCache)


def check_retention(room: Room) -> Iterator[Finding]:
    """Personal data is kept no longer than was said."""
    if room.config is None:
        return
    terms = [room.config.retention]
    terms += [room.config.options_of(one.name).retention for one in room.merchants]
    # Rows of a merchant with a shorter term are pruned by the same command.
    retention = {name: max(each[name] for each in terms) for name in terms[0]}
    now = timezone.now()
    overdue = {
        "API exchanges": ApiExchange.objects.filter(
            created_at__lt=now - retention["exchanges"] - timedelta(days=2)
        ),
        "refused notifications": WebhookEvent.objects.filter(
            outcome=Outcome.REJECTED,
            received_at__lt=now - retention["rejected_events"] - timedelta(days=2),
        ),
    }
    old = [name for name, rows in overdue.items() if rows.exists()]
    if old:
        yield Finding(
            "retention.prune",
            Severity.WARNING,
            f"There are {' and '.join(old)} older than RETENTION allows: nobody prunes.",
            "Run manage.py pagoefectivo_prune every day from cron.",
            "reference/commands",
        )
    long = [name for name, term in retention.items() if term > _LONG]
    if long:
        yield Finding(
            "retention.long",
            Severity.ADVICE,
            f"RETENTION keeps {' and '.join(long)} for more than a year; exchanges and "
            "notifications hold (masked) personal data.",
            "Keep them no longer than you can give a reason for, as Peru's Ley 29733 asks.",
            "reference/settings",
        )
    if not old and not long:
        yield ok("retention", "Nothing is kept longer than RETENTION says.")

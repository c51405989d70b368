"""The whole examination: every check in turn, none of which can stop the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db import Error as DatabaseError

from . import background, callback, configuration, far_end, rotation, storage
from .breakage import broke_off
from .findings import Finding, Severity
from .room import Check, Room

#: In the order in which one would mend what they find.
CHECKS: tuple[Check, ...] = (
    configuration.check_settings,
    configuration.check_environment,
    configuration.check_sandbox,
    configuration.check_debug,
    configuration.check_allowed_hosts,
    configuration.check_receivers,
    configuration.check_atomic_requests,
    configuration.check_autocommit,
    storage.check_migrations,
    storage.check_database,
    storage.check_cache,
    far_end.check_clock,
    far_end.check_keys,
    callback.check_callback,
    background.check_delivery,
    background.check_poller,
    background.check_refused,
    rotation.check_fallbacks,
    storage.check_retention,
)
#: The finding that no row can be read.
NO_DATABASE = "database.away"


def examine(room: Room) -> Iterator[Finding]:
    """Run every check and yield what they find, as they find it."""
    try:
        yield from run_checks(CHECKS, room)
    finally:
        room.http.close()


def run_checks(checks: Iterable[Check], room: Room) -> Iterator[Finding]:
    """Run ``checks`` one after the other; one that breaks off is a finding, too."""
    database_is_away = False
    for check in checks:
        for finding in _run(check, room):
            # Said once: each further check of rows would only say it again.
            if finding.id != NO_DATABASE or not database_is_away:
                yield finding
            database_is_away |= finding.id == NO_DATABASE


def _run(check: Check, room: Room) -> Iterator[Finding]:
    try:
        yield from check(room)
    except DatabaseError as error:
        yield Finding(
            NO_DATABASE,
            Severity.ERROR,
            f"The database could not be asked ({check.__name__}: {type(error).__name__}).",
            "See that its server runs, that DATABASES is right, and run manage.py migrate.",
        )
    except Exception as error:  # noqa: BLE001 - a check that breaks must not hide the others
        yield broke_off(check.__name__, error)

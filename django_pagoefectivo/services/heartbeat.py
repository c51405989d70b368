"""When the commands that must run in the background last ran, as the shared cache remembers.

A sign of life, not a record: a cache that is away, emptied or of one process alone knows
nothing, which says nothing about the command.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from enum import StrEnum

from django.core.cache import caches
from django.utils import timezone

from ..conf import get_config

KEPT = timedelta(days=30)
#: A command that loops says no more often that it is there.
_SECONDS_BETWEEN = 30.0

_last: dict[str, float] = {}


class Duty(StrEnum):
    """What has to run in the background."""

    DELIVER = "deliver"
    POLL = "poll"


def beat(duty: Duty) -> None:
    """Note that ``duty`` was done just now. Never raises."""
    now = time.monotonic()
    if now - _last.get(duty, -_SECONDS_BETWEEN) < _SECONDS_BETWEEN:
        return
    _last[duty] = now
    try:
        cache = caches[get_config().cache]
        cache.set(_key(duty), timezone.now().isoformat(), timeout=KEPT.total_seconds())
    except Exception:  # noqa: BLE001, S110 - whatever a backend raises, the duty was done
        pass


def last_beat(duty: Duty) -> datetime | None:
    """When ``duty`` was last done as far as the cache knows, aware; ``None`` if it does not.

    Raises what the cache raises.
    """
    text = caches[get_config().cache].get(_key(duty))
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def _key(duty: Duty) -> str:
    return f"pagoefectivo:beat:{duty}"

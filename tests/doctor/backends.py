"""Caches that do not work."""

from __future__ import annotations

from typing import Any

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache


class BrokenCache(BaseCache):
    """Its server is away."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _away(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("redis://:secret@cache is away")

    add = get = set = delete = incr = _away

    def clear(self) -> None:
        """Nothing is in it."""


class ForgetfulCache(BrokenCache):
    """Takes everything and keeps nothing."""

    def _forget(self, *args: Any, **kwargs: Any) -> Any:
        return None

    add = get = set = delete = _forget


class OwnMemory(LocMemCache):
    """By its name nobody would know that each process has one for itself."""

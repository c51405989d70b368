"""Cache backends whose server is away."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.cache.backends.base import BaseCache


class RaisingCache(BaseCache):
    """Each use raises, as with a Redis that cannot be reached."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _away(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ConnectionError("redis://user:cache-password@cache.internal is away")

    add = get = set = touch = delete = clear = _away


class SilentCache(BaseCache):
    """Keeps nothing and says nothing, as client libraries told to ignore exceptions."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return False

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return default

    def set(self, *args: Any, **kwargs: Any) -> None:
        return None

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return False

    def clear(self) -> None:
        return None

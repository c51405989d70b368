"""Whether the processes of a shop have one cache in common."""

from __future__ import annotations

from django.conf import settings
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.utils.module_loading import import_string


def backend_class(alias: str) -> type | None:
    """The backend of a cache by the settings, ``None`` if it cannot be imported."""
    try:
        found = import_string(str(settings.CACHES[alias].get("BACKEND", "")))
    except ImportError:
        return None
    return found if isinstance(found, type) else None


def is_of_one_process(alias: str) -> bool:
    """Whether each process has a cache of its own under ``alias``, or none at all.

    Whatever a subclass of Django's is called.
    """
    backend = backend_class(alias)
    return backend is not None and issubclass(backend, (LocMemCache, DummyCache))

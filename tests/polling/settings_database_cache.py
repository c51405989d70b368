"""The tests' settings with a cache that processes share through their database."""

from __future__ import annotations

from tests.settings import *  # noqa: F403

CACHE_TABLE = "tests_polling_cache"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": CACHE_TABLE,
    }
}

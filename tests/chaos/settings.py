"""The tests' settings with what a scenario changes through the environment."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, PAGOEFECTIVO

ROOT_URLCONF = "tests.chaos.urls"
ALLOWED_HOSTS = ["127.0.0.1"]
PAGOEFECTIVO = PAGOEFECTIVO | json.loads(os.environ.get("CHAOS_PAGOEFECTIVO", "{}"))
if base_url := os.environ.get("CHAOS_BASE_URL"):
    PAGOEFECTIVO["MERCHANTS"]["default"]["BASE_URL"] = base_url
_options: dict[str, Any] = DATABASES["default"].setdefault("OPTIONS", {})
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    _options["connect_timeout"] = 2
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    _options |= json.loads(os.environ.get("CHAOS_OPTIONS", "{}"))
if cache := os.environ.get("CHAOS_CACHE"):
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": cache,
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
    }
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"django_pagoefectivo": {"handlers": ["stderr"], "level": "WARNING"}},
}

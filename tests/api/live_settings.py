"""The example shop's settings for a machine that asks as fast as it can."""

from __future__ import annotations

from config.settings import *  # noqa: F403
from config.settings import PAGOEFECTIVO

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
PAGOEFECTIVO["REST_API"]["THROTTLE_RATES"] = {"create": None, "read": None, "act": None}

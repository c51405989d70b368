"""The setting from environment variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    import environ

_SWITCHES = {
    **dict.fromkeys(("true", "on", "ok", "y", "yes", "1"), True),
    **dict.fromkeys(("false", "off", "n", "no", "0"), False),
}


def from_env(env: environ.Env, *, merchant: str = "default") -> dict[str, Any]:
    """Build the ``PAGOEFECTIVO`` dict from environment variables.

    ``env`` is a django-environ ``Env``; ``merchant`` names the one merchant it makes.
    Read are ``PAGOEFECTIVO_`` and: ``SERVICE_ID``, ``ACCESS_KEY``, ``SECRET_KEY``,
    ``SECRET_KEY_FALLBACKS`` (comma-separated), ``API``, ``ENVIRONMENT``, ``BASE_URL``,
    ``CURRENCIES`` (comma-separated), ``ADMIN_EMAIL``, ``EXPIRES_IN_HOURS``, ``SITE_URL``,
    ``RETURN_URL``, ``CONFIRM_WITH_STATUS_QUERY``, ``SIGNAL_DELIVERY``, ``CACHE``,
    ``ALLOWED_IPS``, ``IP_HEADER`` and ``TRUSTED_PROXIES``. What is not set or is empty
    keeps its default; missing and malformed values are reported by the system checks, not
    here, except for hours that are no number.
    """

    def given(readers: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
        return {
            name: read(f"PAGOEFECTIVO_{name}")
            for name, read in readers.items()
            if env.ENVIRON.get(f"PAGOEFECTIVO_{name}", "").strip()
        }

    def literal(name: str) -> str:
        # django-environ takes what begins with a dollar sign for another variable's name.
        return str(env.ENVIRON[name])

    def listed(name: str) -> list[str]:
        return [part for text in env.list(name) if (part := text.strip())]

    def switch(name: str) -> bool | str:
        # What is neither is left as it is, for the checks to name; django-environ reads it
        # as False.
        text = str(env.str(name)).strip()
        return _SWITCHES.get(text.lower(), text)

    def hours(name: str) -> timedelta:
        try:
            return timedelta(hours=float(env.str(name)))
        except (ValueError, OverflowError):
            raise ImproperlyConfigured(
                f"{name} is {env.str(name)!r}; it must be a number of hours above 0, like 24."
            ) from None

    result: dict[str, Any] = {
        "MERCHANTS": {
            merchant: given(
                {
                    "API": env.str,
                    "ENVIRONMENT": env.str,
                    "BASE_URL": env.str,
                    "SERVICE_ID": env.str,
                    "ACCESS_KEY": literal,
                    "SECRET_KEY": literal,
                    "SECRET_KEY_FALLBACKS": listed,
                    "CURRENCIES": listed,
                    "ADMIN_EMAIL": env.str,
                }
            )
        },
        **given(
            {
                "SITE_URL": env.str,
                "RETURN_URL": env.str,
                "CONFIRM_WITH_STATUS_QUERY": switch,
                "SIGNAL_DELIVERY": env.str,
                "CACHE": env.str,
                "ALLOWED_IPS": listed,
                "IP_HEADER": env.str,
                "TRUSTED_PROXIES": listed,
            }
        ),
    }
    if terms := given({"EXPIRES_IN_HOURS": hours}):
        result["EXPIRES_IN"] = terms["EXPIRES_IN_HOURS"]
    return result

"""The option ``REST_API``: how the REST API of a shop behaves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

#: What each request counts as for throttling.
SCOPES = ("create", "read", "act")
LARGEST_PAGE = 200
REST_API_DEFAULTS: dict[str, Any] = {
    "PERMISSION": "django_pagoefectivo.api.permissions.PaymentPermission",
    "PAYMENT_FOR_ORDER": None,
    "THROTTLE_RATES": {"create": "30/min", "read": "300/min", "act": "30/min"},
    "PAGE_SIZE": 50,
}
_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|sec|second|m|min|minute|h|hour|d|day)")


@dataclass(frozen=True, slots=True)
class RestApi:
    """``REST_API``, read.

    ``permission`` is a class or its dotted path, ``payment_for_order`` a callable, its
    dotted path or ``None``; ``throttle_rates`` has a rate, or ``None`` for no limit, for
    each scope.
    """

    permission: type | str
    payment_for_order: Callable[..., Any] | str | None
    throttle_rates: Mapping[str, str | None]
    page_size: int


def read_rest_api(raw: object) -> RestApi:
    """Read the option; ``ImproperlyConfigured`` names what is wrong."""
    if not isinstance(raw, Mapping):
        raise ImproperlyConfigured(f'PAGOEFECTIVO["REST_API"] is {raw!r}; it must be a dict.')
    for name in raw:
        if name not in REST_API_DEFAULTS:
            known = ", ".join(f'"{key}"' for key in REST_API_DEFAULTS)
            raise ImproperlyConfigured(
                f'PAGOEFECTIVO["REST_API"]["{name}"] is no option of it; known: {known}.'
            )
    values = {**REST_API_DEFAULTS, **raw}
    permission = values["PERMISSION"]
    if not isinstance(permission, type) and not _is_dotted_path(permission):
        raise _wrong("PERMISSION", permission, "a class or the dotted path of one")
    hook = values["PAYMENT_FOR_ORDER"]
    if hook is not None and not callable(hook) and not _is_dotted_path(hook):
        raise _wrong("PAYMENT_FOR_ORDER", hook, "None, a callable or the dotted path of one")
    page_size = values["PAGE_SIZE"]
    if isinstance(page_size, bool) or page_size not in range(1, LARGEST_PAGE + 1):
        raise _wrong("PAGE_SIZE", page_size, f"a whole number from 1 to {LARGEST_PAGE}")
    return RestApi(permission, hook, _rates(values["THROTTLE_RATES"]), page_size)


def _rates(raw: object) -> Mapping[str, str | None]:
    expected = 'a dict with rates like "30/min", or None for no limit, for ' + ", ".join(
        f'"{scope}"' for scope in SCOPES
    )
    if not isinstance(raw, Mapping) or not set(raw) <= set(SCOPES):
        raise _wrong("THROTTLE_RATES", raw, expected)
    for rate in raw.values():
        if rate is not None and not (isinstance(rate, str) and _RATE.fullmatch(rate)):
            raise _wrong("THROTTLE_RATES", raw, expected)
    return {**REST_API_DEFAULTS["THROTTLE_RATES"], **raw}


def _is_dotted_path(value: object) -> bool:
    return isinstance(value, str) and "." in value.strip(".")


def _wrong(name: str, value: object, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f'PAGOEFECTIVO["REST_API"]["{name}"] is {value!r}; it must be {expected}.'
    )

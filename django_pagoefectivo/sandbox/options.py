"""The ``PAGOEFECTIVO_SANDBOX`` setting: a dict, all of it optional.

``CALLBACK_URL``
    Where notifications go. Left out: ``SITE_URL`` and the merchant's webhook, else the same
    webhook on the host that the code was asked from.
``AMOUNT_LIMIT``
    The greatest amount of one code; above it the answer is ``511``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ..conf import is_web_url

#: PagoEfectivo's limits are agreed for each service; this is only what the sandbox can keep.
LARGEST_AMOUNT = Decimal("9999999999999.99")


def _options() -> Mapping[str, Any]:
    options = getattr(settings, "PAGOEFECTIVO_SANDBOX", None) or {}
    if not isinstance(options, Mapping):
        raise ImproperlyConfigured("PAGOEFECTIVO_SANDBOX must be a dict.")
    unknown = sorted(set(options) - {"CALLBACK_URL", "AMOUNT_LIMIT"})
    if unknown:
        raise ImproperlyConfigured(
            f"PAGOEFECTIVO_SANDBOX has no {', '.join(unknown)}; it knows CALLBACK_URL and "
            "AMOUNT_LIMIT."
        )
    return options


def callback_url() -> str | None:
    """The address that every notification goes to, or ``None`` if none is set."""
    value = _options().get("CALLBACK_URL")
    if value is not None and not (isinstance(value, str) and is_web_url(value)):
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO_SANDBOX["CALLBACK_URL"] is {value!r}; it must be an address like '
            '"http://127.0.0.1:8000/pagoefectivo/webhook/".'
        )
    return value


def amount_limit() -> Decimal:
    """The greatest amount of one code."""
    value = _options().get("AMOUNT_LIMIT", LARGEST_AMOUNT)
    try:
        limit = Decimal(str(value))
    except InvalidOperation:
        limit = Decimal("NaN")
    if not limit.is_finite() or not 0 < limit <= LARGEST_AMOUNT:
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO_SANDBOX["AMOUNT_LIMIT"] is {value!r}; it must be a number above 0 '
            f"and at most {LARGEST_AMOUNT}."
        )
    return limit

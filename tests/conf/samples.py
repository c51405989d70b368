"""Made-up settings."""

from __future__ import annotations

from typing import Any

ACCESS_KEY = "TESTACCESSKEY0000001"
SECRET_KEY = "test-secret-key-not-real-0123456789abcdef"
MERCHANT: dict[str, Any] = {
    "SERVICE_ID": "1234",
    "ACCESS_KEY": ACCESS_KEY,
    "SECRET_KEY": SECRET_KEY,
}


def setting(merchant: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A ``PAGOEFECTIVO`` with one usable merchant; values that are ``...`` are left out."""
    entry = {**MERCHANT, **(merchant or {})}
    kept = {key: value for key, value in entry.items() if value is not ...}
    return {"MERCHANTS": {"default": kept}, **changes}

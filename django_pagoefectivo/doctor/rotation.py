"""Old keys that need no longer be accepted."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured

from ..services.keys import idle_fallbacks
from .findings import Finding, Severity, ok
from .room import Room


def check_fallbacks(room: Room) -> Iterator[Finding]:
    """``SECRET_KEY_FALLBACKS`` that sign nothing any more, while the new key does."""
    names = {merchant.name for merchant in room.merchants}
    try:
        idle = [use for use in idle_fallbacks() if use.merchant in names]
    except ImproperlyConfigured:
        # The system check says so.
        return
    for use in idle:
        yield Finding(
            "fallbacks",
            Severity.WARNING,
            f"Fallback key {use.place} ({use.label}) of merchant {use.merchant} has signed "
            "nothing for a week, while the new key has: the rotation is over, and whoever has "
            "the old key can still sign.",
            "Take it out of SECRET_KEY_FALLBACKS.",
            "howto/rotate-keys",
        )
    with_fallbacks = [one.name for one in room.merchants if one.secret_key_fallbacks]
    if with_fallbacks and not idle:
        yield ok("fallbacks", f"The old keys of {', '.join(with_fallbacks)} may still be needed.")

"""Primary keys as text that came from outside."""

from __future__ import annotations

#: Digits that fit the largest key of every database.
_MOST_DIGITS = 18


def key_of(text: str) -> int | None:
    """The key that ``text`` is, ``None`` if it is none that a row can have."""
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return int(text)
    return None

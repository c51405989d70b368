"""What a single value of the setting must be like."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_bool(value: object) -> bool:
    """Whether ``value`` is True or False, and not just taken for it."""
    return isinstance(value, bool)


def is_count(value: object) -> bool:
    """Whether ``value`` is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_web_url(value: str) -> bool:
    """Whether ``value`` is an http(s) address with a host."""
    try:
        parts = urlsplit(value)
        # Reading the port is what finds out that it is none.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_base_url(value: str) -> bool:
    """Whether paths can be put behind ``value``."""
    return is_web_url(value) and not re.search(r"[\s?#]", value)


def as_texts(value: object) -> tuple[str, ...] | None:
    """A collection of texts as a tuple; ``None`` for everything else."""
    if not isinstance(value, list | tuple | set | frozenset):
        return None
    return tuple(value) if all(isinstance(text, str) for text in value) else None


def as_network(value: object) -> Network:
    """An address or network. Raises ``TypeError`` or ``ValueError`` for what is none."""
    if not isinstance(value, str | ipaddress.IPv4Network | ipaddress.IPv6Network):
        # A number would be read as an address, too.
        raise TypeError(f"{value!r} is no text")
    return ipaddress.ip_network(value.strip() if isinstance(value, str) else value)

"""Where a request came from, believing only what Django or the settings trust."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from .conf import Network, Options

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(meta: Mapping[str, Any], config: Options) -> str | None:
    """The client's address, or ``None`` if it cannot be read.

    ``REMOTE_ADDR``, unless ``IP_HEADER`` and ``TRUSTED_PROXIES`` are set: then the header
    is read from its right end, past every trusted proxy, to the first address that is not
    one. What a client wrote further left is never believed.
    """
    nearest = _parse(str(meta.get("REMOTE_ADDR", "")))
    proxies = config.trusted_proxies
    if config.ip_header is None or not _within(nearest, proxies):
        return None if nearest is None else str(nearest)
    name = "HTTP_" + config.ip_header.upper().replace("-", "_")
    address = nearest
    for hop in reversed(str(meta.get(name, "")).split(",")):
        if not hop.strip():
            continue
        address = _parse(hop.strip())
        if not _within(address, proxies):
            break
    return None if address is None else str(address)


def is_allowed(address: str | None, options: Options) -> bool:
    """Whether notifications may come from ``address``."""
    networks = options.allowed_ips
    return not networks or _within(_parse(address or ""), networks)


def _parse(text: str) -> Address | None:
    try:
        # Behind a percent sign stands a network interface of this machine.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A server on a dual-stack socket sees IPv4 clients as ::ffff:203.0.113.7.
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _within(address: Address | None, networks: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in networks)

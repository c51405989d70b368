"""System checks of safety: nothing meant for development meets real money."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from .conf import Config, Merchant, Options
from .gateways.registry import gateway_class
from .shared_cache import is_of_one_process


def unsafe(config: Config, merchants: Sequence[Merchant]) -> list[CheckMessage]:
    """E004, E005, W008, W013, E015 of ``merchants``, each of which can be used."""
    messages: list[CheckMessage] = []
    for merchant in merchants:
        messages += _at_the_wrong_address(merchant)
        base_url = gateway_class(merchant)(merchant).base_url
        if _is_plain(base_url) and (merchant.is_production or not _is_local(base_url)):
            messages.append(
                Error(
                    f"Merchant {merchant.name} talks to {base_url} without TLS, so its keys "
                    "and tokens could be read on the way.",
                    hint="Use an https:// BASE_URL; http:// is for a sandbox on this machine.",
                    id="pagoefectivo.E004",
                )
            )
    production = [merchant.name for merchant in merchants if merchant.is_production]
    if not production:
        return messages
    names = ", ".join(production)
    if apps.is_installed("django_pagoefectivo.sandbox"):
        messages.append(
            Error(
                f"The sandbox app is installed while merchant {names} is in production: "
                "anybody could declare codes paid.",
                hint='Remove "django_pagoefectivo.sandbox" from INSTALLED_APPS in production.',
                id="pagoefectivo.E005",
            )
        )
    for name in production:
        messages += _production_warnings(config.options_of(name), name)
    return messages


def _at_the_wrong_address(merchant: Merchant) -> Iterator[CheckMessage]:
    """``ENVIRONMENT`` says one thing and ``BASE_URL`` the other."""
    gateway = gateway_class(merchant)
    hosts = {name: _host(url) for name, url in gateway.base_urls.items()}
    host = _host(gateway(merchant).base_url)
    if host not in hosts.values() or hosts.get(merchant.environment) == host:
        return
    consequence = (
        "shoppers would get codes that nobody can pay"
        if merchant.is_production
        else "what is taken for a try would make real codes, for real money"
    )
    other = next(name for name, known in hosts.items() if known == host)
    yield Error(
        f'Merchant {merchant.name} has ENVIRONMENT "{merchant.environment}", but its BASE_URL '
        f'{merchant.base_url} is PagoEfectivo\'s for "{other}": {consequence}.',
        hint="Leave BASE_URL out, so that ENVIRONMENT decides, and take the keys of that "
        "environment.",
        id="pagoefectivo.E015",
    )


def _production_warnings(options: Options, name: str) -> Iterator[CheckMessage]:
    per_process = False
    with suppress(ImproperlyConfigured):
        per_process = is_of_one_process(options.cache)
    if per_process:
        yield CheckWarning(
            f"Merchant {name} is in production with a cache that each process has for itself: "
            "each fetches its own tokens, and refused notifications and the calls of POLL_RATE are "
            "counted per process.",
            hint="Point PAGOEFECTIVO['CACHE'] at a shared cache: Redis, Memcached or database.",
            id="pagoefectivo.W008",
        )
    site_url = None
    with suppress(ImproperlyConfigured):
        site_url = options.site_url
    if site_url and _is_plain(site_url):
        yield CheckWarning(
            f"SITE_URL is {site_url} while merchant {name} is in production.",
            hint="Serve the shop over https.",
            id="pagoefectivo.W013",
        )


def _is_plain(url: str) -> bool:
    return urlsplit(url).scheme == "http"


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_local(url: str) -> bool:
    host = _host(url)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

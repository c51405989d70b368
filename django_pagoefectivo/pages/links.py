"""Which addresses a page may send a shopper to."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse

from ..conf import Merchant, get_config
from ..logs import logger_for

if TYPE_CHECKING:
    from django.http import HttpRequest

    from ..models import Payment

logger = logger_for(__name__)

#: Where PagoEfectivo hosts its pages: the domain and all below it.
PAGOEFECTIVO_HOSTS = ("pagoefectivo.pe", ".pagoefectivo.pe")

DEFAULT_PORTS = {"https": 443, "http": 80}

# Browsers drop or change these while they read an address, so that what is checked here
# would not be what is opened.
_TREACHEROUS = re.compile(r"[\x00-\x20\x7f-\x9f\\]")


def is_linkable(
    url: str,
    *,
    hosts: Collection[str],
    allow_http: bool = False,
    allow_path: bool = False,
) -> bool:
    """Whether ``url`` may be linked: https, and on one of ``hosts``.

    A host may be ``shop.example`` (its standard port), ``shop.example:8443`` or
    ``.shop.example`` (everything below it). ``allow_http`` lets plain http pass,
    ``allow_path`` an address on this site such as ``/thanks/``.
    """
    if not url or _TREACHEROUS.search(url):
        return False
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return False
    if not parts.scheme and not parts.netloc:
        return allow_path and url.startswith("/") and not url.startswith("//")
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        return False
    if not host or "@" in parts.netloc:
        return False
    if port not in (None, DEFAULT_PORTS[parts.scheme]):
        return f"{host}:{port}" in hosts
    return host in hosts or any(host.endswith(suffix) for suffix in hosts if suffix.startswith("."))


def origin_host(url: str) -> str:
    """The host of ``url`` as ``is_linkable`` takes it; ``""`` where there is none."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return ""
    if not host or port in (None, DEFAULT_PORTS.get(parts.scheme)):
        return host
    return f"{host}:{port}"


def hosted_url(payment: Payment) -> str:
    """``payment.cip_url`` where it may be linked and shown as a QR code, else ``""``."""
    if not payment.cip_url:
        return ""
    try:
        merchant: Merchant | None = get_config().merchant(payment.merchant)
    except ImproperlyConfigured:
        # A payment outlives its merchant's settings; its page must not go with them.
        merchant = None
    base_url = (merchant.base_url if merchant else None) or ""
    # Never for production: a mistaken DEBUG must not send a shopper to an open page.
    allow_http = (
        merchant is not None
        and not merchant.is_production
        and (settings.DEBUG or base_url.startswith("http:"))
    )
    hosts = {*PAGOEFECTIVO_HOSTS, origin_host(base_url)} - {""}
    if is_linkable(payment.cip_url, hosts=hosts, allow_http=allow_http):
        return payment.cip_url
    logger.warning(
        "The hosted page of payment %s is at an address that is not linked: host %r",
        payment.pk,
        origin_host(payment.cip_url),
    )
    return ""


def shop_url(payment: Payment, request: HttpRequest | None = None) -> str:
    """Where "back to the shop" leads for ``payment``; ``""`` where that is unknown.

    Without ``RETURN_URL`` and ``SITE_URL`` that is the site's root. Never raises: a fault
    in the shop's setting is logged, and costs the shopper the link and not the page.
    """
    try:
        url, hosts = _configured_shop_url(payment)
        if request is not None:
            hosts.add(request.get_host().lower())
    except Exception:
        logger.exception('PAGOEFECTIVO["RETURN_URL"] gave no address for %r', payment)
        return ""
    if not url:
        return ""
    if is_linkable(url, hosts=hosts, allow_http=settings.DEBUG, allow_path=True):
        return url
    logger.error(
        'PAGOEFECTIVO["RETURN_URL"] gave an address that is not linked: host %r. It must be '
        "https and on SITE_URL's host, one of ALLOWED_HOSTS or the shop's own.",
        origin_host(url),
    )
    return ""


def _configured_shop_url(payment: Payment) -> tuple[str, set[str]]:
    """The address that the settings name, and the hosts they make trusted."""
    options = get_config().options_of(payment.merchant)
    target = options.return_url
    hosts = {host.lower() for host in settings.ALLOWED_HOSTS}
    # Django lets ".shop.example" stand for the domain itself as well.
    hosts |= {host[1:] for host in hosts if host.startswith(".")}
    if options.site_url:
        hosts.add(origin_host(options.site_url))
    if target is None:
        return options.site_url or "/", hosts
    if callable(target):
        # Only a callable can be led astray by a payment's data, so only its answer has to
        # stay on the shop's hosts.
        return str(target(payment) or ""), hosts
    if target.startswith("/") or "://" in target:
        return target, hosts | {origin_host(target)}
    try:
        return reverse(target), hosts
    except NoReverseMatch:
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO["RETURN_URL"] is {target!r}, which is neither an address nor the '
            "name of a URL without arguments."
        ) from None

"""The shop's own public addresses, for what PagoEfectivo is told."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

from django.urls import NoReverseMatch, reverse

from ..conf import Config, Options
from ..models import Payment

if TYPE_CHECKING:
    from django.http import HttpRequest


def absolute(path: str, options: Options, request: HttpRequest | None = None) -> str:
    """``path`` with the shop's scheme and host: ``SITE_URL``, else the request's, else ``""``."""
    if options.site_url:
        return urljoin(options.site_url, path)
    return request.build_absolute_uri(path) if request is not None else ""


def callback_url(merchant: str, config: Config, request: HttpRequest | None = None) -> str:
    """Where PagoEfectivo's notifications for ``merchant`` go, or ``""`` if it is not known."""
    return _absolute_view(
        "merchant-webhook", {"merchant": merchant}, config.options_of(merchant), request
    )


def return_url(payment: Payment, config: Config, request: HttpRequest | None = None) -> str:
    """Where the shopper's browser comes back to, or ``""`` if it is not known."""
    options = config.options_of(payment.merchant)
    return _absolute_view("payment-return", {"token": payment.token}, options, request)


def _absolute_view(
    name: str, kwargs: dict[str, object], options: Options, request: HttpRequest | None
) -> str:
    try:
        return absolute(reverse(f"pagoefectivo:{name}", kwargs=kwargs), options, request)
    except NoReverseMatch:
        # A shop that takes no notifications yet; a system check tells it so.
        return ""

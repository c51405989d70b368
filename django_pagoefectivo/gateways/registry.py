"""From a merchant's ``API`` setting to its gateway."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import Config, Merchant
from .base import Exchange, Gateway, ignore_exchange
from .cip import CipGateway
from .payment import PaymentGateway

BUILT_IN: dict[str, type[Gateway]] = {"cip": CipGateway, "payment": PaymentGateway}


def gateway_class(merchant: Merchant) -> type[Gateway]:
    """The gateway class of ``merchant``. Raises ``ImproperlyConfigured`` if there is none."""
    if merchant.api in BUILT_IN:
        return BUILT_IN[merchant.api]
    where = f'PAGOEFECTIVO["MERCHANTS"]["{merchant.name}"]["API"]'
    try:
        found = import_string(merchant.api)
    except (ImportError, TypeError, ValueError) as error:
        known = ", ".join(f'"{name}"' for name in BUILT_IN)
        raise ImproperlyConfigured(
            f"{where} is {merchant.api!r}, which is neither {known} nor can it be imported: "
            f"{error}."
        ) from None
    if not (isinstance(found, type) and issubclass(found, Gateway)):
        raise ImproperlyConfigured(f"{where}: {merchant.api} is no subclass of Gateway.")
    return found


def gateway_for(
    merchant: Merchant, config: Config, record: Callable[[Exchange], None] = ignore_exchange
) -> Gateway:
    """A gateway ready to call, with the timeouts and the cache that ``merchant`` has."""
    options = config.options_of(merchant.name)
    chosen = gateway_class(merchant)
    chosen.check_credentials(merchant)
    gateway = chosen(merchant, timeout=options.timeout, cache=options.cache, record=record)
    _require_address(gateway)
    return gateway


def check_merchant(merchant: Merchant) -> None:
    """Raise ``ImproperlyConfigured`` if no gateway could call for ``merchant``."""
    chosen = gateway_class(merchant)
    chosen.check_credentials(merchant)
    _require_address(chosen(merchant))


def _require_address(gateway: Gateway) -> None:
    if not gateway.base_url:
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO["MERCHANTS"]["{gateway.merchant.name}"]["BASE_URL"] is missing: this '
            "API publishes no address of its own."
        )

"""Serving the built-in sandbox beside the shop's own URLs, and sending the shop's calls there."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import (
    NoReverseMatch,
    URLPattern,
    URLResolver,
    get_resolver,
    include,
    path,
    reverse,
)

from ..conf import Merchant, get_config
from ..gateways import PaymentGateway, gateway_class

APP = "django_pagoefectivo.sandbox"
#: Where it is served if the shop's own URLs do not serve it.
PREFIX = "pagoefectivo-sandbox/"
_HANDLERS = ("handler400", "handler403", "handler404", "handler500")


def require_sandbox() -> None:
    """Raise ``ImproperlyConfigured`` where the sandbox cannot be used, and say how to mend it."""
    if not apps.is_installed(APP):
        raise ImproperlyConfigured(
            f'The sandbox is not installed. Add "{APP}" to INSTALLED_APPS in the settings of '
            "the tests (never in production), and migrate."
        )


def urls_with_sandbox() -> Any:
    """The root URLconf, with the sandbox's URLs in front unless it has them already."""
    root = settings.ROOT_URLCONF
    try:
        reverse("pagoefectivo_sandbox:panel")
    except NoReverseMatch:
        pass
    else:
        return root
    resolver = get_resolver(root)
    sandbox: list[URLPattern | URLResolver] = [path(PREFIX, include(f"{APP}.urls"))]
    module = ModuleType("django_pagoefectivo_with_sandbox")
    module.urlpatterns = [*sandbox, *resolver.url_patterns]  # type: ignore[attr-defined]
    for name in _HANDLERS:
        if (handler := getattr(resolver.urlconf_module, name, None)) is not None:
            setattr(module, name, handler)
    return module


def setting_towards(panel: str, **options: Any) -> dict[str, Any]:
    """The ``PAGOEFECTIVO`` setting with every merchant's calls going to the sandbox at ``panel``.

    ``panel`` is the address that the sandbox's URLs begin with, up to and with its final slash.
    No merchant is in production there, whatever it is otherwise. ``options`` hold for all of them.
    """
    config = get_config()
    setting = config.raw.get("MERCHANTS")
    merchants = {}
    for merchant in config.merchants():
        # From a callable come no options that could be read back.
        raw: dict[str, Any] = (
            setting[merchant.name] if isinstance(setting, Mapping) else _written(merchant)
        )
        speaks_payment_api = issubclass(gateway_class(merchant), PaymentGateway)
        where = "api/v1" if speaks_payment_api else "v1"
        merchants[merchant.name] = {
            **raw,
            **{name: value for name, value in options.items() if name in raw},
            "ENVIRONMENT": "sandbox",
            "BASE_URL": panel + where,
        }
    return {**copy.deepcopy(dict(config.raw)), **options, "MERCHANTS": merchants}


def _written(merchant: Merchant) -> dict[str, Any]:
    return {
        "API": merchant.api,
        "SERVICE_ID": merchant.service_id,
        "ACCESS_KEY": merchant.access_key,
        "SECRET_KEY": merchant.secret_key,
        "SECRET_KEY_FALLBACKS": list(merchant.secret_key_fallbacks),
        "CURRENCIES": list(merchant.currencies),
        "ADMIN_EMAIL": merchant.admin_email,
    }

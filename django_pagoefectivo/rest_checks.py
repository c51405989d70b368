"""System checks of the REST API: what would keep it from answering, said before it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .conf import get_config

#: What resolves each of the two dotted paths. By name, so that a process which never serves
#: the API need not load Django REST framework.
_RESOLVERS = (
    "django_pagoefectivo.api.permissions.permission_class",
    "django_pagoefectivo.api.creation.payment_for_order",
)


def check_rest_api(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E030 and W031: the REST API finds what the setting names, and somebody can log in."""
    try:
        has_hook = get_config().rest_api.payment_for_order is not None
    except ImproperlyConfigured:
        # E001 or E003 says so already.
        return []
    messages = list(_unresolved(_RESOLVERS if has_hook else _RESOLVERS[:1]))
    with suppress(ImportError):
        if not import_string("rest_framework.settings.api_settings").DEFAULT_AUTHENTICATION_CLASSES:
            messages.append(
                CheckWarning(
                    "REST_FRAMEWORK has no DEFAULT_AUTHENTICATION_CLASSES, so nobody can log in "
                    "at the REST API and it refuses every request.",
                    hint="Name the classes by which your shop's front end logs in.",
                    id="pagoefectivo.W031",
                )
            )
    return messages


def _unresolved(paths: Sequence[str]) -> Iterator[CheckMessage]:
    for path in paths:
        try:
            import_string(path)()
        except (ImproperlyConfigured, ImportError) as error:
            yield Error(
                f"The REST API cannot answer: {error}",
                hint="See REST_API in the reference of the settings.",
                id="pagoefectivo.E030",
            )

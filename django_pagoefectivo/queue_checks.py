"""System checks of the task queue that ``SIGNAL_DELIVERY`` names."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from .conf import get_config


def uses_celery() -> bool:
    """Whether the settings name Celery and it is installed."""
    return _is_named() and importlib.util.find_spec("celery") is not None


def _is_named() -> bool:
    # What else is wrong with the settings is for the other checks to say.
    with suppress(ImproperlyConfigured):
        config = get_config()
        return "celery" in (config.signal_delivery, config.background)
    return False


def check_celery(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E020, W021: the messages that wake Celery have somewhere to go."""
    if not _is_named():
        return []
    if not uses_celery():
        return [
            Error(
                'SIGNAL_DELIVERY or BACKGROUND is "celery", but Celery is not installed: '
                "receivers would be called late, and bulk jobs would not begin.",
                hint='Install it with pip install "django-pagoefectivo[celery]".',
                id="pagoefectivo.E020",
            )
        ]
    broker = import_module("django_pagoefectivo.broker")
    if broker.is_nobodys(broker.celery_app()):
        return [
            CheckWarning(
                'SIGNAL_DELIVERY or BACKGROUND is "celery", but this process knows no Celery '
                "app of the project, so messages go to a broker on this machine that may not be "
                "there.",
                hint="Import your Celery app in the __init__.py of the project, as Celery's "
                "guide for Django says.",
                id="pagoefectivo.W021",
            )
        ]
    return []

"""The headless shop's app."""

from __future__ import annotations

from django.apps import AppConfig


class HeadlessConfig(AppConfig):
    """The headless shop in ``INSTALLED_APPS``."""

    name = "headless"
    verbose_name = "Qhatu without pages"

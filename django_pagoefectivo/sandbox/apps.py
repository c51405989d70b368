"""The sandbox in ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """PagoEfectivo, played on the shop's own machine."""

    name = "django_pagoefectivo.sandbox"
    label = "pagoefectivo_sandbox"
    verbose_name = "PagoEfectivo sandbox"
    default_auto_field = "django.db.models.BigAutoField"

"""The shop's app; connects its receivers."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """The shop in ``INSTALLED_APPS``."""

    name = "shop"
    verbose_name = "Qhatu, the shop"

    def ready(self) -> None:
        """Connect the receivers of PagoEfectivo's signals in every process.

        Also in commands and workers: each of them may find out that a payment was made.
        """
        from . import receivers  # noqa: F401, PLC0415 - its models exist only from here on

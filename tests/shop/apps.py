"""A minimal shop for tests: an order that payments link to."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """The tests' shop."""

    name = "tests.shop"
    label = "test_shop"
    default_auto_field = "django.db.models.BigAutoField"

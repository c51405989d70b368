"""The shop of the measurements: one receiver, which writes down whom it heard of."""

from __future__ import annotations

import os
from typing import Any

from django.apps import AppConfig

from django_pagoefectivo.signals import payment_confirmed


class ShopConfig(AppConfig):
    """Connects the receiver where ``BENCH_TOLD`` names the file to write to."""

    name = "benchmarks.shop"
    label = "bench"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the receiver."""
        if "BENCH_TOLD" in os.environ:
            payment_confirmed.connect(write_down, dispatch_uid="bench.write_down")


def write_down(payment: Any, **kwargs: Any) -> None:
    """Append the payment's id to the file. One short write is atomic in such a file."""
    told = os.open(os.environ["BENCH_TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(told, b"%d\n" % payment.pk)
    finally:
        os.close(told)

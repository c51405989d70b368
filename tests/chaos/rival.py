"""Another program on the same tables: locks payments crosswise, so that deadlocks happen."""

from __future__ import annotations

import random
import time

import django
from django.db import OperationalError, connection, transaction

django.setup()

from django_pagoefectivo.models import Payment, WebhookEvent  # noqa: E402


def lock_crosswise() -> None:
    """Lock two payments that are likely to be notified now, and touch their events."""
    ids = list(Payment.objects.filter(status="pending").order_by("pk").values_list("pk")[:12])
    if len(ids) < 2:
        time.sleep(0.1)
        return
    with transaction.atomic():
        for (pk,) in random.sample(ids, k=2):
            Payment.objects.filter(pk=pk).update(description=str(random.random()))
            WebhookEvent.objects.filter(payment=pk).update(error="")
            time.sleep(0.02)


while True:
    try:
        lock_crosswise()
    except OperationalError:
        connection.close()

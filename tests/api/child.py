"""A process that creates a payment with a key and dies: ``python -m tests.api.child WHEN USER``."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402

from django_pagoefectivo.api import creation  # noqa: E402
from django_pagoefectivo.services import idempotency, payments  # noqa: E402

settings.PAGOEFECTIVO = json.loads(os.environ["PAGOEFECTIVO"])


def _die(*args: Any, **kwargs: Any) -> Any:
    os._exit(9)


def main(when: str, username: str, wish: str, key: str) -> None:
    """Send the request; the process does not live to answer it."""
    if when == "before the row":
        vars(creation)["create_payment"] = _die
    elif when == "after PagoEfectivo's answer":
        vars(payments)["_take_code"] = _die
    elif when == "before the answer is kept":
        vars(idempotency)["Answer"] = vars(creation)["Answer"] = _die
    client = APIClient()
    client.force_login(User.objects.get(username=username))
    client.post(
        "/pagoefectivo/api/payments/",
        wish.encode(),
        content_type="application/json",
        headers={"Idempotency-Key": key},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

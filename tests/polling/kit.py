"""What the tests of polling share: merchants, payments that PagoEfectivo knows, who was asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from django_pagoefectivo.models import Payment
from django_pagoefectivo.testing import make_payment
from tests.servers import GENERATED, NEVER, Code, PagoEfectivo, Reply

DOWN = Reply(503, b"down", "text/html")


def known(pe: PagoEfectivo, payment: Payment, status: int = GENERATED) -> Payment:
    cip = str(payment.cip)
    pe.codes[cip] = Code(cip, payment.transaction_code, payment.amount, "PEN", NEVER, status)
    return payment


def make_due(
    pe: PagoEfectivo, count: int, merchant: str = "default", since: int = 60
) -> list[Payment]:
    """Payments that have been due for ``since`` minutes, each a moment after the one before."""
    first = timezone.now() - timedelta(minutes=since)
    return [
        known(
            pe,
            make_payment(merchant=merchant, next_poll_at=first + timedelta(milliseconds=number)),
        )
        for number in range(count)
    ]


def with_merchants(
    configure: Callable[..., None], settings: Any, *names: str, **options: Any
) -> None:
    """Merchants beside the default one, with keys of their own, at the same address."""
    merchants = settings.PAGOEFECTIVO["MERCHANTS"]
    for number, name in enumerate(names):
        merchants[name] = merchants["default"] | {"SERVICE_ID": f"90{number}"}
    configure(MERCHANTS=merchants, **options)


def cips_asked(pe: PagoEfectivo) -> list[str]:
    """Each CIP as often as a search call asked about it, in turn."""
    return [str(item["cip"]) for call in pe.of("search") for item in call.data["data"]]


def merchants_asked(pe: PagoEfectivo) -> list[str]:
    """Whose payments each search call was about, in turn."""
    merchant_of = dict(Payment.objects.values_list("cip", "merchant"))
    return [merchant_of[str(call.data["data"][0]["cip"])] for call in pe.of("search")]


def due() -> int:
    return Payment.objects.filter(next_poll_at__lte=timezone.now()).count()

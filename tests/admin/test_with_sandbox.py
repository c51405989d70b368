"""Asking, extending and cancelling over real HTTP, against the app's own sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from django_pagoefectivo.models import ApiExchange, Payment, Status
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.services import Customer, create_payment

from .test_payment_bulk import choose, confirm, lima_input, said

URL = "/admin/pagoefectivo/payment/"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(live_server: Any, settings: Any) -> Iterator[None]:
    """A shop whose PagoEfectivo is the sandbox."""
    cache.clear()
    merchant = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
    base = {"BASE_URL": f"{live_server.url}/sandbox/v1"}
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {
        "MERCHANTS": {"default": merchant | base},
        "TIMEOUT": (5, 10),
        "SITE_URL": live_server.url,
    }
    yield
    cache.clear()


def order(number: int) -> Payment:
    return create_payment(
        order_reference=f"A-{number}",
        amount=Decimal("22.05"),
        customer=Customer(email="rosa.quispe@correo.example"),
    )


def test_ask_extend_and_cancel(shop: None, as_role: Any) -> None:
    payments = [order(number) for number in range(3)]
    paid, extended, cancelled = payments
    control.pay(str(paid.cip), notify=False)
    client = as_role("clerk")

    answer = choose(client, "sync_payments", *payments)
    assert "PagoEfectivo was asked about 3 payments." in said(answer)
    paid.refresh_from_db()
    assert paid.status == Status.PAID

    deadline = (timezone.now() + timedelta(days=3)).replace(second=0, microsecond=0)
    asked = choose(client, "extend_payments", extended)
    confirm(client, asked, expires_at=lima_input(deadline))
    extended.refresh_from_db()
    assert extended.expires_at == deadline
    assert control.code(str(extended.cip)).date_expiry == deadline

    confirm(client, choose(client, "cancel_payments", cancelled))
    cancelled.refresh_from_db()
    assert cancelled.status == Status.CANCELLED
    assert client.post(f"{URL}{cancelled.pk}/act/sync/").status_code == 302
    assert ApiExchange.objects.filter(payment=cancelled, operation="cancel").count() == 1


@pytest.mark.parametrize("fault", ["error-500", "html-200", "cut-after", "rejected"])
def test_what_goes_wrong_there_is_a_sentence_here(shop: None, as_role: Any, fault: str) -> None:
    payment = order(1)
    client = as_role("clerk")
    control.arm(control.ApiFault(fault), control.Operation.ANY, times=5)
    answer = client.post(f"{URL}{payment.pk}/act/cancel/")
    assert answer.status_code == 302
    assert "PagoEfectivo" in said(answer)[-1]
    payment.refresh_from_db()
    assert payment.status == Status.PENDING

"""People of the staff, payments in any state, and a PagoEfectivo that answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import responses
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from django_pagoefectivo.models import (
    Attention,
    Outcome,
    Payment,
    SignalDelivery,
    TimelineEntry,
    WebhookEvent,
)
from django_pagoefectivo.services.transitions import WEBHOOK, flag, read_again
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import listening
from django_pagoefectivo.testing.factories import event_fields
from tests.people import browser_of, member_of_staff

BASE = "http://127.0.0.1:9/v1"
EMAIL = "rosa.quispe@correo.example"
PHONE = "987654321"
DOCUMENT = "46718293"
VIEWS = ("view_payment", "view_webhookevent", "view_signaldelivery", "view_apiexchange")
ROLES = {
    "viewer": VIEWS,
    "clerk": (*VIEWS, "reconcile_payment"),
    "boss": (*VIEWS, "reconcile_payment", "confirm_payment"),
    "chief": (*VIEWS, "reconcile_payment", "confirm_payment"),
    "privy": (*VIEWS, "view_personal_data"),
    "outsider": (),
    # Rights to act without the right to look at payments.
    "blind": ("reconcile_payment", "confirm_payment"),
}


def person(role: str) -> User:
    """A member of staff with the rights of ``role``."""
    return member_of_staff(role, ROLES[role])


@pytest.fixture
def as_role(db: None) -> Callable[[str], Client]:
    """A browser in which somebody of a role is logged in."""
    return lambda role: browser_of(person(role))


def make_flagged(
    reason: str, status: str = "pending", note: str = "Look.", **fields: Any
) -> Payment:
    """A payment that waits for a person, flagged by the service that flags."""
    payment = make_payment(status, **fields)
    flag(read_again(payment), Attention(reason), note, WEBHOOK)
    payment.refresh_from_db()
    return payment


def make_event(payment: Payment | None = None, **fields: Any) -> WebhookEvent:
    """A notification as it is kept; by default one that fits no payment."""
    return WebhookEvent.objects.create(**event_fields(payment, **fields))


def make_mismatch(paid: str = "20.00", **fields: Any) -> tuple[Payment, WebhookEvent]:
    """A pending payment for which another amount was notified."""
    payment = make_payment(**fields)
    event = make_event(
        payment,
        cip=payment.cip,
        amount=Decimal(paid),
        outcome=Outcome.MISMATCH,
        flag=Attention.AMOUNT_MISMATCH,
    )
    note = f"PagoEfectivo says {paid} PEN was paid; the payment is over 22.05 PEN."
    flag(read_again(payment), Attention.AMOUNT_MISMATCH, note, WEBHOOK, event)
    payment.refresh_from_db()
    return payment, event


def make_failing(payment: Payment | None = None, **fields: Any) -> SignalDelivery:
    """A delivery whose receiver has raised."""
    values: dict[str, Any] = {
        "payment": payment or make_payment("paid"),
        "signal": "payment_confirmed",
        "receiver": "shop.receivers.on_paid",
        "source": "webhook",
        "extra": {"late": False},
        "attempts": 2,
        "due_at": timezone.now() + timedelta(hours=1),
        "last_error": "ValueError: out of stock",
    }
    return SignalDelivery.objects.create(**(values | fields))


def notes_of(payment: Payment) -> list[tuple[str, str, str]]:
    """Kind, person and words of each entry in a payment's timeline."""
    return list(
        TimelineEntry.objects.filter(payment=payment).values_list("kind", "actor_name", "note")
    )


@dataclass
class Pago:
    """PagoEfectivo at the other end of ``requests``: knows codes and counts calls."""

    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False
    seen: Callable[[], None] | None = None

    def knows(self, payment: Payment, status: int = 22, amount: str | None = None) -> None:
        """Issue ``payment``'s code there. 22 generated, 21 expired, 23 paid."""
        self.codes[str(payment.cip)] = {
            "cip": int(payment.cip or 0),
            "transactionCode": payment.transaction_code,
            "amount": float(amount or payment.amount),
            "currency": payment.currency,
            "status": status,
            "statusName": "",
            "dateExpiry": payment.expires_at.isoformat(),
        }

    def of(self, method: str) -> int:
        """How many calls there were with ``method``, tokens aside."""
        return sum(m == method for m, path in self.calls if path != "/authorizations")

    def answer(self, request: Any) -> tuple[int, dict[str, str], str]:
        """Answer one call."""
        path = request.path_url.removeprefix("/v1")
        self.calls.append((request.method, path))
        if self.seen is not None:
            self.seen()
        if path == "/authorizations":
            expires = (timezone.now() + timedelta(hours=2)).isoformat()
            token = {"token": "a.test.token", "tokenExpires": expires}
            return 201, {}, json.dumps({"code": "100", "message": "", "data": token})
        if self.broken:
            return 502, {}, "<html>Bad gateway</html>"
        if path == "/cips/search":
            asked = [str(item["cip"]) for item in json.loads(request.body)["data"]]
            found = [self.codes[cip] for cip in asked if cip in self.codes]
            return 200, {}, json.dumps({"code": "100", "message": "", "data": found})
        cip = path.rsplit("/", 1)[-1]
        if cip not in self.codes or self.codes[cip]["status"] not in (21, 22):
            error = {"code": "111", "message": "Solicitud con datos inválidos.", "data": []}
            return 400, {}, json.dumps(error)
        if request.method == "DELETE":
            self.codes[cip]["status"] = 25
        return 200, {}, json.dumps({"code": "100", "message": "", "data": {}})


@pytest.fixture
def pago() -> Iterator[Pago]:
    """PagoEfectivo, for every call that is made in the test."""
    cache.clear()
    fake = Pago()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("POST", "PATCH", "DELETE"):
            mock.add_callback(method, re.compile(f"{BASE}/.*"), fake.answer)
        yield fake
    cache.clear()


@pytest.fixture
def told(transactional_db: None) -> Iterator[list[tuple[str, int, str, dict[str, Any]]]]:
    """What a shop that listens to everything was told: signal, payment, source, the rest.

    Shops are told after the commit, so there must be real ones.
    """
    heard: list[tuple[str, int, str, dict[str, Any]]] = []

    def listen(*, signal: Any, payment: Payment, source: str, **kwargs: Any) -> None:
        rest: dict[str, Any] = {name: kwargs[name] for name in ("late", "reason") if name in kwargs}
        heard.append((signal.name, payment.pk, source, rest))

    with listening(listen, "tests.admin.told"):
        yield heard

"""Where the scenarios are played: orders, payments, notifications, and what came of them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import requests
from django.db.models import QuerySet
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from ..conf import Merchant, get_config
from ..models import ApiExchange, DeliveryState, Outcome, Payment, SignalDelivery, WebhookEvent
from ..sandbox import control
from ..sandbox.faults import NotificationFault
from ..sandbox.models import SandboxCall, SandboxCode
from ..sandbox.notifications import SentNotification
from ..services import Customer, create_payment, sync_payment
from ..services.delivery import retry_now
from ..signals import SIGNALS

#: The names of the rehearsal's own receivers begin so.
OWN = "django_pagoefectivo.rehearsal"
AMOUNT = Decimal("12.34")
#: Order references of the rehearsal begin so, unless the shop makes its orders itself.
MARK = "REHEARSAL"
_STEP = 0.1
#: Makes an order of the shop's and returns arguments of ``create_payment``.
OrderMaker = Callable[[], Any]


@dataclass
class Stage:
    """One rehearsal's stage. ``url`` is the server that notifications go to."""

    merchant: Merchant
    url: str
    email: str
    #: Seconds that a delivery worker is waited for.
    patience: float
    make_order: OrderMaker | None = None
    run: str = field(default_factory=lambda: secrets.token_hex(3).upper())
    began: datetime = field(default_factory=timezone.now)
    #: Whether nobody made the calls that were owed.
    worker_is_missing: bool = False
    _references: set[str] = field(default_factory=set)
    _orders: ExitStack = field(default_factory=ExitStack)
    _count: int = 0
    _last_call: int = 0

    def __post_init__(self) -> None:
        newest = SandboxCall.objects.order_by("-pk").first()
        self._last_call = 0 if newest is None else newest.pk

    @property
    def webhook_url(self) -> str:
        """Where notifications of this merchant go."""
        return self.url + reverse("pagoefectivo:merchant-webhook", args=[self.merchant.name])

    @cached_property
    def http(self) -> requests.Session:
        """For what a browser would do. No proxy of the machine's stands between."""
        session = requests.Session()
        session.trust_env = False
        self._orders.callback(session.close)
        return session

    # -- orders and payments -------------------------------------------------------------

    def order(self) -> dict[str, Any]:
        """Arguments of ``create_payment`` for a new order."""
        self._count += 1
        values: dict[str, Any] = {
            "order_reference": f"{MARK}-{self.run}-{self._count}",
            "amount": AMOUNT,
            "currency": self.merchant.currencies[0],
            "description": "Rehearsal",
            "customer": Customer(email=self.email),
            "merchant": self.merchant.name,
        }
        if self.make_order is not None:
            made = self.make_order()
            if hasattr(made, "__enter__"):
                made = self._orders.enter_context(made)
            values |= made
        values["metadata"] = {**values.get("metadata", {}), "rehearsal": self.run}
        self._references.add(values["order_reference"])
        return values

    def create(self, **changes: Any) -> Payment:
        """A payment for a new order, its code asked for over HTTP."""
        payment = create_payment(**{**self.order(), **changes})
        self.settle(payment)
        return payment

    @property
    def payments(self) -> QuerySet[Payment]:
        """What this rehearsal made."""
        return Payment.objects.filter(
            merchant=self.merchant.name,
            order_reference__in=self._references,
            created_at__gte=self.began,
        )

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """PagoEfectivo is down: nobody listens at its address."""
        changed = dict(get_config().raw)
        merchants = dict(changed["MERCHANTS"])
        name = self.merchant.name
        # The discard port, which nothing serves.
        merchants[name] = {**merchants[name], "BASE_URL": "http://127.0.0.1:9/v1"}
        with override_settings(PAGOEFECTIVO={**changed, "MERCHANTS": merchants}):
            yield

    # -- PagoEfectivo's side ---------------------------------------------------------------

    def pay(
        self,
        payment: Payment,
        fault: NotificationFault = NotificationFault.NONE,
        **options: Any,
    ) -> list[SentNotification]:
        """Pay the code and notify; ``payment`` is brought up to date."""
        sent = control.pay(name_of(payment), fault=fault, callback_url=self.webhook_url, **options)
        self.settle(payment)
        return sent

    def let_expire(self, payment: Payment) -> None:
        """End the code's term and ask."""
        control.expire(name_of(payment))
        sync_payment(payment)
        self.settle(payment)

    def codes(self, payment: Payment) -> int:
        """How many codes PagoEfectivo has for the payment."""
        return SandboxCode.objects.filter(transaction_code=payment.transaction_code).count()

    # -- what the shop was told ------------------------------------------------------------

    def settle(self, payment: Payment) -> None:
        """Wait until the shop has been told, as the installation is set up to tell it."""
        if get_config().signal_delivery != "inline" and not self.worker_is_missing:
            self._wait_for_worker(payment)
        if self.worker_is_missing:
            # So that the other scenarios are still about something.
            for row in self._owed(payment).filter(attempts=0).order_by("pk"):
                retry_now(row)
        payment.refresh_from_db()

    def _wait_for_worker(self, payment: Payment) -> None:
        ends = time.monotonic() + self.patience
        while self._owed(payment).filter(attempts=0).exists():
            if time.monotonic() > ends:
                self.worker_is_missing = True
                return
            time.sleep(_STEP)

    def _owed(self, payment: Payment) -> QuerySet[SignalDelivery]:
        return SignalDelivery.objects.filter(payment=payment, state=DeliveryState.PENDING)

    def told(self, payment: Payment, signal: str, *, times: int = 1) -> tuple[bool, str]:
        """Whether each receiver of the shop's was told so often, and what was seen."""
        rows = SignalDelivery.objects.filter(payment=payment, signal=signal)
        names = [n for n in SIGNALS[signal].receiver_names(Payment) if not n.startswith(OWN)]
        if not times:
            count = rows.exclude(receiver__startswith=OWN).count()
            return not count, f"{signal} was sent {count} times"
        if not names:
            # An order that nobody marks as paid is a fault; the other signals are optional.
            return signal != "payment_confirmed", f"no receiver listens to {signal}"
        right, seen = True, []
        for name in names:
            calls = list(rows.filter(receiver=name))
            done = [row for row in calls if row.state == DeliveryState.DONE]
            right &= len(calls) == len(done) == times
            error = next((row.last_error for row in calls if row.last_error), "")
            seen.append(f"{name} was told {len(done)} times" + (f" ({error})" if error else ""))
        return right, "; ".join(seen)

    # -- the end ---------------------------------------------------------------------------

    def remove(self) -> None:
        """Take away every row of this rehearsal; receivers' own doings stay."""
        payments = list(self.payments)
        ids = [payment.pk for payment in payments]
        marks = [m.encode() for p in payments for m in (p.cip, p.transaction_code) if m]
        refused = WebhookEvent.objects.filter(
            merchant=self.merchant.name, outcome=Outcome.REJECTED, received_at__gte=self.began
        )
        about = [e.pk for e in refused if any(mark in bytes(e.body) for mark in marks)]
        WebhookEvent.objects.filter(pk__in=about).delete()
        WebhookEvent.objects.filter(payment__in=ids).delete()
        ApiExchange.objects.filter(payment__in=ids).delete()
        codes = [payment.transaction_code for payment in payments]
        SandboxCode.objects.filter(transaction_code__in=codes).delete()
        SandboxCall.objects.filter(pk__gt=self._last_call).delete()
        Payment.objects.filter(pk__in=ids).delete()

    def close(self) -> None:
        """Let go of orders and connections, and forget the faults that were not used up."""
        control.disarm()
        self._orders.close()


def name_of(payment: Payment) -> str:
    """What PagoEfectivo knows the code by: its CIP, or the Payment API's ``paymentId``."""
    return payment.cip or payment.remote_id

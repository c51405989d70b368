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
from django.db.models import Q, QuerySet
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from ..conf import Merchant, get_config
from ..models import DeliveryState, Payment, SignalDelivery
from ..sandbox import control, notifications
from ..sandbox.faults import ApiFault, NotificationFault, Operation
from ..sandbox.models import SandboxCode, SandboxFault
from ..sandbox.notifications import SentNotification
from ..services import Customer, create_payment, sync_payment
from ..services.delivery import retry_now
from ..services.time_limit import TookTooLong
from ..signals import SIGNALS
from .preflight import Obstacle

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
    """One rehearsal's stage. ``url`` is the server that notifications go to.

    ``run`` is the name of this rehearsal, which marks its rows.
    """

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
    #: Which receiver did not come back, in words; ``""``: each did.
    hanging: str = ""
    _references: set[str] = field(default_factory=set)
    _orders: ExitStack = field(default_factory=ExitStack)
    _faults: list[int] = field(default_factory=list)
    _count: int = 0

    @property
    def mark(self) -> str:
        """What the addresses of this rehearsal's calls contain."""
        return f"rehearsal-{self.run}"

    @property
    def webhook_url(self) -> str:
        """Where notifications of this merchant go."""
        return self.url + reverse("pagoefectivo:merchant-webhook", args=[self.merchant.name])

    @cached_property
    def http(self) -> requests.Session:
        """For what a browser would do. No proxy of the machine's stands between."""
        session = requests.Session()
        session.trust_env = False
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

    def arm(self, fault: ApiFault, operation: Operation) -> None:
        """Let the next call of ``operation`` go wrong."""
        self._faults.append(control.arm(fault, operation).pk)

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
        is_inline = get_config().signal_delivery == "inline"
        if not is_inline and not self.worker_is_missing:
            self._wait_for_worker(payment)
        if self.worker_is_missing:
            # So that the other scenarios are still about something.
            for row in self._owed(payment).filter(attempts=0).order_by("pk"):
                retry_now(row)
        self._look_for_hanging(payment, notifications.TIMEOUT[1] if is_inline else self.patience)
        payment.refresh_from_db()

    def _wait_for_worker(self, payment: Payment) -> None:
        ends = time.monotonic() + self.patience
        owed = self._owed(payment)
        while owed.filter(Q(attempts=0) | ~Q(claimed_by="")).exists():
            if time.monotonic() > ends:
                # Somebody who is busy with a call is there.
                self.worker_is_missing = not owed.exclude(claimed_by="").exists()
                return
            time.sleep(_STEP)

    def _look_for_hanging(self, payment: Payment, seconds: float) -> None:
        for row in self._owed(payment).exclude(attempts=0).order_by("pk"):
            if row.last_error.startswith(TookTooLong.__name__):
                how = row.last_error.removeprefix(f"{TookTooLong.__name__}: It ")
            elif row.claimed_by:
                how = f"did not come back within {seconds:g} seconds."
            else:
                continue
            self.hanging = f"{row.receiver}, a receiver of {row.signal}, {how}"
            return

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

    def disarm(self) -> None:
        """Forget this rehearsal's faults that were not used up."""
        SandboxFault.objects.filter(pk__in=self._faults).delete()

    def close(self) -> None:
        """Let go of connections and orders; what clearing up an order raises is passed on."""
        self.http.close()
        self._orders.close()


def name_of(payment: Payment) -> str:
    """What PagoEfectivo knows the code by: its CIP, or the Payment API's ``paymentId``."""
    return payment.cip or payment.remote_id


def refuse_armed_faults() -> None:
    """Raise ``Obstacle`` where faults wait in the sandbox that somebody else has armed."""
    faults = [f"{row.fault} for {row.operation}" for row in control.armed()]
    if faults:
        raise Obstacle(
            "the faults that are armed in the sandbox are looked at",
            f"Faults wait in it that the rehearsal's calls would use up: {', '.join(faults)}.",
            "Somebody may be testing with them. Clear them on the sandbox's page, or wait until "
            "they are used up, and rehearse again.",
        )

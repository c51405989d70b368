"""The built-in sandbox as a test's PagoEfectivo: pay codes, let them expire, break its answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections, router
from django.db.models import QuerySet
from django.test import override_settings
from django.urls import reverse

from ..models import Payment
from ..sandbox import control
from ..sandbox.faults import ApiFault, NotificationFault, Operation
from ..sandbox.models import SandboxCall, SandboxCode, SandboxFault
from ..sandbox.notifications import SentNotification
from ..services import sync_payment
from .hosting import setting_towards, urls_with_sandbox


class Sandbox:
    """PagoEfectivo, served at ``url`` together with the shop.

    Its faults are named by ``ApiFault`` and ``NotificationFault``, or by their values as text.
    """

    def __init__(self, url: str) -> None:
        #: Scheme and host of the server.
        self.url = url

    def pay(
        self, payment: Payment, fault: NotificationFault | str = "none", **options: Any
    ) -> list[SentNotification]:
        """Pay the code at an agent and notify the shop over HTTP, the way ``fault`` says.

        ``options`` are those of ``sandbox.control.pay``: ``amount``, ``currency``,
        ``operation_number``, ``paid_at``, ``notify``. ``payment`` is brought up to date.
        """
        _refuse_shared_connection(fault)
        sent = control.pay(_name(payment), fault=NotificationFault(fault), **options)
        payment.refresh_from_db()
        return sent

    def expire(self, payment: Payment, *, notify: bool = False) -> list[SentNotification]:
        """End the code's term; the shop learns it by asking, or with ``notify`` by being told."""
        sent = control.expire(_name(payment), notify=notify)
        if not notify:
            sync_payment(payment)
        payment.refresh_from_db()
        return sent

    def refund(self, payment: Payment) -> list[SentNotification]:
        """Give the money of a paid code back and notify the shop."""
        sent = control.refund(_name(payment))
        payment.refresh_from_db()
        return sent

    def code(self, payment: Payment) -> SandboxCode:
        """The code as PagoEfectivo knows it. Raises ``SandboxCode.DoesNotExist``."""
        return control.code(_name(payment))

    def arm(
        self,
        fault: ApiFault | str,
        operation: Operation | str = Operation.CREATE,
        times: int = 1,
        seconds: float | None = None,
    ) -> SandboxFault:
        """Let the next ``times`` calls of ``operation`` go wrong."""
        return control.arm(ApiFault(fault), operation, times, seconds)

    def calls(self, operation: Operation | str | None = None) -> QuerySet[SandboxCall]:
        """The calls that the shop made, newest first."""
        return control.calls(operation)


@contextmanager
def sandbox_at(url: str) -> Iterator[Sandbox]:
    """Send the shop's calls to the sandbox on the server at ``url`` for the time of the block.

    The server serves this process's root URLconf, as a live server does. What was armed and
    not used up is forgotten at the end.
    """
    with override_settings(ROOT_URLCONF=urls_with_sandbox()):
        panel = url + reverse("pagoefectivo_sandbox:panel")
        changed = setting_towards(panel, SITE_URL=url)
        own = {**(getattr(settings, "PAGOEFECTIVO_SANDBOX", None) or {}), "CALLBACK_URL": None}
        with override_settings(PAGOEFECTIVO=changed, PAGOEFECTIVO_SANDBOX=own):
            try:
                yield Sandbox(url)
            finally:
                control.disarm()


def _name(payment: Payment) -> str:
    """What the sandbox knows the payment by: its CIP, or the Payment API's ``paymentId``."""
    name = payment.cip or payment.remote_id
    if not name:
        raise ValueError(
            f"{payment!r} has no CIP, so nobody can pay it. Make it with create_payment() while "
            "the sandbox is there; what a factory makes PagoEfectivo does not know."
        )
    return name


def _refuse_shared_connection(fault: NotificationFault | str) -> None:
    """Two requests at one instant need two connections, which a database in memory has not."""
    connection = connections[router.db_for_write(Payment)]
    in_memory = connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined]
    if in_memory and NotificationFault(fault) is NotificationFault.TWICE_AT_ONCE:
        raise ValueError(
            "Two notifications at the same instant need a database that two threads can use. "
            'Give the test database a file: DATABASES["default"]["TEST"] = {"NAME": '
            '"/tmp/test.sqlite3"}.'
        )

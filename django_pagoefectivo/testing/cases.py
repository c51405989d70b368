"""The kit for ``unittest``: a mixin for Django's test cases."""

from __future__ import annotations

import unittest
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from django.test import LiveServerTestCase

from .captured import CapturedSignals, assert_told, captured_signals, deliver
from .hosting import require_sandbox
from .notifying import let_expire, notify
from .payments import make_payment
from .signing import SignedNotification, notification, sign

if TYPE_CHECKING:
    from ..models import Payment
    from ..services import DeliveryReport
    from .sandbox import Sandbox

    _Base = unittest.TestCase
else:
    _Base = object


class PagoEfectivoTestMixin(_Base):
    """Put it before ``TestCase``, or before ``LiveServerTestCase`` for a sandbox to pay at.

    ``self.payment_signals`` has every payment signal of the test; ``self.sandbox`` is
    PagoEfectivo, on the live server.
    """

    payment_signals: CapturedSignals
    _for_this_test: ExitStack
    _sandbox: Sandbox | None

    def setUp(self) -> None:
        """Begin to capture signals."""
        super().setUp()
        self._sandbox = None
        self._for_this_test = ExitStack()
        self.addCleanup(self._for_this_test.close)
        self.payment_signals = self._for_this_test.enter_context(captured_signals())

    @property
    def sandbox(self) -> Sandbox:
        """PagoEfectivo on the live server; the shop's calls go there from the first use on."""
        if self._sandbox is None:
            if not isinstance(self, LiveServerTestCase):
                raise TypeError(
                    f"{type(self).__name__} has no server for the sandbox: derive it from "
                    "LiveServerTestCase. Without one, use make_payment() and notify()."
                )
            require_sandbox()
            # Its models exist only where the sandbox is installed.
            from .sandbox import sandbox_at  # noqa: PLC0415

            self._sandbox = self._for_this_test.enter_context(sandbox_at(self.live_server_url))
        return self._sandbox

    def make_payment(self, status: str = "pending", **fields: Any) -> Payment:
        """Store a payment in ``status`` without asking PagoEfectivo; see ``make_payment``."""
        return make_payment(status, **fields)

    def notify(self, payment: Payment, **faults: Any) -> Any:
        """Post a notification to the shop's webhook and return the answer; see ``notify``."""
        return notify(payment, **faults)

    def pay(self, payment: Payment, fault: str = "none", **options: Any) -> Any:
        """Pay the code at the sandbox; see ``Sandbox.pay``."""
        return self.sandbox.pay(payment, fault, **options)

    def expire(self, payment: Payment) -> None:
        """Let the payment's term end unpaid: at the sandbox if it is in use, else here."""
        if self._sandbox is None:
            let_expire(payment)
        else:
            self._sandbox.expire(payment)

    def notification(self, payment: Payment, **what: Any) -> SignedNotification:
        """A signed notification, not sent; see ``notification``."""
        return notification(payment, **what)

    def sign(self, body: bytes | str, merchant: str = "default") -> str:
        """The signature of a body; see ``sign``."""
        return sign(body, merchant)

    def deliver(self) -> DeliveryReport:
        """Call the receivers that are still owed a call; see ``deliver``."""
        return deliver()

    def assertTold(self, payment: Payment) -> None:  # noqa: N802 - unittest's spelling
        """Fail if a receiver has not been told about ``payment``, or raised."""
        assert_told(payment)

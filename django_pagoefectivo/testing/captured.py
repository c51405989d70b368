"""What a shop that listens to everything would have been told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.dispatch import Signal

from ..models import DeliveryState, Payment, SignalDelivery, WebhookEvent
from ..services.delivery import DeliveryReport, deliver_due
from ..signals import SIGNALS, PaymentSignal

#: The signals meant for shops; the others are the app's own business.
PUBLIC_SIGNALS = tuple(n for n in SIGNALS if n not in ("other_codes_open", "confirmation_due"))
NAME = "django_pagoefectivo.testing.captured"


@dataclass(frozen=True, slots=True)
class SignalCall:
    """One call of a receiver: the signal's name and the arguments it came with.

    ``payment`` is as the receiver got it; ``extra`` has what a signal adds (``late``,
    ``reason``).
    """

    signal: str
    payment: Payment
    source: str
    event: WebhookEvent | None
    extra: dict[str, Any] = field(default_factory=dict)


class CapturedSignals:
    """Every payment signal that was sent, in the order in which receivers were called.

    It is a receiver like any other: called after the commit, and owed its call until then.
    """

    def __init__(self) -> None:
        self._calls: list[SignalCall] = []
        self._lock = threading.Lock()

    def __call__(
        self, *, signal: PaymentSignal, payment: Payment, source: str, event: Any, **kwargs: Any
    ) -> None:
        """Be the receiver."""
        kwargs.pop("sender", None)
        with self._lock:
            self._calls.append(SignalCall(signal.name, payment, source, event, kwargs))

    @property
    def calls(self) -> list[SignalCall]:
        """All of them, oldest first."""
        with self._lock:
            return list(self._calls)

    @property
    def names(self) -> list[str]:
        """The names of the signals, oldest first."""
        return [call.signal for call in self.calls]

    def of(self, signal: Signal | str, payment: Payment | None = None) -> list[SignalCall]:
        """The calls of one signal, of one payment if it is given."""
        name = signal.name if isinstance(signal, PaymentSignal) else signal
        if name not in PUBLIC_SIGNALS:
            raise ValueError(f"There is no signal {name!r}; known: {', '.join(PUBLIC_SIGNALS)}.")
        return [
            call
            for call in self.calls
            if call.signal == name and (payment is None or call.payment.pk == payment.pk)
        ]

    def once(self, signal: Signal | str, payment: Payment | None = None) -> SignalCall:
        """The one call of ``signal``. Raises ``AssertionError`` if there was none, or more."""
        found = self.of(signal, payment)
        if len(found) != 1:
            name = signal.name if isinstance(signal, PaymentSignal) else signal
            raise AssertionError(
                f"{name} was sent {len(found)} times, not once. Sent were: "
                f"{', '.join(self.names) or 'none'}."
            )
        return found[0]

    def clear(self) -> None:
        """Forget what was sent so far."""
        with self._lock:
            self._calls.clear()

    def deliver(self) -> DeliveryReport:
        """Make the calls that are still owed; see ``deliver``."""
        return deliver()


@contextmanager
def listening(
    receiver: Callable[..., Any], name: str, signals: Sequence[str] = PUBLIC_SIGNALS
) -> Iterator[None]:
    """Connect ``receiver`` to ``signals`` under ``name`` for the time of the block."""
    for signal in signals:
        SIGNALS[signal].connect(receiver, weak=False, dispatch_uid=name)
    try:
        yield
    finally:
        for signal in signals:
            SIGNALS[signal].disconnect(dispatch_uid=name)


@contextmanager
def captured_signals() -> Iterator[CapturedSignals]:
    """Capture the payment signals of the block."""
    captured = CapturedSignals()
    with listening(captured, NAME):
        yield captured


def deliver() -> DeliveryReport:
    """Call every receiver that is still owed a call, also those that raised and wait.

    What ``pagoefectivo_deliver --now`` does; needed where ``SIGNAL_DELIVERY`` is not
    ``"inline"``, or to see a receiver succeed after it failed. Returns the counts.
    """
    return deliver_due(ignore_backoff=True)


def assert_told(payment: Payment) -> None:
    """Raise ``AssertionError`` naming each receiver that was not told, and what it raised.

    A receiver that raises does not fail the request that called it: it is tried again later.
    So a test has to ask.
    """
    owed = SignalDelivery.objects.filter(payment=payment, state=DeliveryState.PENDING)
    faults = [
        f"{row.receiver} of {row.signal}: {row.last_error or 'not called yet'}"
        for row in owed.order_by("pk")
    ]
    if faults:
        raise AssertionError("Receivers are still owed a call. " + "; ".join(faults))

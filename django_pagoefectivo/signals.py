"""The signals a shop listens to, delivered durably.

Connect in ``AppConfig.ready()``, so that every process that may cause or deliver a signal
knows the receiver. Receivers get ``sender=Payment``, ``payment``, ``source`` (a value of
``Payment.Source``) and ``event`` (a ``WebhookEvent`` or ``None``); ``payment_confirmed``
adds ``late`` (bool), ``payment_flagged`` adds ``reason`` (a value of ``Payment.Attention``).
Accept ``**kwargs`` too.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.dispatch import Signal

Receiver = Callable[..., Any]
LONGEST_NAME = 255


def receiver_name(receiver: Receiver, dispatch_uid: object = None) -> str:
    """What a receiver is known by in the queue: a text ``dispatch_uid``, else its dotted path."""
    if isinstance(dispatch_uid, str) and dispatch_uid:
        return dispatch_uid
    named = receiver if hasattr(receiver, "__qualname__") else type(receiver)
    return f"{named.__module__}.{named.__qualname__}"


@dataclass(frozen=True, slots=True)
class _Connection:
    name: str
    dispatch_uid: object
    sender: object
    reference: Callable[[], Receiver | None]


class PaymentSignal(Signal):
    """A Django signal whose receivers have names, so that each can be owed a call.

    ``connect``, ``disconnect`` and ``@receiver`` work as on any signal. Two living
    receivers of one signal cannot share a name: ``connect`` raises ``ValueError`` then.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._connections: list[_Connection] = []

    def connect(
        self,
        receiver: Receiver,
        sender: object = None,
        weak: bool = True,
        dispatch_uid: Any = None,
    ) -> None:
        """Connect ``receiver``; see Django's ``Signal.connect``.

        Raises ``ValueError`` if another receiver has the same name or the name is too long.
        """
        name = receiver_name(receiver, dispatch_uid)
        if len(name) > LONGEST_NAME:
            raise ValueError(
                f"The receiver's name {name!r} is longer than {LONGEST_NAME} characters; give "
                "it a shorter dispatch_uid."
            )
        self._connections = [c for c in self._connections if c.reference() is not None]
        named = [c for c in self._connections if c.name == name]
        for other in named:
            same_uid = bool(dispatch_uid) and other.dispatch_uid == dispatch_uid
            if other.reference() != receiver and not same_uid:
                raise ValueError(
                    f"Two receivers of {self.name} would be known as {name!r}; give one of them "
                    "a dispatch_uid of its own."
                )
        super().connect(receiver, sender, weak, dispatch_uid)
        if not any(c.sender is sender for c in named):
            reference: Callable[[], Receiver | None]
            if not weak:
                reference = _strong(receiver)
            elif inspect.ismethod(receiver):
                reference = weakref.WeakMethod(receiver)
            else:
                reference = weakref.ref(receiver)
            self._connections.append(_Connection(name, dispatch_uid, sender, reference))

    def disconnect(
        self,
        receiver: Receiver | None = None,
        sender: object = None,
        dispatch_uid: Any = None,
    ) -> bool:
        """Disconnect; see Django's ``Signal.disconnect``."""

        def is_meant(connection: _Connection) -> bool:
            if connection.sender is not sender:
                return False
            if dispatch_uid:
                return bool(connection.dispatch_uid == dispatch_uid)
            return receiver is not None and connection.reference() == receiver

        self._connections = [c for c in self._connections if not is_meant(c)]
        return super().disconnect(receiver, sender, dispatch_uid)

    def receiver_names(self, sender: object) -> list[str]:
        """The names of the living receivers that listen to ``sender``, as connected."""
        return list(dict.fromkeys(connection.name for connection, _ in self._living(sender)))

    def _living(self, sender: object) -> Iterator[tuple[_Connection, Receiver]]:
        for connection in self._connections:
            receiver = connection.reference()
            if receiver is not None and (connection.sender is None or connection.sender is sender):
                yield connection, receiver

    def call(self, name: str, sender: object, **kwargs: Any) -> None:
        """Call the one receiver known as ``name``; what it raises is passed on.

        Raises ``LookupError`` if it is not connected in this process.
        """
        receiver = next((r for c, r in self._living(sender) if c.name == name), None)
        if receiver is None:
            raise LookupError(
                f"No receiver of {self.name} is known as {name!r} in this process. Connect it "
                "in AppConfig.ready(); if it was renamed, give it the old name as dispatch_uid."
            )
        # An object may have an async __call__.
        if any(map(inspect.iscoroutinefunction, (receiver, type(receiver).__call__))):
            async_to_sync(receiver)(signal=self, sender=sender, **kwargs)
        else:
            receiver(signal=self, sender=sender, **kwargs)


def _strong(receiver: Receiver) -> Callable[[], Receiver | None]:
    return lambda: receiver


#: The payment row exists; the create call is about to be made.
payment_created = PaymentSignal("payment_created")
#: The CIP is issued (or an expired one was extended); the shopper can pay.
payment_pending = PaymentSignal("payment_pending")
#: The order is paid. Sent once for each order.
payment_confirmed = PaymentSignal("payment_confirmed")
#: The term ended unpaid.
payment_expired = PaymentSignal("payment_expired")
#: The code was deleted.
payment_cancelled = PaymentSignal("payment_cancelled")
#: PagoEfectivo gave the money back.
payment_refunded = PaymentSignal("payment_refunded")
#: PagoEfectivo refused the request, or it never got there.
payment_failed = PaymentSignal("payment_failed")
#: Something a person has to look at; ``reason`` says what.
payment_flagged = PaymentSignal("payment_flagged")
#: For the app itself: a paid order still has other codes that could be paid.
other_codes_open = PaymentSignal("other_codes_open")
#: For the app itself: a notification says paid, and a status query shall confirm it.
confirmation_due = PaymentSignal("confirmation_due")

SIGNALS: dict[str, PaymentSignal] = {
    signal.name: signal
    for signal in (
        payment_created,
        payment_pending,
        payment_confirmed,
        payment_expired,
        payment_cancelled,
        payment_refunded,
        payment_failed,
        payment_flagged,
        other_codes_open,
        confirmation_due,
    )
}

"""For the tests of shops: payments in any state, signed notifications, a PagoEfectivo to pay at.

With pytest everything is there as fixtures (``pagoefectivo_sandbox``, ``pay``, ``expire``,
``notify``, ``payment_signals``); with unittest it is in ``PagoEfectivoTestMixin``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .captured import PUBLIC_SIGNALS, CapturedSignals, SignalCall, assert_told, deliver
    from .cases import PagoEfectivoTestMixin
    from .notifying import notify
    from .payments import make_payment, payment_fields
    from .sandbox import Sandbox, sandbox_at
    from .signing import SignedNotification, notification, sign

__all__ = [
    "PUBLIC_SIGNALS",
    "CapturedSignals",
    "PagoEfectivoTestMixin",
    "Sandbox",
    "SignalCall",
    "SignedNotification",
    "assert_told",
    "deliver",
    "make_payment",
    "notification",
    "notify",
    "payment_fields",
    "sandbox_at",
    "sign",
]

_HOME = {
    **dict.fromkeys(
        ("PUBLIC_SIGNALS", "CapturedSignals", "SignalCall", "assert_told", "deliver"), "captured"
    ),
    "PagoEfectivoTestMixin": "cases",
    "notify": "notifying",
    **dict.fromkeys(("make_payment", "payment_fields"), "payments"),
    **dict.fromkeys(("Sandbox", "sandbox_at"), "sandbox"),
    **dict.fromkeys(("SignedNotification", "notification", "sign"), "signing"),
}


def __getattr__(name: str) -> Any:
    # pytest imports this package for its plugin before any settings are read, and models can
    # be imported only afterwards.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)

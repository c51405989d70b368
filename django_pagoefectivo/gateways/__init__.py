"""PagoEfectivo over HTTP: a ``Gateway`` for each contract."""

from .base import (
    Charge,
    CodeRef,
    Customer,
    Exchange,
    Gateway,
    IssuedCode,
    Notification,
    RemoteState,
    RemoteStatus,
)
from .cip import CipGateway
from .payment import PaymentGateway
from .registry import gateway_class, gateway_for

__all__ = [
    "Charge",
    "CipGateway",
    "CodeRef",
    "Customer",
    "Exchange",
    "Gateway",
    "IssuedCode",
    "Notification",
    "PaymentGateway",
    "RemoteState",
    "RemoteStatus",
    "gateway_class",
    "gateway_for",
]

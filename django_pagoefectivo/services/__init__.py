"""What a shop calls. Everything here is public."""

from ..gateways import Customer
from .asking import SyncReport, sync_payments
from .delivery import DeliveryReport, deliver_due
from .payments import cancel_payment, create_payment, extend_payment
from .polling import PollReport, poll
from .sync import sync_payment
from .transitions import Actor

__all__ = [
    "Actor",
    "Customer",
    "DeliveryReport",
    "PollReport",
    "SyncReport",
    "cancel_payment",
    "create_payment",
    "deliver_due",
    "extend_payment",
    "poll",
    "sync_payment",
    "sync_payments",
]

"""The staff's screens in the Django admin, one module each."""

from .deliveries import SignalDeliveryAdmin
from .events import WebhookEventAdmin
from .exchanges import ApiExchangeAdmin
from .payments import PaymentAdmin
from .statements import StatementAdmin

__all__ = [
    "ApiExchangeAdmin",
    "PaymentAdmin",
    "SignalDeliveryAdmin",
    "StatementAdmin",
    "WebhookEventAdmin",
]

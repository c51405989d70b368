"""The staff's screens in the Django admin, one module each."""

from .deliveries import SignalDeliveryAdmin
from .events import WebhookEventAdmin
from .exchanges import ApiExchangeAdmin
from .jobs import BulkJobAdmin
from .payments import PaymentAdmin
from .statements import StatementAdmin

__all__ = [
    "ApiExchangeAdmin",
    "BulkJobAdmin",
    "PaymentAdmin",
    "SignalDeliveryAdmin",
    "StatementAdmin",
    "WebhookEventAdmin",
]

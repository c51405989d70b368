"""The models of django-pagoefectivo."""

from .choices import Attention, DeliveryState, EntryKind, LineState, Outcome, Source, Status
from .delivery import SignalDelivery
from .event import WebhookEvent
from .exchange import ApiExchange
from .payment import Payment, PaymentQuerySet
from .statement import Statement, StatementLine, StatementMapping
from .timeline import TimelineEntry

__all__ = [
    "ApiExchange",
    "Attention",
    "DeliveryState",
    "EntryKind",
    "LineState",
    "Outcome",
    "Payment",
    "PaymentQuerySet",
    "SignalDelivery",
    "Source",
    "Statement",
    "StatementLine",
    "StatementMapping",
    "Status",
    "TimelineEntry",
    "WebhookEvent",
]

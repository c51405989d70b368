"""The models of django-pagoefectivo."""

from .choices import (
    Attention,
    BulkAct,
    DeliveryState,
    EntryKind,
    JobState,
    LineState,
    Outcome,
    Source,
    Status,
)
from .delivery import SignalDelivery
from .event import WebhookEvent
from .exchange import ApiExchange
from .idempotency import IdempotencyKey
from .job import BulkJob, BulkJobPart
from .payment import Payment, PaymentQuerySet
from .statement import Statement, StatementLine, StatementMapping
from .timeline import TimelineEntry

__all__ = [
    "ApiExchange",
    "Attention",
    "BulkAct",
    "BulkJob",
    "BulkJobPart",
    "DeliveryState",
    "EntryKind",
    "IdempotencyKey",
    "JobState",
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

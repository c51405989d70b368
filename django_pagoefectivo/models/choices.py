"""The words a payment, an event and a delivery use for their state."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """Where a payment is in its life."""

    CREATED = "created", _("being prepared")
    PENDING = "pending", _("waiting for payment")
    PAID = "paid", _("paid")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")
    REFUNDED = "refunded", _("refunded")
    FAILED = "failed", _("failed")


class Attention(models.TextChoices):
    """Why a payment waits for a person."""

    AMOUNT_MISMATCH = "amount_mismatch", _("another amount was paid")
    CURRENCY_MISMATCH = "currency_mismatch", _("another currency was paid")
    LATE_PAYMENT = "late_payment", _("paid late")
    DUPLICATE_PAYMENT = "duplicate_payment", _("paid twice")
    OUTCOME_UNKNOWN = "outcome_unknown", _("outcome of the create call unknown")
    STATUS_CONFLICT = "status_conflict", _("the shop and PagoEfectivo disagree")


class Outcome(models.TextChoices):
    """What a notification did."""

    APPLIED = "applied", _("applied")
    DUPLICATE = "duplicate", _("duplicate")
    IGNORED = "ignored", _("ignored")
    UNMATCHED = "unmatched", _("unmatched")
    MISMATCH = "mismatch", _("mismatch")
    REJECTED = "rejected", _("rejected")
    PENDING = "pending", _("waiting for the status query")


class Source(models.TextChoices):
    """Who brought a fact about a payment."""

    WEBHOOK = "webhook", _("notification")
    STATUS_QUERY = "status_query", _("status query")
    STAFF = "staff", _("staff")
    STATEMENT = "statement", _("statement")
    API = "api", _("shop")


class EntryKind(models.TextChoices):
    """What an entry of the timeline tells."""

    TRANSITION = "transition", _("status change")
    FLAG = "flag", _("needs attention")
    SETTLED = "settled", _("dealt with")
    CHANGE = "change", _("change")
    NOTE = "note", _("note")


class DeliveryState(models.TextChoices):
    """Whether a receiver has been told."""

    PENDING = "pending", _("pending")
    DONE = "done", _("done")


class LineState(models.TextChoices):
    """How a line of a statement compares with the shop's payments."""

    MATCHED = "matched", _("matched")
    AMOUNT_DIFFERS = "amount_differs", _("amount differs")
    NOT_PAID_HERE = "not_paid_here", _("paid there but not here")
    UNKNOWN = "unknown", _("unknown code")
    PAID_TWICE = "paid_twice", _("paid twice")
    SEEN_BEFORE = "seen_before", _("seen before")
    REFUNDED = "refunded", _("refunded")
    UNREADABLE = "unreadable", _("unreadable")


class BulkAct(models.TextChoices):
    """What is done in the background: to many payments, or with a large file."""

    SYNC = "sync", _("ask PagoEfectivo")
    EXTEND = "extend", _("move the deadline")
    CANCEL = "cancel", _("cancel")
    RECONCILE = "reconcile", _("mark as reconciled")
    IMPORT = "import", _("import a statement")


class JobState(models.TextChoices):
    """How far a bulk job is."""

    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    STOPPED = "stopped", _("stopped")
    BROKEN = "broken", _("broken off")

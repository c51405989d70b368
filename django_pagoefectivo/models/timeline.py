"""What happened to a payment beyond what notifications, calls and deliveries tell."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .choices import Attention, EntryKind, Source, Status
from .event import WebhookEvent
from .payment import Payment


class TimelineEntry(models.Model):
    """A status change, a flag, its settlement, a change or a note.

    A status change that a notification made at once is told by its ``WebhookEvent`` alone;
    every other one has an entry here.
    """

    Kind = EntryKind

    payment = models.ForeignKey(
        Payment, models.CASCADE, related_name="timeline", verbose_name=_("payment")
    )
    event = models.ForeignKey(
        WebhookEvent,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("notification"),
    )
    kind = models.CharField(_("kind"), max_length=10, choices=EntryKind.choices)
    source = models.CharField(_("source"), max_length=20, choices=Source.choices)
    from_status = models.CharField(_("from"), max_length=10, choices=Status.choices, blank=True)
    to_status = models.CharField(_("to"), max_length=10, choices=Status.choices, blank=True)
    reason = models.CharField(_("reason"), max_length=20, choices=Attention.choices, blank=True)
    note = models.TextField(_("note"), blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
    )
    #: Kept beside ``actor``, so that the name outlives the account.
    actor_name = models.CharField(_("name"), max_length=255, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("timeline entry")
        verbose_name_plural = _("timeline entries")
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.kind} {self.from_status} {self.to_status} {self.reason}".strip()

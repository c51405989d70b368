"""The durable signal queue: one duty to tell one receiver one thing."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .choices import DeliveryState, Source
from .event import WebhookEvent
from .payment import Payment


class SignalDelivery(models.Model):
    """The duty to call ``receiver`` for ``signal``, committed with what caused it.

    While ``state`` is pending it is due at ``due_at``. Who works on it writes itself into
    ``claimed_by`` and moves ``due_at`` to the end of its lease.
    """

    State = DeliveryState

    payment = models.ForeignKey(
        Payment, models.CASCADE, related_name="deliveries", verbose_name=_("payment")
    )
    event = models.ForeignKey(
        WebhookEvent,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="deliveries",
        verbose_name=_("notification"),
    )
    signal = models.CharField(_("signal"), max_length=40)
    receiver = models.CharField(_("receiver"), max_length=255)
    source = models.CharField(_("source"), max_length=20, choices=Source.choices)
    extra = models.JSONField(_("further arguments"), default=dict, blank=True)

    state = models.CharField(
        _("state"),
        max_length=10,
        choices=DeliveryState.choices,
        default=DeliveryState.PENDING,
    )
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due at"), default=timezone.now)
    claimed_by = models.CharField(_("claimed by"), max_length=128, blank=True)
    last_error = models.TextField(_("last error"), blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ("-id",)
        indexes = (models.Index(fields=("state", "due_at"), name="pagoefectivo_due_delivery"),)

    def __str__(self) -> str:
        return f"{self.signal} → {self.receiver}"

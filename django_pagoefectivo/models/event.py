"""A notification as it came, what was read in it and what it did."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .choices import Attention, Outcome, Status
from .payment import Payment


class WebhookEvent(models.Model):
    """One distinct notification of a merchant.

    ``body`` is what came, byte by byte. ``digest`` is NULL for a refused notification, so
    that a forged copy can never stand in the way of the genuine one. ``from_status``,
    ``to_status`` and ``flag`` tell what it did to ``payment``.
    """

    Outcome = Outcome

    merchant = models.CharField(_("merchant"), max_length=50)
    digest = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001
    body = models.BinaryField(_("body"))
    signature = models.CharField(_("signature"), max_length=128, blank=True)
    #: ``key_label`` of the secret key that signed the newest receipt; never the key.
    signed_with = models.CharField(_("signed with key"), max_length=8, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True)
    times_received = models.PositiveIntegerField(_("times received"), default=1)
    received_at = models.DateTimeField(_("received at"), default=timezone.now)
    last_received_at = models.DateTimeField(_("last received at"), default=timezone.now)

    event_type = models.CharField(_("event type"), max_length=100, blank=True)
    cip = models.CharField("CIP", max_length=64, blank=True)
    transaction_code = models.CharField(_("transaction code"), max_length=64, blank=True)
    remote_id = models.CharField(_("PagoEfectivo id"), max_length=64, blank=True)
    operation_number = models.CharField(_("operation number"), max_length=64, blank=True)
    amount = models.DecimalField(
        _("amount"), max_digits=15, decimal_places=2, null=True, blank=True
    )
    currency = models.CharField(_("currency"), max_length=10, blank=True)
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)

    payment = models.ForeignKey(
        Payment,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="events",
        verbose_name=_("payment"),
    )
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices)
    from_status = models.CharField(_("from"), max_length=10, choices=Status.choices, blank=True)
    to_status = models.CharField(_("to"), max_length=10, choices=Status.choices, blank=True)
    flag = models.CharField(_("flag"), max_length=20, choices=Attention.choices, blank=True)
    error = models.TextField(_("explanation"), blank=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ("-received_at", "-id")
        constraints = (
            models.UniqueConstraint(fields=("merchant", "digest"), name="pagoefectivo_one_event"),
        )
        indexes = (
            models.Index(fields=("outcome", "received_at"), name="pagoefectivo_by_outcome"),
            models.Index(fields=("merchant", "cip"), name="pagoefectivo_event_cip"),
            models.Index(fields=("transaction_code",), name="pagoefectivo_event_code"),
            models.Index(fields=("received_at", "id"), name="pagoefectivo_event_newest"),
            # When each key of a merchant signed last, for whoever rotates it.
            models.Index(
                fields=("merchant", "signed_with", "last_received_at"),
                name="pagoefectivo_event_key",
            ),
        )

    def __str__(self) -> str:
        return f"{self.event_type or '?'} {self.cip or self.transaction_code}".strip()

    @property
    def is_stored(self) -> bool:
        """Whether the row exists already."""
        return not self._state.adding

    @property
    def body_text(self) -> str:
        """The body as text, with a mark where bytes are no UTF-8."""
        return bytes(self.body).decode("utf-8", "replace")

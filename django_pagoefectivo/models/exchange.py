"""Each call to PagoEfectivo and its answer, masked."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .payment import Payment


class ApiExchange(models.Model):
    """One HTTP call. ``request`` and ``response`` hold no secret and no personal data."""

    merchant = models.CharField(_("merchant"), max_length=50)
    payment = models.ForeignKey(
        Payment,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="exchanges",
        verbose_name=_("payment"),
    )
    operation = models.CharField(_("operation"), max_length=20)
    method = models.CharField(_("method"), max_length=10)
    url = models.CharField(_("URL"), max_length=500)
    request = models.TextField(_("request"), blank=True)
    response = models.TextField(_("answer"), blank=True)
    http_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    api_code = models.CharField(_("API code"), max_length=50, blank=True)
    milliseconds = models.PositiveIntegerField(_("milliseconds"), default=0)
    error = models.TextField(_("error"), blank=True)
    #: No answer or a refusal; stored, so that the few failing calls are found by an index.
    failed = models.BooleanField(_("failed"), default=False, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("API exchange")
        verbose_name_plural = _("API exchanges")
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=("created_at", "id"), name="pagoefectivo_exch_newest"),
            models.Index(fields=("failed", "created_at"), name="pagoefectivo_exch_failed"),
            models.Index(fields=("milliseconds", "id"), name="pagoefectivo_exch_slowest"),
        )

    def __str__(self) -> str:
        return f"{self.method} {self.url} {self.http_status or self.error}"

"""PagoEfectivo's settlement reports, line by line, beside what the shop holds."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .choices import LineState
from .payment import Payment


class StatementMapping(models.Model):
    """Which column of a merchant's reports is what, once somebody has said so by hand."""

    merchant = models.CharField(_("merchant"), max_length=50, unique=True)
    columns = models.JSONField(_("columns"), default=dict)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("statement mapping")
        verbose_name_plural = _("statement mappings")

    def __str__(self) -> str:
        return self.merchant


class Statement(models.Model):
    """One imported report. The same file of a merchant is imported once."""

    merchant = models.CharField(_("merchant"), max_length=50)
    file_name = models.CharField(_("file"), max_length=255)
    file_digest = models.CharField(max_length=64, editable=False)
    first_day = models.DateField(_("first day"), null=True, blank=True)
    last_day = models.DateField(_("last day"), null=True, blank=True)
    line_count = models.PositiveIntegerField(_("lines"), default=0)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("uploaded by"),
    )
    uploaded_at = models.DateTimeField(_("uploaded at"), default=timezone.now)

    class Meta:
        verbose_name = _("statement")
        verbose_name_plural = _("statements")
        ordering = ("-uploaded_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("merchant", "file_digest"), name="pagoefectivo_one_statement"
            ),
        )

    def __str__(self) -> str:
        return f"{self.file_name} ({self.merchant})"


class StatementLine(models.Model):
    """One line of a report: what it says, which payment it is about, whether they agree.

    Amounts are in the currency's major unit; a refund's are positive too.
    """

    State = LineState

    statement = models.ForeignKey(
        Statement, models.CASCADE, related_name="lines", verbose_name=_("statement")
    )
    number = models.PositiveIntegerField(_("line"))
    digest = models.CharField(max_length=64, editable=False)
    cip = models.CharField("CIP", max_length=64, blank=True)
    transaction_code = models.CharField(_("transaction code"), max_length=64, blank=True)
    operation_number = models.CharField(_("operation number"), max_length=64, blank=True)
    is_refund = models.BooleanField(_("refund"), default=False)
    amount = models.DecimalField(_("amount"), max_digits=15, decimal_places=2, null=True)
    commission = models.DecimalField(_("commission"), max_digits=15, decimal_places=2, null=True)
    net = models.DecimalField(_("net"), max_digits=15, decimal_places=2, null=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    paid_at = models.DateTimeField(_("paid at"), null=True)
    state = models.CharField(_("state"), max_length=15, choices=LineState.choices)
    problem = models.TextField(_("problem"), blank=True)
    payment = models.ForeignKey(
        Payment,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="statement_lines",
        verbose_name=_("payment"),
    )
    comment = models.TextField(_("comment"), blank=True)
    settled_at = models.DateTimeField(_("settled at"), null=True, blank=True)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("settled by"),
    )

    class Meta:
        verbose_name = _("statement line")
        verbose_name_plural = _("statement lines")
        ordering = ("statement", "number")
        indexes = (
            models.Index(fields=("digest",), name="pagoefectivo_line_digest"),
            models.Index(fields=("statement", "state", "number"), name="pagoefectivo_line_state"),
        )

    def __str__(self) -> str:
        return f"{self.statement_id}:{self.number}"

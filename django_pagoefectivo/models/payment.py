"""The payment: one code asked for one order, and where it is in its life."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import get_config
from .choices import Attention, Source, Status

OPEN_STATUSES = (Status.CREATED, Status.PENDING)


def order_key_for(shop: str, order_reference: str) -> str:
    """What makes an order distinct: a hash of the shop and its reference.

    A hash, because some databases compare text without case or trailing space, and two
    orders must never be taken for one.
    """
    return hashlib.sha256(f"{shop}\0{order_reference}".encode()).hexdigest()


class PaymentQuerySet(models.QuerySet["Payment"]):
    """Questions a shop asks about its payments."""

    def open(self) -> PaymentQuerySet:
        """Those that can still be paid in the normal way: created or pending.

        A created one that was given up for a new attempt no longer counts.
        """
        return self.filter(
            Q(status=Status.PENDING) | Q(status=Status.CREATED, open_key__isnull=False)
        )

    def paid(self) -> PaymentQuerySet:
        """Those that are paid and not refunded."""
        return self.filter(status=Status.PAID)

    def overdue(self, now: datetime | None = None) -> PaymentQuerySet:
        """Pending ones whose term is over."""
        return self.filter(status=Status.PENDING, expires_at__lte=now or timezone.now())

    def needs_attention(self) -> PaymentQuerySet:
        """Those that wait for a person."""
        return self.exclude(attention="")

    def for_order(self, order: models.Model | str, merchant: str = "default") -> PaymentQuerySet:
        """All attempts of one order: a model instance, or its reference at ``merchant``."""
        if isinstance(order, str):
            shop = get_config().shop_of(merchant)
            return self.filter(order_key=order_key_for(shop, order))
        content_type = ContentType.objects.get_for_model(order)
        return self.filter(order_content_type=content_type, order_object_id=str(order.pk))


class Payment(models.Model):
    """One PagoEfectivo code for one order.

    ``amount`` and ``paid_amount`` are in the currency's major unit, datetimes aware UTC.
    Status changes go through ``django_pagoefectivo.services``, never through ``save()``.
    """

    Status = Status
    Attention = Attention
    Source = Source

    token = models.UUIDField(_("public token"), default=uuid.uuid4, unique=True, editable=False)
    merchant = models.CharField(_("merchant"), max_length=50, default="default")
    order_reference = models.CharField(_("order reference"), max_length=64)
    transaction_code = models.CharField(_("transaction code"), max_length=36)
    order_content_type = models.ForeignKey(
        ContentType,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("kind of order"),
        # The index over both columns of the order begins with it.
        db_index=False,
    )
    order_object_id = models.CharField(_("order id"), max_length=64, blank=True)
    order = GenericForeignKey("order_content_type", "order_object_id")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="pagoefectivo_payments",
        verbose_name=_("user"),
        # The index over user and moment begins with it.
        db_index=False,
    )

    amount = models.DecimalField(_("amount"), max_digits=15, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3)
    description = models.TextField(_("description"), blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)

    customer_email = models.EmailField(_("e-mail"), max_length=254)
    customer_first_name = models.CharField(_("first name"), max_length=255, blank=True)
    customer_last_name = models.CharField(_("last name"), max_length=255, blank=True)
    customer_document_type = models.CharField(_("document type"), max_length=10, blank=True)
    customer_document_number = models.CharField(_("document number"), max_length=20, blank=True)
    customer_phone = models.CharField(_("phone"), max_length=20, blank=True)
    customer_phone_country_code = models.CharField(
        _("country code of the phone"), max_length=5, blank=True
    )
    customer_country = models.CharField(_("country"), max_length=100, blank=True)
    customer_ubigeo = models.CharField(_("ubigeo"), max_length=6, blank=True)
    customer_id_in_shop = models.CharField(_("customer id"), max_length=255, blank=True)

    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.CREATED
    )
    # NULL and not "" while there is none: unique columns let several NULLs be.
    cip = models.CharField("CIP", max_length=14, null=True, blank=True)  # noqa: DJ001
    cip_url = models.URLField(_("hosted page"), max_length=500, blank=True)
    remote_id = models.CharField(_("PagoEfectivo id"), max_length=64, blank=True)
    operation_number = models.CharField(_("operation number"), max_length=64, blank=True)
    paid_amount = models.DecimalField(
        _("paid amount"), max_digits=15, decimal_places=2, null=True, blank=True
    )
    expires_at = models.DateTimeField(_("expires at"))
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True, blank=True)
    refunded_at = models.DateTimeField(_("refunded at"), null=True, blank=True)
    failure_code = models.CharField(_("failure code"), max_length=50, blank=True)
    failure_message = models.TextField(_("failure message"), blank=True)

    attention = models.CharField(
        _("attention"), max_length=20, choices=Attention.choices, blank=True
    )
    attention_note = models.TextField(_("attention note"), blank=True)
    reconciled_at = models.DateTimeField(_("reconciled at"), null=True, blank=True)
    reconciled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("reconciled by"),
        # Asked for only when an account is deleted, which may take a second.
        db_index=False,
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), default=timezone.now, editable=False)

    #: Hash of merchant and order reference: which payments are attempts of one order.
    order_key = models.CharField(max_length=64, editable=False)
    #: The order's hash while this payment holds the order's one open place, else NULL.
    open_key = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001
    #: The order's hash if this payment is the one that confirmed the order, else NULL.
    confirmed_key = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001
    #: The e-mail address in lower case, for the search; the database keeps it up.
    email_key = models.GeneratedField(
        expression=Lower("customer_email"),
        output_field=models.CharField(max_length=254),
        db_persist=True,
    )
    #: Since when a notification that says paid waits for the status query; ``None``: none does.
    checking_since = models.DateTimeField(_("being checked since"), null=True, editable=False)
    next_poll_at = models.DateTimeField(_("next status query"), null=True, editable=False)

    objects = PaymentQuerySet.as_manager()

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ("-created_at", "-id")
        # Each index is written to with every change of a payment. Unique text is declared
        # here, since ``unique=True`` makes PostgreSQL keep a second index for LIKE.
        constraints = (
            models.UniqueConstraint(fields=("merchant", "cip"), name="pagoefectivo_one_cip"),
            models.UniqueConstraint(fields=("transaction_code",), name="pagoefectivo_one_code"),
            models.UniqueConstraint(fields=("open_key",), name="pagoefectivo_one_open"),
            models.UniqueConstraint(fields=("confirmed_key",), name="pagoefectivo_one_confirmed"),
            models.CheckConstraint(
                condition=Q(amount__gt=0), name="pagoefectivo_amount_above_zero"
            ),
        )
        indexes = (
            models.Index(fields=("order_key",), name="pagoefectivo_order_key"),
            models.Index(fields=("status", "next_poll_at"), name="pagoefectivo_due_poll"),
            # The merchant stands last, so that filtering by it too reads no row in vain.
            models.Index(
                fields=("status", "created_at", "merchant"), name="pagoefectivo_by_status"
            ),
            models.Index(fields=("status", "paid_at"), name="pagoefectivo_paid"),
            models.Index(
                fields=("attention", "created_at", "merchant"), name="pagoefectivo_attention"
            ),
            models.Index(fields=("created_at", "id"), name="pagoefectivo_newest"),
            models.Index(fields=("merchant", "created_at"), name="pagoefectivo_by_merchant"),
            models.Index(fields=("user", "created_at", "id"), name="pagoefectivo_by_user"),
            models.Index(
                fields=("status", "reconciled_at", "created_at", "merchant"),
                name="pagoefectivo_to_reconcile",
            ),
            models.Index(fields=("order_reference",), name="pagoefectivo_reference"),
            models.Index(fields=("email_key",), name="pagoefectivo_email"),
            models.Index(
                fields=("order_content_type", "order_object_id"), name="pagoefectivo_order"
            ),
            models.Index(fields=("remote_id",), name="pagoefectivo_remote_id"),
        )
        permissions = (
            ("reconcile_payment", _("Can ask, extend, cancel and reconcile payments")),
            ("confirm_payment", _("Can confirm payments by hand")),
            ("view_personal_data", _("Can see customers' personal data")),
            ("export_personal_data", _("Can export customers' personal data")),
        )

    def __str__(self) -> str:
        return f"{self.order_reference} ({self.cip or self.transaction_code})"

    def __repr__(self) -> str:
        return f"<Payment {self.pk}: {self.transaction_code} {self.status}>"

    def get_absolute_url(self) -> str:
        """Path of the shopper's payment page."""
        return reverse("pagoefectivo:payment", kwargs={"token": self.token})

    @property
    def is_open(self) -> bool:
        """Whether it can still be paid in the normal way."""
        return self.status in OPEN_STATUSES

    @property
    def is_paid(self) -> bool:
        """Whether it is paid and not refunded."""
        return self.status == Status.PAID

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected to happen to it."""
        return not self.is_open and not self.is_being_checked

    @property
    def is_being_checked(self) -> bool:
        """Whether a notification said that it is paid and PagoEfectivo is asked to confirm it."""
        return self.checking_since is not None and self.status not in (
            Status.PAID,
            Status.REFUNDED,
        )

    if TYPE_CHECKING:
        order_content_type_id: int | None
        user_id: Any
        reconciled_by_id: Any

"""What the sandbox remembers: codes, calls, armed faults and notifications sent."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.urls import reverse
from django.utils import timezone

from .faults import ApiFault, Operation


class SandboxCode(models.Model):
    """A payment code (CIP) as PagoEfectivo would keep it. Datetimes are aware UTC.

    ``status`` is what was last written; ``status_at()`` is what counts, because a code
    expires by itself.
    """

    class Status(models.IntegerChoices):
        """Numbers and names of a search answer.

        22 is in PagoEfectivo's manual; the others are those of its older web service.
        """

        EXPIRED = 21, "Expirado."
        GENERATED = 22, "Generado."
        PAID = 23, "Cancelado."
        ANNULLED = 24, "Anulado."
        DELETED = 25, "Eliminado."

    class Contract(models.TextChoices):
        """Which API it was asked from."""

        CIP = "cip", "CIP API"
        PAYMENT = "payment", "Payment API"

    contract = models.CharField(max_length=10, choices=Contract.choices, default=Contract.CIP)
    cip = models.BigIntegerField("CIP", unique=True)
    #: Name of the hosted page, and the Payment API's ``paymentId``.
    uuid = models.UUIDField("name of the hosted page", default=uuid.uuid4, unique=True)
    service_id = models.CharField("idService", max_length=64)
    transaction_code = models.CharField("transactionCode", max_length=36, db_index=True)
    amount = models.DecimalField(max_digits=15, decimal_places=2)
    currency = models.CharField(max_length=3)
    date_expiry = models.DateTimeField()
    status = models.PositiveSmallIntegerField(choices=Status.choices, default=Status.GENERATED)
    concept = models.TextField("paymentConcept", blank=True)
    user_email = models.CharField(max_length=254)
    #: The other fields of the create call, as they came.
    details = models.JSONField(default=dict, blank=True)
    #: Scheme and host that the code was asked from; the shop's own, if it hosts the sandbox.
    origin = models.CharField(max_length=300, blank=True)
    #: Where a Payment API's create call wanted the callbacks and the browser to go.
    callback_url = models.CharField(max_length=500, blank=True)
    return_url = models.CharField(max_length=500, blank=True)
    #: Of the Payment API, where an order number is taken once; ``None`` otherwise.
    order_key = models.CharField(max_length=101, unique=True, null=True)  # noqa: DJ001
    operation_number = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True, blank=True)
    refunded_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "code"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return str(self.cip)

    def get_absolute_url(self) -> str:
        """The hosted page."""
        return reverse("pagoefectivo_sandbox:page", args=[self.uuid])

    @property
    def contract_enum(self) -> SandboxCode.Contract:
        """The contract it was asked from."""
        return self.Contract(self.contract)

    def status_at(self, now: datetime | None = None) -> SandboxCode.Status:
        """The status at ``now``: a generated code past its term is expired by itself."""
        status = self.Status(self.status)
        if status is self.Status.GENERATED and self.date_expiry <= (now or timezone.now()):
            return self.Status.EXPIRED
        return status


class SandboxCall(models.Model):
    """One call to the sandbox's API. ``status`` is what was answered, 0 for a cut line."""

    operation = models.CharField(max_length=10, db_index=True)
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=255)
    status = models.PositiveSmallIntegerField()
    service_id = models.CharField("idService", max_length=64, blank=True)
    fault = models.CharField(max_length=30, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "call"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.status}"


class SandboxFault(models.Model):
    """A fault that waits for the next calls of an operation."""

    fault = models.CharField(max_length=30)
    operation = models.CharField(max_length=10)
    times_left = models.PositiveIntegerField(default=1)
    seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "armed fault"
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.fault} for {self.times_left} calls: {self.operation}"

    @property
    def kind(self) -> ApiFault:
        """The fault."""
        return ApiFault(self.fault)

    @property
    def call(self) -> Operation:
        """The operation it waits for."""
        return Operation(self.operation)


class SandboxNotification(models.Model):
    """A notification sent to the shop and what the shop answered to each try.

    A try's status is 0 where no answer came, and ``None`` where there was no such try.
    """

    code = models.ForeignKey(SandboxCode, models.CASCADE, related_name="notifications")
    event_type = models.CharField(max_length=50)
    fault = models.CharField(max_length=30)
    url = models.CharField(max_length=500)
    body = models.TextField()
    signature = models.CharField(max_length=64)
    first_status = models.PositiveSmallIntegerField()
    second_status = models.PositiveSmallIntegerField(null=True, blank=True)
    #: The beginning of the last answer, or why there was none.
    answer = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "notification"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.event_type} for {self.code_id}: {self.first_status}"

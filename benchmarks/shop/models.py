"""The yardstick's own tables: no more columns and indexes than it needs."""

from __future__ import annotations

from django.db import models


class BarePayment(models.Model):
    """A payment as a tutorial would have it."""

    cip = models.CharField(max_length=14)
    transaction_code = models.CharField(max_length=36)
    amount = models.DecimalField(max_digits=15, decimal_places=2)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=10, default="pending")
    operation_number = models.CharField(max_length=64, default="")
    paid_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "bench_payment"
        constraints = (
            models.UniqueConstraint(fields=("cip",), name="bench_cip"),
            models.UniqueConstraint(fields=("transaction_code",), name="bench_code"),
        )

    def __str__(self) -> str:
        return self.cip


class BareEvent(models.Model):
    """A notification as it came."""

    digest = models.CharField(max_length=64)
    body = models.BinaryField()
    signature = models.CharField(max_length=128)
    times_received = models.PositiveIntegerField(default=1)
    received_at = models.DateTimeField()

    class Meta:
        db_table = "bench_event"
        constraints = (models.UniqueConstraint(fields=("digest",), name="bench_digest"),)

    def __str__(self) -> str:
        return self.digest


class BareLine(models.Model):
    """A line of a settlement report, as it is read."""

    cip = models.CharField(max_length=14)
    transaction_code = models.CharField(max_length=36)
    operation_number = models.CharField(max_length=64)
    amount = models.DecimalField(max_digits=15, decimal_places=2)
    currency = models.CharField(max_length=3)
    paid_at = models.DateTimeField()

    class Meta:
        db_table = "bench_line"

    def __str__(self) -> str:
        return self.cip

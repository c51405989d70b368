"""The tests' orders: one by itself, and two that can be paid."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models

from django_pagoefectivo.orders import PayableMixin
from django_pagoefectivo.services import Customer


class Order(models.Model):
    """An order with a number."""

    number = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.number


class Booking(PayableMixin, models.Model):
    """An order that can be paid."""

    number = models.CharField(max_length=64)
    total = models.DecimalField(max_digits=8, decimal_places=2, default=Decimal("22.05"))
    status = models.CharField(max_length=10, default="open")
    # Apps without migrations get their tables before those with them: there is no table yet
    # that a constraint could name.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, db_constraint=False
    )

    def __str__(self) -> str:
        return self.number

    def payment_terms(self) -> dict[str, Any]:
        """What it costs."""
        return {
            "order_reference": self.number,
            "amount": self.total,
            "customer": Customer(email="ana@shop.example"),
        }


class Donation(PayableMixin, models.Model):
    """An order without terms, and with another kind of primary key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)

    def __str__(self) -> str:
        return str(self.id)


class Account(models.Model):
    """A shop's agreement with PagoEfectivo, kept in the database."""

    name = models.SlugField(max_length=50, unique=True)
    is_active = models.BooleanField(default=True)
    is_live = models.BooleanField(default=False)
    api = models.CharField(max_length=100, default="cip")
    base_url = models.URLField(blank=True)
    currency = models.CharField(max_length=3, default="PEN")
    service_id = models.CharField(max_length=32)
    access_key = models.CharField(max_length=100, blank=True)
    secret_key = models.CharField(max_length=100)
    former_key = models.CharField(max_length=100, blank=True)

    def __str__(self) -> str:
        return self.name

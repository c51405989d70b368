"""What the shop sells and what was ordered."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import get_random_string

from django_pagoefectivo.models import Payment
from django_pagoefectivo.orders import PayableMixin
from django_pagoefectivo.services import Customer

#: No letter or digit that could be read as another one on the telephone.
_READABLE = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


class Currency(models.TextChoices):
    """The currencies that PagoEfectivo takes."""

    PEN = "PEN", "Soles"
    USD = "USD", "US dollars"


class Product(models.Model):
    """One thing on the shelf. ``stock`` counts what nobody has ordered yet."""

    name = models.CharField(max_length=80)
    slug = models.SlugField(unique=True)
    origin = models.CharField(max_length=80, blank=True)
    description = models.TextField(blank=True)
    picture = models.CharField(
        max_length=100, blank=True, help_text="A static file, such as shop/products/cafe.svg."
    )
    price = models.DecimalField(max_digits=8, decimal_places=2)
    currency = models.CharField(max_length=3, choices=Currency, default=Currency.PEN)
    stock = models.PositiveIntegerField(default=0)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("position", "name")
        constraints = (
            models.CheckConstraint(condition=Q(price__gt=0), name="shop_price_above_zero"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_scarce(self) -> bool:
        """Whether few enough are left to say so."""
        return 0 < self.stock <= 3

    def take(self, quantity: int) -> bool:
        """Take ``quantity`` from the shelf; ``False``, and nothing taken, if too few are left.

        One conditional update, so that two shoppers cannot take the same last piece.
        """
        taken = Product.objects.filter(pk=self.pk, stock__gte=quantity).update(
            stock=F("stock") - quantity
        )
        return taken == 1

    def put_back(self, quantity: int) -> None:
        """Put ``quantity`` back on the shelf."""
        Product.objects.filter(pk=self.pk).update(stock=F("stock") + quantity)


def new_number() -> str:
    """A number for an order that a person can read out, such as ``QH7K3MPX``."""
    return f"QH{get_random_string(6, _READABLE)}"


class Order(PayableMixin, models.Model):
    """What one shopper ordered at one time.

    Its goods are off the shelf exactly while ``holds_stock``. ``token`` is the credential
    of its page, ``number`` what people call it. ``staff_note`` says what waits for a
    person, and is empty otherwise.
    """

    class Status(models.TextChoices):
        """Where an order is."""

        PLACED = "placed", "Waiting for payment"
        PAID = "paid", "Paid"
        EXPIRED = "expired", "Expired"
        CANCELLED = "cancelled", "Cancelled"
        REFUNDED = "refunded", "Refunded"

    number = models.CharField(max_length=20, unique=True, default=new_number, editable=False)
    token = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.PLACED)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="orders",
    )
    email = models.EmailField("e-mail")
    first_name = models.CharField(max_length=60)
    last_name = models.CharField(max_length=60)
    phone = models.CharField(max_length=20, blank=True)
    total = models.DecimalField(max_digits=10, decimal_places=2)
    currency = models.CharField(max_length=3, choices=Currency)
    holds_stock = models.BooleanField(default=True)
    staff_note = models.TextField(blank=True)
    placed_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-placed_at", "-id")
        indexes = (models.Index(fields=("status", "placed_at"), name="shop_order_by_status"),)

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        """The order's page, open to whoever has its address."""
        return reverse("shop:order", kwargs={"token": self.token})

    def payment_terms(self) -> dict[str, Any]:
        """What the order costs and who pays it."""
        phone = {"phone": self.phone, "phone_country_code": "+51"} if self.phone else {}
        return {
            "order_reference": self.number,
            "amount": self.total,
            "currency": self.currency,
            "description": ", ".join(str(line) for line in self.lines.all()),
            "customer": Customer(
                email=self.email,
                first_name=self.first_name,
                last_name=self.last_name,
                country="PERU",
                **phone,
            ),
        }

    @property
    def has_payable_code(self) -> bool:
        """Whether the shopper has a code that can be paid now."""
        return bool(self.payments.filter(status=Payment.Status.PENDING).exists())

    @property
    def is_paid_for(self) -> bool:
        """Whether a payment of it is paid and not given back, whatever its own status."""
        return bool(self.payments.paid().exists())

    @property
    def can_be_tried_again(self) -> bool:
        """Whether the shopper may ask for a new code."""
        waits = (self.Status.PLACED, self.Status.EXPIRED, self.Status.CANCELLED)
        return self.status in waits and not self.has_payable_code and not self.is_paid_for

    def note(self, text: str) -> None:
        """Write ``text`` into the order's history."""
        self.history.create(text=text)


class OrderLine(models.Model):
    """One product in an order, with the name and the price of that day."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT, related_name="+")
    name = models.CharField(max_length=80)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    quantity = models.PositiveSmallIntegerField()

    class Meta:
        # Always in the same order, so that two orders never wait for each other's products.
        ordering = ("product_id",)

    def __str__(self) -> str:
        return f"{self.quantity} x {self.name}"

    @property
    def total(self) -> Decimal:
        """What the line costs."""
        return self.price * self.quantity


class OrderEvent(models.Model):
    """A line of an order's history: what happened to it and when."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="history")
    text = models.TextField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.text

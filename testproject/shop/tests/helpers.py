"""Orders with payments, and PagoEfectivo's signed notifications about them."""

# Run by Django's test runner, which explains a failing assertEqual and no bare assert.
# ruff: noqa: PT009

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.test import Client, TestCase, TransactionTestCase
from django.urls import reverse
from django.utils import timezone

from django_pagoefectivo.models import Payment
from django_pagoefectivo.models.payment import order_key_for
from shop.models import Order, OrderLine, Product

_numbers = itertools.count(1)


class BaseShopTestCase(TransactionTestCase):
    """A shelf with scarves in soles and prints in dollars, and ways to put it to use."""

    def setUp(self) -> None:
        """Put the products on the shelf."""
        self.scarf = Product.objects.create(
            name="Scarf", slug="scarf", price=Decimal("129.90"), stock=5
        )
        self.hat = Product.objects.create(name="Hat", slug="hat", price=72, stock=4)
        self.print = Product.objects.create(
            name="Print", slug="print", price=22, currency="USD", stock=2
        )

    def stock(self, product: Product) -> int:
        """What the shelf has of ``product`` now."""
        return Product.objects.get(pk=product.pk).stock

    def an_order(self, *quantities: tuple[Product, int]) -> Order:
        """An order waiting for payment, whose goods are off the shelf; two scarves at first."""
        lines = quantities or ((self.scarf, 2),)
        order = Order.objects.create(
            email="rosa@example.com",
            first_name="Rosa",
            last_name="Quispe",
            total=sum(product.price * quantity for product, quantity in lines),
            currency=lines[0][0].currency,
        )
        for product, quantity in lines:
            self.assertTrue(product.take(quantity))
            OrderLine.objects.create(
                order=order,
                product=product,
                name=product.name,
                price=product.price,
                quantity=quantity,
            )
        return order

    def a_payment(self, order: Order, status: str = "pending", **fields: Any) -> Payment:
        """A payment of ``order`` as if PagoEfectivo had issued its code."""
        number = next(_numbers)
        key = order_key_for("default", order.number)
        values = {
            "order_reference": order.number,
            "order_key": key,
            "open_key": key if status in ("created", "pending") else None,
            "transaction_code": f"{order.number}-{number}",
            "cip": str(11_000_000 + number),
            "amount": order.total,
            "currency": order.currency,
            "customer_email": order.email,
            "expires_at": timezone.now() + timedelta(hours=24),
            "status": status,
        }
        payment = Payment(**{**values, **fields})
        payment.order = order
        payment.save()
        return payment

    def html_of(self, message: EmailMessage) -> str:
        """The HTML of a mail, which has it beside its text and nothing else."""
        ((html, kind),) = cast("EmailMultiAlternatives", message).alternatives
        self.assertEqual(kind, "text/html")
        return str(html)

    def assert_order(self, order: Order, status: str, *, holds_stock: bool) -> Order:
        """The order as it is now, having checked it."""
        order.refresh_from_db()
        self.assertEqual((order.status, order.holds_stock), (status, holds_stock))
        return order


class ShopTestCase(BaseShopTestCase, TestCase):
    """What needs no server of its own: each test in a transaction that is undone."""

    def notify(self, payment: Payment, event: str = "cip.paid", **data: Any) -> str:
        """Send PagoEfectivo's notification; returns what the webhook said it did.

        The shop is told after the commit, which a ``TestCase`` has to be asked for.
        """
        body = json.dumps(
            {
                "eventType": event,
                "operationNumber": str(900 + payment.pk),
                "data": {
                    "cip": payment.cip,
                    "currency": payment.currency,
                    "amount": float(payment.amount),
                    **data,
                },
            },
            separators=(",", ":"),
        ).encode()
        key = settings.PAGOEFECTIVO["MERCHANTS"]["default"]["SECRET_KEY"].encode()
        with self.captureOnCommitCallbacks(execute=True):
            response = Client().post(
                reverse("pagoefectivo:webhook"),
                body,
                content_type="application/json",
                headers={"PE-Signature": hmac.new(key, body, hashlib.sha256).hexdigest()},
            )
        self.assertEqual(response.status_code, 200, response.content)
        return response.content.decode()

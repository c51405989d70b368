"""What happens to orders. Each function is one transaction and leaves an order consistent.

The shop is told about payments through signals, and a signal may come late, after another
one, or once more than expected. So nothing here believes what it was told an order is:
it locks the order, looks, and does only what is still to be done.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Protocol

from django.db import transaction
from django.utils import timezone

from .cart import CartLine
from .models import Order, OrderLine, Product

#: What this module decides; the rest of an order belongs to others.
_STATE = ("status", "holds_stock", "staff_note", "paid_at")


class Basket(Protocol):
    """What an order is made of: a cart, or what an API was sent."""

    @property
    def lines(self) -> Sequence[CartLine]:
        """Products and how many of each."""

    @property
    def currency(self) -> str:
        """The currency of all of them."""

    @property
    def total(self) -> Decimal:
        """What it costs."""

    def order_token(self) -> uuid.UUID:
        """The same each time the same order is placed."""


class SoldOut(Exception):
    """Too few of ``product`` are on the shelf."""

    def __init__(self, product: Product) -> None:
        super().__init__(f"{product} is sold out.")
        self.product = product


@contextmanager
def locked(order: Order) -> Iterator[Order]:
    """A transaction with the order as it is now, which nobody else changes meanwhile."""
    with transaction.atomic():
        yield Order.objects.select_for_update().get(pk=order.pk)


@transaction.atomic
def place_order(cart: Basket, contact: dict[str, Any], user: Any) -> Order:
    """Take the cart's goods off the shelf and return the order. Raises ``SoldOut``.

    A form that was sent twice, or at the same instant by an impatient finger, gives the
    same order both times.
    """
    order, created = Order.objects.get_or_create(
        token=cart.order_token(),
        defaults={
            "user": user if user.is_authenticated else None,
            "total": cart.total,
            "currency": cart.currency,
            **contact,
        },
    )
    if created:
        OrderLine.objects.bulk_create(
            OrderLine(
                order=order,
                product=line.product,
                name=line.product.name,
                price=line.product.price,
                quantity=line.quantity,
            )
            for line in cart.lines
        )
        _take_stock(order)
        order.note("Placed; the goods are set aside.")
    return order


@transaction.atomic
def withdraw_order(order: Order) -> None:
    """Undo an order that no code was ever asked for."""
    current = Order.objects.select_for_update().filter(pk=order.pk).first()
    if current is not None:
        _put_stock_back(current)
        current.delete()


def mark_paid(order: Order, *, code: str) -> None:
    """The order is paid: once, whatever it was before.

    If its goods went back to the shelf meanwhile they are taken again. If somebody else
    has them by now the order is paid all the same, and staff see to it.
    """
    with locked(order) as current:
        if current.status == Order.Status.PAID:
            return
        if not current.holds_stock:
            try:
                # Of its own, so that what was taken before the first missing product goes back.
                with transaction.atomic():
                    _take_stock(current)
            except SoldOut as error:
                _tell_staff(
                    current,
                    f"Paid late, and {error.product} has been sold meanwhile: "
                    "get more, or refund the shopper.",
                )
        current.status = Order.Status.PAID
        current.paid_at = timezone.now()
        current.save(update_fields=_STATE)
        current.note(f"Paid with {code}.")


def release_order(order: Order, *, status: Order.Status, reason: str) -> None:
    """Give an order up that waits for payment: its goods go back to the shelf, once."""
    with locked(order) as current:
        if current.status != Order.Status.PLACED:
            return
        _put_stock_back(current)
        current.status = status
        current.save(update_fields=_STATE)
        current.note(reason)


def reopen_order(order: Order, *, reason: str) -> None:
    """Let an order that was given up wait for payment again. Raises ``SoldOut``."""
    with locked(order) as current:
        if current.status not in (Order.Status.EXPIRED, Order.Status.CANCELLED):
            return
        _take_stock(current)
        current.status = Order.Status.PLACED
        current.save(update_fields=_STATE)
        current.note(reason)


def mark_refunded(order: Order) -> None:
    """PagoEfectivo gave the money back."""
    with locked(order) as current:
        if current.status == Order.Status.REFUNDED:
            return
        current.status = Order.Status.REFUNDED
        _tell_staff(current, "Refunded: take the goods back, or do not send them.")
        current.save(update_fields=_STATE)


def tell_staff(order: Order, note: str) -> None:
    """Put the order before a person."""
    with locked(order) as current:
        _tell_staff(current, note)
        current.save(update_fields=_STATE)


def dealt_with(order: Order, *, by: str) -> None:
    """A person has seen to what waited for one."""
    with locked(order) as current:
        if current.staff_note:
            current.note(f"Dealt with by {by}: {current.staff_note}")
            current.staff_note = ""
            current.save(update_fields=_STATE)


def _tell_staff(order: Order, note: str) -> None:
    if note not in order.staff_note.splitlines():
        order.staff_note = f"{order.staff_note}\n{note}".strip()
        order.note(f"For staff: {note}")


def _take_stock(order: Order) -> None:
    for line in order.lines.select_related("product"):
        if not line.product.take(line.quantity):
            raise SoldOut(line.product)
    order.holds_stock = True


def _put_stock_back(order: Order) -> None:
    for line in order.lines.select_related("product"):
        line.product.put_back(line.quantity)
    order.holds_stock = False

"""The shopping cart: product numbers and quantities in the session."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from django.http import HttpRequest

from .models import Product

_SESSION_KEY = "cart"
_ORDER_KEY = "order-token"
LARGEST_QUANTITY = 20


class OtherCurrency(Exception):
    """A product in another currency than the cart's: one payment code has one currency."""


@dataclass(frozen=True, slots=True)
class CartLine:
    """A product and how many of it."""

    product: Product
    quantity: int

    @property
    def total(self) -> Decimal:
        """What the line costs today."""
        return self.product.price * self.quantity

    @property
    def is_available(self) -> bool:
        """Whether the shelf has that many."""
        return self.product.stock >= self.quantity


class Cart:
    """The cart of one shopper's session."""

    def __init__(self, request: HttpRequest) -> None:
        self._session = request.session
        self._quantities: dict[str, int] = dict(self._session.get(_SESSION_KEY, {}))

    def __len__(self) -> int:
        return sum(self._quantities.values())

    @cached_property
    def lines(self) -> list[CartLine]:
        """What is in it, as the shelf is now."""
        products = Product.objects.filter(pk__in=self._quantities)
        return [CartLine(product, self._quantities[str(product.pk)]) for product in products]

    @property
    def currency(self) -> str:
        """The currency of everything in it, ``""`` if it is empty."""
        return self.lines[0].product.currency if self.lines else ""

    @property
    def total(self) -> Decimal:
        """What it costs."""
        return sum((line.total for line in self.lines), Decimal(0))

    @property
    def is_available(self) -> bool:
        """Whether all of it can be ordered now."""
        return all(line.is_available for line in self.lines)

    def add(self, product: Product) -> None:
        """Put one more in. Raises ``OtherCurrency``."""
        if self.lines and product.currency != self.currency:
            raise OtherCurrency
        self.set(product, self._quantities.get(str(product.pk), 0) + 1)

    def set(self, product: Product, quantity: int) -> None:
        """Have ``quantity`` of ``product`` in it; 0 takes it out."""
        if quantity > 0:
            self._quantities[str(product.pk)] = min(quantity, LARGEST_QUANTITY)
        else:
            self._quantities.pop(str(product.pk), None)
        self._store()

    def order_token(self) -> uuid.UUID:
        """The token that the order of this cart will have.

        Settled when the checkout is shown, so that a form sent twice is one order.
        """
        if _ORDER_KEY not in self._session:
            self._session[_ORDER_KEY] = str(uuid.uuid4())
        return uuid.UUID(self._session[_ORDER_KEY])

    def clear(self) -> None:
        """Empty it for the next order."""
        self._quantities = {}
        self._session.pop(_ORDER_KEY, None)
        self._store()

    def _store(self) -> None:
        self._session[_SESSION_KEY] = self._quantities
        self.__dict__.pop("lines", None)

"""What every page shows."""

from __future__ import annotations

from django.http import HttpRequest

from .cart import Cart


def cart(request: HttpRequest) -> dict[str, Cart]:
    """The cart, for its count in the header. Costs no query until its lines are read."""
    return {"cart": Cart(request)}

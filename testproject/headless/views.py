"""The shop's own part of a headless shop: what is for sale, and taking an order.

Everything about payments is django-pagoefectivo's REST API; see ``page.js``.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST
from shop import orders
from shop.cart import CartLine
from shop.models import Product

from django_pagoefectivo.templatetags.pagoefectivo import money


@dataclass(frozen=True, slots=True)
class OneOf:
    """An order of one product. ``token`` is the page's own, so that a repeated request, whose
    answer got lost, is the same order."""

    product: Product
    token: uuid.UUID

    @property
    def lines(self) -> list[CartLine]:
        """One line."""
        return [CartLine(self.product, 1)]

    @property
    def currency(self) -> str:
        """The product's."""
        return self.product.currency

    @property
    def total(self) -> Decimal:
        """The product's price."""
        return self.product.price

    def order_token(self) -> uuid.UUID:
        """The page's."""
        return self.token


@login_not_required
@ensure_csrf_cookie
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The page itself: the same for everybody."""
    return render(request, "headless/page.html")


@login_not_required
@require_GET
def products(request: HttpRequest) -> JsonResponse:
    """What is on the shelf, and who is looking at it."""
    user = request.user
    shelf = [
        {
            "slug": product.slug,
            "name": product.name,
            "description": product.description,
            "price": money(product.price, product.currency),
            "picture": static(product.picture) if product.picture else "",
            "available": product.stock > 0,
        }
        for product in Product.objects.all()
    ]
    name = user.get_username() if user.is_authenticated else None
    return JsonResponse({"user": name, "products": shelf})


@login_not_required
@require_POST
def place_order(request: HttpRequest) -> JsonResponse:
    """Take an order for one piece; the price is the shop's."""
    user = request.user
    if not user.is_authenticated:
        return JsonResponse({"detail": "Log in first."}, status=403)
    try:
        wanted = json.loads(request.body)
        slug, token = str(wanted["product"]), uuid.UUID(str(wanted["token"]))
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"detail": "Send a product and a token, as JSON."}, status=400)
    product = Product.objects.filter(slug=slug).first()
    if product is None:
        return JsonResponse({"detail": "There is no such product."}, status=404)
    contact = {
        "email": user.email,
        "first_name": user.first_name or user.get_username(),
        "last_name": user.last_name,
    }
    try:
        order = orders.place_order(OneOf(product, token), contact, user)
    except orders.SoldOut as error:
        return JsonResponse({"detail": str(error)}, status=409)
    if order.user_id != user.pk:
        return JsonResponse({"detail": "That token is taken."}, status=409)
    return JsonResponse({"number": order.number}, status=201)

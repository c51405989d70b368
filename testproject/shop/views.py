"""The shop's pages."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from django_pagoefectivo.exceptions import InvalidPayment

from . import orders
from .cart import LARGEST_QUANTITY, Cart, OtherCurrency
from .forms import CheckoutForm
from .models import Order, Product
from .payments import ask_for_code


@login_not_required
@require_GET
def catalogue(request: HttpRequest) -> HttpResponse:
    """Everything on the shelf."""
    return render(request, "shop/catalogue.html", {"products": Product.objects.all()})


@login_not_required
@never_cache
@require_GET
def show_cart(request: HttpRequest) -> HttpResponse:
    """What the shopper has chosen."""
    return render(request, "shop/cart.html", {"largest": LARGEST_QUANTITY})


@login_not_required
@require_POST
def change_cart(request: HttpRequest, slug: str) -> HttpResponse:
    """Put one more of a product into the cart, or have ``quantity`` of it."""
    product = get_object_or_404(Product, slug=slug)
    cart = Cart(request)
    quantity = request.POST.get("quantity")
    try:
        if quantity is None:
            cart.add(product)
            messages.success(request, f"{product} is in your cart.")
        else:
            cart.set(product, int(quantity))
    except ValueError:
        messages.error(request, "A quantity is a whole number.")
    except OtherCurrency:
        messages.error(
            request,
            "A payment code is in one currency, and your cart holds products in another. "
            "Please order them first.",
        )
        return redirect("shop:catalogue")
    return redirect("shop:cart" if quantity is not None else "shop:catalogue")


# The payment's row must be on disk before PagoEfectivo is called, so this view must not run
# inside one transaction: ATOMIC_REQUESTS, where a project sets it, is off for it.
@transaction.non_atomic_requests
@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    """Ask who orders, place the order and get its payment code."""
    cart = Cart(request)
    if not cart.lines:
        return redirect("shop:cart")
    form = CheckoutForm(request.POST or None)
    cart.order_token()
    if request.method == "POST" and form.is_valid():
        order = _place(request, cart, form)
        if order is not None:
            cart.clear()
            return redirect(order)
    return render(request, "shop/checkout.html", {"form": form})


def _place(request: HttpRequest, cart: Cart, form: CheckoutForm) -> Order | None:
    """The order with its code asked for, or ``None`` with the form saying why not."""
    try:
        order = orders.place_order(cart, form.cleaned_data, request.user)
    except orders.SoldOut as error:
        form.add_error(None, f"{error} Please change your cart.")
        return None
    try:
        ask_for_code(request, order)
    except InvalidPayment as error:
        orders.withdraw_order(order)
        form.add_error(CheckoutForm.FIELD_OF.get(error.field), f"PagoEfectivo: {error.message}")
        return None
    return order


@transaction.non_atomic_requests
@login_not_required
@require_POST
def pay_again(request: HttpRequest, token: str) -> HttpResponse:
    """Ask for a new code for an order whose last one expired, failed or got lost."""
    order = get_object_or_404(Order, token=token)
    if not order.can_be_tried_again:
        return redirect(order)
    try:
        orders.reopen_order(order, reason="The shopper asked for a new payment code.")
        ask_for_code(request, order, supersede="supersede" in request.POST)
    except orders.SoldOut as error:
        messages.error(request, f"We are sorry: {error}")
    except InvalidPayment as error:
        reason = f"PagoEfectivo does not take this order: {error.message}"
        orders.release_order(order, status=Order.Status.CANCELLED, reason=reason)
        messages.error(request, reason)
    return redirect(order)


@login_not_required
@never_cache
@require_GET
def show_order(request: HttpRequest, token: str) -> HttpResponse:
    """An order with its payment. Its address is the credential: nobody can guess it."""
    order = get_object_or_404(Order.objects.prefetch_related("lines"), token=token)
    return render(request, "shop/order.html", {"order": order, "payment": order.payments.first()})


@never_cache
@require_GET
def my_orders(request: HttpRequest) -> HttpResponse:
    """The orders of the account that is logged in."""
    # Django's middleware lets nobody else through.
    account = cast("User", request.user)
    return render(request, "shop/my_orders.html", {"orders": account.orders.all()})

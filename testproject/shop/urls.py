"""URLs of the shop."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "shop"

urlpatterns = [
    path("", views.catalogue, name="catalogue"),
    path("cart/", views.show_cart, name="cart"),
    path("cart/<slug:slug>/", views.change_cart, name="change-cart"),
    path("checkout/", views.checkout, name="checkout"),
    path("orders/", views.my_orders, name="my-orders"),
    path("orders/<uuid:token>/", views.show_order, name="order"),
    path("orders/<uuid:token>/pay/", views.pay_again, name="pay-again"),
]

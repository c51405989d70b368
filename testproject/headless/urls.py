"""The page, and the shop's own API beside django-pagoefectivo's."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "headless"

urlpatterns = [
    path("", views.page, name="page"),
    path("products/", views.products, name="products"),
    path("orders/", views.place_order, name="orders"),
]

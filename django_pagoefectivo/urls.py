"""URLs of django-pagoefectivo: include them under any prefix."""

from __future__ import annotations

from django.urls import path

from . import views
from .pages import views as pages

app_name = "pagoefectivo"

urlpatterns = [
    path("webhook/", views.webhook, name="webhook"),
    path("webhook/<str:merchant>/", views.webhook, name="merchant-webhook"),
    path("payment/<uuid:token>/", pages.payment_page, name="payment"),
    path("payment/<uuid:token>/status/", pages.payment_status, name="payment-status"),
    path("payment/<uuid:token>/return/", pages.payment_return, name="payment-return"),
]

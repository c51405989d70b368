"""URLs of the REST API."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("payments/", views.payments, name="api-payments"),
    # Text and not UUID, so that a mistyped token gets the API's own 404.
    path("payments/<str:token>/", views.payment, name="api-payment"),
    path("payments/<str:token>/sync/", views.payment_sync, name="api-payment-sync"),
    path("payments/<str:token>/extend/", views.payment_extend, name="api-payment-extend"),
    path("payments/<str:token>/cancel/", views.payment_cancel, name="api-payment-cancel"),
    path("statistics/", views.payment_statistics, name="api-statistics"),
]

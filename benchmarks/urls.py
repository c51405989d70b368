"""URLs of the measurements: the app, the admin, the yardstick and the sandbox."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from .shop.yardstick import notified

urlpatterns = [
    path("admin/", admin.site.urls),
    path("pagoefectivo/", include("django_pagoefectivo.urls")),
    path("sandbox/", include("django_pagoefectivo.sandbox.urls")),
    path("yardstick/", notified),
]

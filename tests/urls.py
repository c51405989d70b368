"""URLs of the test suite: the app, its sandbox and the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("pagoefectivo/", include("django_pagoefectivo.urls")),
    path("sandbox/", include("django_pagoefectivo.sandbox.urls")),
]

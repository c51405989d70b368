"""The app's URLs alone."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("pagoefectivo/", include("django_pagoefectivo.urls"))]

"""The shop of the chaos tests: the webhook and the payment pages, nothing else."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("pagoefectivo/", include("django_pagoefectivo.urls"))]

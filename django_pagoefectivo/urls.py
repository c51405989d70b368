"""URLs of django-pagoefectivo: include them under any prefix."""

from __future__ import annotations

from django.urls import URLResolver, path
from django.urls.resolvers import RoutePattern

from . import views
from .health import health
from .pages import views as pages

app_name = "pagoefectivo"

urlpatterns = [
    path("webhook/", views.webhook, name="webhook"),
    path("webhook/<str:merchant>/", views.webhook, name="merchant-webhook"),
    path("health/", health, name="health"),
    path("payment/<uuid:token>/", pages.payment_page, name="payment"),
    path("payment/<uuid:token>/status/", pages.payment_status, name="payment-status"),
    path("payment/<uuid:token>/return/", pages.payment_return, name="payment-return"),
    # What include() does, only when it is first asked for: a process that is there for the
    # webhook need not load Django REST framework before its first answer.
    URLResolver(RoutePattern("api/"), "django_pagoefectivo.api.urls"),
]

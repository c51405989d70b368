"""URLs of the example shop."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

urlpatterns = [
    path("", include("shop.urls")),
    path("headless/", include("headless.urls")),
    path("pagoefectivo/", include("django_pagoefectivo.urls")),
    path("accounts/login/", auth_views.LoginView.as_view(), name="login"),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
if settings.USES_BUILT_IN_SANDBOX:
    urlpatterns += [path("sandbox/", include("django_pagoefectivo.sandbox.urls"))]

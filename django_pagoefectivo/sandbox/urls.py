"""URLs of the sandbox: include them under any prefix.

The shop's ``BASE_URL`` is then that prefix and ``v1`` for the CIP API, ``api/v1`` for the
Payment API.
"""

from __future__ import annotations

from django.urls import path

from . import views_api, views_pages, views_payment

app_name = "pagoefectivo_sandbox"

urlpatterns = [
    path("v1/authorizations", views_api.authorizations, name="authorizations"),
    path("v1/cips", views_api.cips, name="cips"),
    path("v1/cips/search", views_api.search, name="search"),
    path("v1/cips/<int:cip>", views_api.one_cip, name="cip"),
    path("api/v1/payment", views_payment.payment, name="payment"),
    path("api/v1/payment/status", views_payment.status, name="status"),
    path("", views_pages.panel, name="panel"),
    path("faults/", views_pages.arm, name="arm"),
    path("faults/clear/", views_pages.disarm, name="disarm"),
    path("<uuid:uuid>.html", views_pages.code_page, name="page"),
    path("<uuid:uuid>/pay/", views_pages.pay, name="pay"),
    path("<uuid:uuid>/expire/", views_pages.expire, name="expire"),
    path("<uuid:uuid>/delete/", views_pages.delete, name="delete"),
    path("<uuid:uuid>/refund/", views_pages.refund, name="refund"),
]

"""A shop around the pages under test: a home page, a frame of its own and a strict policy."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path

from django_pagoefectivo.models import Payment

POLICY = "default-src 'self'; require-trusted-types-for 'script'"

FRAME = """{% load i18n pagoefectivo %}<!DOCTYPE html>
<html lang="en" class="pe-root"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>The shop</title>
{% pagoefectivo_media %}</head>
<body class="pe-page"><main><h1>Your order</h1>BODY</main></body></html>"""

PARTS = """<p>{% pagoefectivo_status payment %}</p>
{% pagoefectivo_cip payment %}
<p>Pay before {% pagoefectivo_expiry payment %}</p>
{% pagoefectivo_qr payment %}
<p>{% pagoefectivo_button payment %}</p>"""

CARD = "{% pagoefectivo_instructions payment media=False %}"


class PolicyMiddleware:
    """Nothing but files of this server on any page, and no text turned into markup."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response


@login_not_required
def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<!DOCTYPE html><title>The shop</title><h1>The shop</h1>")


@login_not_required
def no_icon(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


def framed(body: str) -> Callable[..., HttpResponse]:
    """A page of the shop that shows ``body`` for the payment with a token."""

    @login_not_required
    def view(request: HttpRequest, token: str) -> HttpResponse:
        template = engines["django"].from_string(FRAME.replace("BODY", body))
        payment = Payment.objects.get(token=token)
        return HttpResponse(template.render({"payment": payment}, request))

    return view


urlpatterns = [
    path("", home),
    path("favicon.ico", no_icon),
    path("parts/<uuid:token>/", framed(PARTS)),
    path("card/<uuid:token>/", framed(CARD)),
    path("", include("tests.urls")),
]

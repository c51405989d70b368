"""The callback, tried by real requests and through this process's own middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import get_script_prefix, include, path, set_script_prefix

from django_pagoefectivo.conf import get_config
from django_pagoefectivo.doctor import Severity
from django_pagoefectivo.doctor.answers import judge
from django_pagoefectivo.exceptions import RequestRejected
from django_pagoefectivo.gateways.cip import CipGateway
from django_pagoefectivo.models import WebhookEvent
from django_pagoefectivo.probing import make_probe

from .conftest import Report

Doctor = Callable[..., Report]
Middleware = Callable[[HttpRequest], HttpResponse]


@login_not_required
def taken(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    return HttpResponse("the shop's own page")


class Swallowing:
    """A URLconf in which a pattern of the shop stands in front."""

    urlpatterns = [
        path("pagoefectivo/<path:rest>", taken),
        path("pagoefectivo/", include("django_pagoefectivo.urls")),
    ]


def login_wall(get_response: Middleware) -> Middleware:
    return lambda request: HttpResponseRedirect(f"/accounts/login/?next={request.path}")


def open_transaction(get_response: Middleware) -> Middleware:
    def middleware(request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            return get_response(request)

    return middleware


def without_signature(get_response: Middleware) -> Middleware:
    def middleware(request: HttpRequest) -> HttpResponse:
        request.META.pop("HTTP_PE_SIGNATURE", None)
        return get_response(request)

    return middleware


class StrictCsrf(CsrfViewMiddleware):
    """Of those who do not believe in exemptions."""

    def process_view(self, request: Any, callback: Any, args: Any, kwargs: Any) -> Any:
        return super().process_view(request, HttpResponse, args, kwargs)


def broken(get_response: Middleware) -> Middleware:
    def middleware(request: HttpRequest) -> HttpResponse:
        raise RuntimeError("something else broke")

    return middleware


@pytest.mark.django_db(transaction=True)
def test_a_request_that_arrives_changes_nothing(doctor: Doctor) -> None:
    report = doctor()
    assert report.of("callback").severity is Severity.OK
    assert report.of("callback.address").severity is Severity.WARNING
    assert doctor(as_production=True).of("callback.address").severity is Severity.ERROR
    assert WebhookEvent.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("middleware", "name"),
    [
        ("login_wall", "callback.login"),
        ("open_transaction", "callback.transaction"),
        ("without_signature", "callback.signature"),
        ("StrictCsrf", "callback.csrf"),
        ("broken", "callback.other"),
    ],
)
def test_what_stands_in_the_way_is_named(
    doctor: Doctor, settings: Any, middleware: str, name: str
) -> None:
    settings.MIDDLEWARE = [f"{__name__}.{middleware}", *settings.MIDDLEWARE]
    assert doctor().of(name).severity is Severity.ERROR
    assert WebhookEvent.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_an_earlier_pattern_takes_it(doctor: Doctor, settings: Any) -> None:
    settings.ROOT_URLCONF = Swallowing
    report = doctor()
    assert "tests.doctor.test_callback.taken" in report.of("callback.view").sentence
    assert report.of("callback.csrf").severity is Severity.ERROR


@pytest.mark.django_db(transaction=True)
def test_own_address_may_be_kept_out(doctor: Doctor, configure: Callable[..., None]) -> None:
    configure(ALLOWED_IPS=["203.0.113.0/24"])
    assert doctor().of("callback.allowed-ips").severity is Severity.ADVICE


@pytest.mark.django_db(transaction=True)
def test_inside_it_is_the_shops_own_address_that_is_asked(
    doctor: Doctor, settings: Any, configure: Callable[..., None]
) -> None:
    settings.ALLOWED_HOSTS = [".example.pe"]
    settings.PREPEND_WWW = True
    settings.SECURE_SSL_REDIRECT = True
    configure(SITE_URL="https://www.example.pe")
    assert doctor().of("callback").severity is Severity.OK
    configure(SITE_URL="https://example.pe")
    assert "https://www.example.pe/" in doctor().of("callback.redirect").sentence
    # That the host is refused is said once; what else is in the way, all the same.
    settings.PREPEND_WWW = False
    configure(SITE_URL="https://other.pe")
    report = doctor()
    assert report.of("allowed-hosts").severity is Severity.ERROR
    assert report.of("callback").severity is Severity.OK


@pytest.mark.parametrize(
    ("url", "faults"),
    [
        ("https://shop.pe", []),
        ("http://shop.pe", ["callback.https"]),
        ("https://127.0.0.1", ["callback.public"]),
        ("https://192.168.1.7:8443", ["callback.public"]),
        ("https://shop", ["callback.public"]),
        ("https://shop.local", ["callback.public"]),
        ("http://localhost", ["callback.https", "callback.public"]),
    ],
)
def test_the_look_of_the_address(doctor: Doctor, url: str, faults: list[str]) -> None:
    report = doctor(site_url=url)
    look = [one for one in report.faults if one in ("callback.https", "callback.public")]
    assert look == faults
    assert {report.of(one).severity for one in faults} <= {Severity.WARNING}
    grave = doctor(site_url=url, as_production=True)
    assert {grave.of(one).severity for one in faults} <= {Severity.ERROR}


@pytest.mark.parametrize(
    ("status", "location", "text", "name"),
    [
        (301, "https://shop.pe/pagoefectivo/webhook/default/", "", "redirect"),
        (302, "/accounts/login/?next=/pagoefectivo/webhook/default/", "", "login"),
        (301, "https://shop.pe/", "", "redirect"),
        (302, "/ingresar/", "", "login"),
        (302, "/cuentas/entrar/?siguiente=/pagoefectivo/webhook/default/", "", "login"),
        (302, "https://sso.pe/entrar", "", "login"),
        (301, "/pagoefectivo/webhook/default", "", "slash"),
        (400, "", "Bad Request", "host"),
        (401, "", "", "login"),
        (403, "", "CSRF verification failed", "csrf"),
        (403, "", "signature refused", "signature"),
        (403, "", "signature refused: the body was empty or had been read", "signature"),
        (400, "", "Content-Length is no number", "signature"),
        (403, "", "probe refused", "installation"),
        (200, "", "WyJhIl0:1vA-b_c:Abc-_123", "installation"),
        (400, "", "cannot be read: data is missing", "installation"),
        (404, "", "no such merchant", "installation"),
        (503, "", "try again", "installation"),
        (404, "", "", "not-found"),
        (200, "", "welcome", "other"),
        (403, "", "<h1>Forbidden</h1>", "other"),
        (418, "", "", "other"),
        (503, "", "<h1>Volvemos pronto</h1>", "other"),
        (502, "", "", "other"),
    ],
)
def test_answers_are_read(status: int, location: str, text: str, name: str) -> None:
    url = "http://shop.pe/pagoefectivo/webhook/default/"
    probe = make_probe(get_config().merchant("default"))
    found = judge(url, status, location, text, probe)
    assert (found.id, found.severity) == (f"callback.{name}", Severity.ERROR)
    assert url in found.sentence
    assert "next=" not in found.sentence
    assert (f"answered {status} by something in front" in found.sentence) is (name == "other")


def test_the_shops_own_login_page_is_called_so(settings: Any) -> None:
    settings.LOGIN_URL = "/ingresar/"
    probe = make_probe(get_config().merchant("default"))
    url = "https://shop.pe/pagoefectivo/webhook/default/"
    assert "the login page" in judge(url, 302, "/ingresar/", "", probe).sentence
    settings.LOGIN_URL = "no-such-name"
    assert "as a login wall does" in judge(url, 302, "/ingresar/", "", probe).sentence


# -- over the network ----------------------------------------------------------------------


class FarEnd(BaseHTTPRequestHandler):
    """Answers with any status and any date."""

    ahead = timedelta(0)
    dated = True
    status = 401

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response_only(self.status)
        if self.dated:
            now = datetime.now(UTC) + self.ahead
            self.send_header("Date", format_datetime(now, usegmt=True))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = _answer  # noqa: N815

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def far_end(configure: Callable[..., None]) -> Iterator[type[FarEnd]]:
    class Handler(FarEnd):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    configure(merchant={"BASE_URL": f"{address}/v1"}, SITE_URL=address)
    yield Handler
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_the_running_server_is_asked(
    doctor: Doctor, live_server: Any, configure: Callable[..., None], transactional_db: None
) -> None:
    configure(merchant={"BASE_URL": f"{live_server.url}/sandbox/v1"})
    report = doctor(offline=False, site_url=live_server.url)
    assert live_server.url in report.of("callback").sentence
    assert report.of("keys").severity is Severity.OK
    assert report.of("clock").severity is Severity.OK
    assert WebhookEvent.objects.count() == 0


def test_wrong_keys(
    doctor: Doctor, live_server: Any, configure: Callable[..., None], transactional_db: None
) -> None:
    configure(merchant={"BASE_URL": f"{live_server.url}/sandbox/v1"})
    right = get_config().raw
    configure(merchant={"ACCESS_KEY": "ANOTHERACCESSKEY0001"})
    # Where the sandbox looks its merchants up, they have the right keys.
    with pytest.MonkeyPatch.context() as patch:
        from django_pagoefectivo.conf import Config
        from django_pagoefectivo.sandbox import credentials

        patch.setattr(credentials, "get_config", lambda: Config(right))
        found = doctor(offline=False, site_url=live_server.url).of("keys")
    assert found.severity is Severity.ERROR
    assert "ANOTHERACCESSKEY0001" not in found.sentence


@pytest.mark.parametrize(
    ("ahead", "severity", "words"),
    [
        (timedelta(hours=1), Severity.ERROR, "60 minutes behind"),
        (timedelta(hours=-1), Severity.ERROR, "60 minutes ahead of"),
        (timedelta(seconds=60), Severity.WARNING, "some seconds behind"),
        (timedelta(0), Severity.OK, "agrees"),
    ],
)
def test_clock(
    doctor: Doctor, far_end: type[FarEnd], ahead: timedelta, severity: Severity, words: str
) -> None:
    far_end.ahead = ahead
    found = doctor(offline=False).of("clock")
    assert found.severity is severity
    assert words in found.sentence


def test_a_clock_that_cannot_be_compared_is_said(
    doctor: Doctor, far_end: type[FarEnd], configure: Callable[..., None]
) -> None:
    far_end.dated = False
    assert "could not be compared" in doctor(offline=False).of("clock").sentence
    configure(merchant={"BASE_URL": "http://127.0.0.1:9/v1"})
    assert doctor(offline=False).of("clock").severity is Severity.ADVICE


def test_refused_without_a_word_and_silent(
    doctor: Doctor, far_end: type[FarEnd], configure: Callable[..., None]
) -> None:
    report = doctor(offline=False)
    assert report.of("keys").severity is Severity.ERROR
    assert report.of("callback.login").severity is Severity.ERROR
    far_end.status = 502
    assert doctor(offline=False).of("far-end").severity is Severity.ERROR


def test_nobody_is_there(doctor: Doctor, configure: Callable[..., None]) -> None:
    configure(SITE_URL="http://127.0.0.1:9")
    found = doctor(offline=False).of("callback.reachable")
    assert "the connection failed" in found.sentence
    configure(SITE_URL="http://no-such-name.invalid")
    found = doctor(offline=False).of("callback.reachable")
    assert "does not resolve" in found.sentence


def test_a_certificate_that_is_not_accepted_and_silence(
    doctor: Doctor,
    far_end: type[FarEnd],
    configure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = get_config().site_url or ""
    found = doctor(offline=False, site_url=site.replace("http:", "https:"))
    assert "certificate is not accepted" in found.of("callback.reachable").sentence

    def silent(*args: Any, **kwargs: Any) -> Any:
        raise requests.Timeout

    monkeypatch.setattr(requests.Session, "post", silent)
    assert "no answer in time" in doctor(offline=False).of("callback.reachable").sentence


@pytest.mark.parametrize(("code", "name"), [("508", Severity.ERROR), ("113", Severity.OK)])
def test_a_refusal_says_that_the_keys_were_taken_unless_it_is_about_them(
    doctor: Doctor,
    far_end: type[FarEnd],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    name: Severity,
) -> None:
    def refuse(*args: Any) -> Any:
        raise RequestRejected("no", code=code)

    monkeypatch.setattr(CipGateway, "states", refuse)
    assert doctor(offline=False).of("keys").severity is name


class OwnSignature(CipGateway):
    """A contract that signs in a way of its own."""

    @classmethod
    def signing_key(cls, body: bytes, signature: str, secret_keys: Any) -> int | None:
        return super().signing_key(body, signature[::-1], secret_keys)


@pytest.mark.django_db(transaction=True)
def test_a_signature_the_probe_does_not_know_is_not_judged(
    doctor: Doctor, configure: Callable[..., None]
) -> None:
    configure(merchant={"API": f"{__name__}.OwnSignature"})
    assert doctor().of("callback").severity is Severity.OK


@pytest.mark.django_db(transaction=True)
def test_mounted_below_a_path(doctor: Doctor, settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/shop"
    before = get_script_prefix()
    set_script_prefix("/shop/")
    try:
        assert doctor().of("callback").severity is Severity.OK
    finally:
        set_script_prefix(before)

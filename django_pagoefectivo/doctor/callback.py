"""The callback: can PagoEfectivo's notifications reach the webhook from outside?"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings
from django.test import Client
from django.urls import NoReverseMatch, get_script_prefix, resolve, reverse

from .. import views
from ..conf import Merchant
from ..probing import MISSING, OK, Probe, make_probe, read_answer
from .findings import Finding, Severity, ok
from .room import TIMEOUT, Room

_SYMPTOM = "howto/troubleshooting#no-notification-arrives"
#: Endings of names that no resolver of the internet knows.
_NOT_PUBLIC = (".localhost", ".local", ".internal", ".lan", ".test", ".invalid", ".example")
_Fault = Callable[[str, str, str], Finding]
_REDIRECTS = (301, 302, 303, 307, 308)


def check_callback(room: Room) -> Iterator[Finding]:
    """Each merchant's callback URL, by its look and by a real request."""
    for merchant in room.merchants:
        try:
            path = reverse("pagoefectivo:merchant-webhook", args=[merchant.name])
        except NoReverseMatch:
            # The system check says so.
            return
        inside = "/" + path.removeprefix(get_script_prefix())
        yield from _check_path(inside)
        site_url = room.site_url_of(merchant)
        if site_url is None:
            yield Finding(
                "callback.address",
                room.grave,
                f"SITE_URL is not set, so nobody can say at what address merchant "
                f"{merchant.name}'s notifications arrive; only the way inside was tried.",
                'Set PAGOEFECTIVO["SITE_URL"] to the public address of the shop, or give the '
                "doctor one with --url.",
                _SYMPTOM,
            )
            yield _judged_inside(merchant, inside)
            continue
        url = urljoin(site_url, path)
        yield from _look_of(url, room)
        if room.offline:
            yield _judged_inside(merchant, inside)
        else:
            yield probed(room.http, merchant, url)


def _check_path(path: str) -> Iterator[Finding]:
    found = resolve(path).func
    if found is not views.webhook:
        name = f"{found.__module__}.{getattr(found, '__qualname__', type(found).__qualname__)}"
        yield Finding(
            "callback.view",
            Severity.ERROR,
            f"{path} leads to {name} and not to the webhook: an earlier pattern takes it.",
            "Move the include of django_pagoefectivo.urls up in the root URLconf.",
            _SYMPTOM,
        )


def _look_of(url: str, room: Room) -> Iterator[Finding]:
    """What the address itself says."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        yield Finding(
            "callback.https",
            room.grave,
            f"The callback {url} is not https: notifications could be read and held back on "
            "their way.",
            "Serve the shop over https and give SITE_URL with https://.",
            _SYMPTOM,
        )
    if not _is_public_name(host):
        yield Finding(
            "callback.public",
            room.grave,
            f"{host} is no public name: PagoEfectivo cannot reach it from the internet.",
            "Give SITE_URL the shop's public name; for tries on your own machine use the "
            "built-in sandbox.",
            _SYMPTOM,
        )


def _is_public_name(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not f".{host}".endswith(_NOT_PUBLIC)


# -- the request -----------------------------------------------------------------------------


def probed(http: requests.Session, merchant: Merchant, url: str) -> Finding:
    """Post a probe of ``merchant``'s webhook to ``url`` and say what became of it."""
    probe = make_probe(merchant)
    try:
        response = http.post(
            url,
            data=probe.body,
            headers=dict(probe.headers),
            timeout=TIMEOUT,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return Finding(
            "callback.reachable",
            Severity.ERROR,
            f"{url} cannot be reached from here: {_why(error, url)}.",
            "See that the server runs, that the name resolves, that the certificate is valid "
            "and that no firewall stands before it. If just this machine cannot reach it, run "
            "the doctor from another one.",
            _SYMPTOM,
        )
    location = response.headers.get("Location", "")
    return judge(url, response.status_code, location, response.text, probe)


def _judged_inside(merchant: Merchant, path: str) -> Finding:
    """The same through URLs and middleware of this process, where there is no way from outside."""
    probe = make_probe(merchant)
    headers = dict(probe.headers)
    content_type = headers.pop("Content-Type")
    host = next((h.lstrip(".") for h in settings.ALLOWED_HOSTS if h != "*"), "localhost")
    client = Client(enforce_csrf_checks=True, raise_request_exception=False, SERVER_NAME=host)
    secure = bool(settings.SECURE_SSL_REDIRECT)
    response = client.post(
        path, probe.body, content_type=content_type, headers=headers, secure=secure
    )
    text = b"".join(response).decode("utf-8", "replace")
    return judge(path, response.status_code, response.get("Location", ""), text, probe)


def _why(error: requests.RequestException, url: str) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    try:
        socket.getaddrinfo(urlsplit(url).hostname, None)
    except OSError:
        return f"the name {urlsplit(url).hostname} does not resolve"
    return f"the connection failed ({type(error).__name__})"


def judge(url: str, status: int, location: str, text: str, probe: Probe) -> Finding:
    """What an answer to the probe says about the way to the webhook."""

    def fault(name: str, sentence: str, mend: str) -> Finding:
        return Finding(f"callback.{name}", Severity.ERROR, f"{url} {sentence}", mend, _SYMPTOM)

    answer = read_answer(text, probe) if status == 200 else None
    if answer is not None:
        if answer.signature != OK:
            what = "lost" if answer.signature == MISSING else "no longer right"
            return fault(
                "signature",
                f"is the webhook, but the signature was {what} when the request arrived: every "
                "notification would be refused.",
                "Let the proxy in front pass the signature header and the body untouched.",
            )
        if answer.in_transaction:
            return fault(
                "transaction",
                "is the webhook, but a transaction is open around it: what is answered 200 "
                "could still be rolled back and be lost.",
                "Find the middleware that opens it (transaction.atomic around get_response) "
                "and let it pass over the webhook.",
            )
        return ok("callback", f"{url} is the webhook; a signed request arrives untouched.")
    if status in _REDIRECTS:
        return _redirected(url, location, fault)
    if status == 403 and text == "address not allowed":
        return Finding(
            "callback.allowed-ips",
            Severity.ADVICE,
            f"{url} is the webhook; ALLOWED_IPS keeps this machine out, as it may.",
            "See that PagoEfectivo's own networks are in ALLOWED_IPS.",
        )
    if status == 403 and "CSRF" in text:
        return fault(
            "csrf",
            "is refused for want of a CSRF token: something in front checks it in spite of the "
            "webhook's exemption.",
            "Look for a middleware of your own that checks CSRF tokens, or a decorator around "
            "the include of the URLs.",
        )
    return _not_the_webhook(status, fault)


def _redirected(url: str, location: str, fault: _Fault) -> Finding:
    target = urlsplit(urljoin(url, location))
    here = urlsplit(url)
    shown = target._replace(query="", fragment="").geturl()
    if "login" in target.path or "next=" in target.query:
        return fault(
            "login",
            f"redirects to the login page {shown}: PagoEfectivo has no account.",
            "Take the webhook out of what needs a login: it carries login_not_required, so look "
            "for a middleware of your own, a decorator around the include, or the proxy.",
        )
    if target.path == here.path + "/" or target.path + "/" == here.path:
        return fault(
            "slash",
            f"redirects to {shown}, as APPEND_SLASH or the proxy does: a POST does not survive it.",
            "Tell PagoEfectivo the address with its final slash, as the doctor prints it, and "
            "let the proxy keep it.",
        )
    return fault(
        "redirect",
        f"redirects to {shown}: PagoEfectivo does not follow, and a POST would be lost.",
        "Give SITE_URL the address that the redirect leads to (https, with or without www).",
    )


def _not_the_webhook(status: int, fault: _Fault) -> Finding:
    cases = {
        400: (
            "host",
            "answers 400 before the webhook is asked, as Django does to a host it does not know.",
            "Add the host to ALLOWED_HOSTS, and let the proxy pass the Host header.",
        ),
        401: (
            "login",
            "asks for a password (401): PagoEfectivo has none.",
            "Take the webhook out of the server's basic authentication.",
        ),
        404: (
            "not-found",
            "is not found there: the server runs other URLs, or the proxy leads elsewhere.",
            "Include django_pagoefectivo.urls in the URLconf that is served, and deploy it.",
        ),
    }
    name, sentence, mend = cases.get(
        status,
        (
            "other",
            f"answers {status} and not as this installation's webhook: something else does.",
            "See what serves it: another installation or SECRET_KEY, a firewall, an error page.",
        ),
    )
    return fault(name, sentence, mend)

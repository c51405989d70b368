"""The callback: can PagoEfectivo's notifications reach the webhook from outside?"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings
from django.http.request import validate_host
from django.test import Client
from django.urls import NoReverseMatch, get_script_prefix, resolve, reverse

from .. import views
from ..conf import Merchant
from ..probing import make_probe
from .answers import SYMPTOM, judge
from .findings import Finding, Severity
from .room import TIMEOUT, Room

#: Endings of names that no resolver of the internet knows.
_NOT_PUBLIC = (".localhost", ".local", ".internal", ".lan", ".test", ".invalid", ".example")


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
                SYMPTOM,
            )
            yield _judged_inside(merchant, inside, site_url)
            continue
        url = urljoin(site_url, path)
        yield from _look_of(url, room)
        if room.offline:
            yield _judged_inside(merchant, inside, site_url)
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
            SYMPTOM,
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
            SYMPTOM,
        )
    if not _is_public_name(host):
        yield Finding(
            "callback.public",
            room.grave,
            f"{host} is no public name: PagoEfectivo cannot reach it from the internet.",
            "Give SITE_URL the shop's public name; for tries on your own machine use the "
            "built-in sandbox.",
            SYMPTOM,
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
            SYMPTOM,
        )
    location = response.headers.get("Location", "")
    return judge(url, response.status_code, location, response.text, probe)


def _judged_inside(merchant: Merchant, path: str, site_url: str | None) -> Finding:
    """The same through URLs and middleware of this process, where there is no way from outside."""
    probe = make_probe(merchant)
    headers = {**probe.headers, "Host": _host_inside(site_url)}
    content_type = headers.pop("Content-Type")
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    secure = urlsplit(site_url).scheme == "https" if site_url else settings.SECURE_SSL_REDIRECT
    response = client.post(
        path, probe.body, content_type=content_type, headers=headers, secure=bool(secure)
    )
    text = b"".join(response).decode("utf-8", "replace")
    return judge(path, response.status_code, response.get("Location", ""), text, probe)


def _host_inside(site_url: str | None) -> str:
    """The host that the shop is asked for; another of its own if it would refuse that one."""
    parts = urlsplit(site_url or "")
    if parts.hostname and validate_host(parts.hostname, settings.ALLOWED_HOSTS):
        return parts.netloc
    return next((h.lstrip(".") for h in settings.ALLOWED_HOSTS if h != "*"), "localhost")


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

"""The servers of a rehearsal, on the loopback address: the shop, and PagoEfectivo.

The shop is served by its own middleware. Each request looks like one that came to its public
address, over https if it is one, and from a network that may notify: the rehearsal stands
behind the proxy, so to speak. PagoEfectivo is served apart, since nothing of the shop's stands
before the real one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)
from django.test import override_settings
from django.urls import include, path

from ..conf import Options
from ..testing.hosting import APP
from .lines import text_of
from .preflight import Obstacle

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
_HOST = "127.0.0.1"


class _Quiet(WSGIRequestHandler):
    """Says nothing about requests: the lines of the rehearsal do."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
        """Be quiet."""


class _Server(ThreadedWSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that is cut is what the rehearsal asks for."""


@contextmanager
def serving(application: Application) -> Iterator[str]:
    """Serve ``application``; the address to call."""
    server = _Server((_HOST, 0), _Quiet)
    server.set_app(application)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def without_proxy() -> Iterator[None]:
    """Let no proxy of the machine's stand between this process and its own servers."""
    names = ("no_proxy", "NO_PROXY")
    before = {name: os.environ[name] for name in names if name in os.environ}
    known = before.get("no_proxy", before.get("NO_PROXY", ""))
    if known.strip() != "*":
        os.environ.update(dict.fromkeys(names, ",".join(filter(None, [known, _HOST]))))
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)


# -- the shop ------------------------------------------------------------------------------


def shop(options: Options) -> Application:
    """The project as it is served. ``options`` say how requests must look.

    Raises ``Obstacle`` where it cannot be loaded.
    """
    try:
        application = get_internal_wsgi_application()
    except (ImportError, ImproperlyConfigured) as error:
        cause = error.__cause__
        raise _not_served(f"{error}" if cause is None else f"{error} ({cause})") from None
    except Exception as error:  # noqa: BLE001 - the project's own code
        raise _not_served(f"Loading it broke off with {text_of(error)}.") from None
    return _as_from_outside(application, options)


def _not_served(words: str) -> Obstacle:
    return Obstacle(
        "the project is served as a WSGI server would serve it",
        f"It cannot be loaded: {words}",
        "See that each name in MIDDLEWARE can be imported, and that WSGI_APPLICATION names the "
        "project's WSGI application. A project that has ASGI alone leaves WSGI_APPLICATION out.",
    )


def _as_from_outside(application: Application, options: Options) -> Application:
    site = urlsplit(options.site_url or "")
    host = site.netloc or next((h.lstrip(".") for h in settings.ALLOWED_HOSTS if h != "*"), "")
    is_secure = site.scheme == "https" or bool(settings.SECURE_SSL_REDIRECT)
    disguise: dict[str, str] = _sender(options)
    if host:
        disguise["HTTP_HOST"] = host
    if is_secure:
        disguise["wsgi.url_scheme"] = "https"
        if settings.SECURE_PROXY_SSL_HEADER:
            name, value = settings.SECURE_PROXY_SSL_HEADER
            disguise[name] = value

    # What a web server does that mounts the project below a path.
    prefix = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")

    def disguised(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        inside = {"PATH_INFO": environ["PATH_INFO"].removeprefix(prefix)}
        return application({**environ, **disguise, **inside}, start_response)

    return disguised


def _sender(options: Options) -> dict[str, str]:
    """Who seems to call: the first address of ``ALLOWED_IPS``, through a trusted proxy."""
    if not options.allowed_ips:
        return {}
    sender = str(options.allowed_ips[0].network_address)
    if options.ip_header is None:
        return {"REMOTE_ADDR": sender}
    header = "HTTP_" + options.ip_header.upper().replace("-", "_")
    return {"REMOTE_ADDR": str(options.trusted_proxies[0].network_address), header: sender}


# -- PagoEfectivo --------------------------------------------------------------------------


class _Bare(WSGIHandler):
    """Django without any middleware."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Load none."""
        with override_settings(MIDDLEWARE=[]):
            super().load_middleware(is_async)


def far_end(prefix: str) -> Application:
    """The built-in sandbox alone, below ``prefix``, which begins and ends without a slash."""
    urls = ModuleType("django_pagoefectivo_far_end")
    urls.urlpatterns = [path(f"{prefix}/", include(f"{APP}.urls"))]  # type: ignore[attr-defined]

    class Request(WSGIRequest):
        urlconf = urls  # type: ignore[assignment]

        def get_host(self) -> str:
            # ALLOWED_HOSTS are the shop's.
            return str(self.META["HTTP_HOST"])

    handler = _Bare()
    handler.request_class = Request
    return handler

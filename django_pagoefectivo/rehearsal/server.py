"""The shop served to the rehearsal alone, on the loopback address, by its own middleware.

Each request looks like one that came to the shop's public address, over https if it is one, and
from a network that may notify: the rehearsal stands behind the proxy, so to speak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)

from ..conf import Options

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class _Quiet(WSGIRequestHandler):
    """Says nothing about requests: the lines of the rehearsal do."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
        """Be quiet."""


class _Server(ThreadedWSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that is cut is what the rehearsal asks for."""


@contextmanager
def serving(options: Options) -> Iterator[str]:
    """Serve the project; the address to call. ``options`` say how requests must look."""
    server = _Server(("127.0.0.1", 0), _Quiet)
    server.set_app(_as_from_outside(get_internal_wsgi_application(), options))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


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
        path = {"PATH_INFO": environ["PATH_INFO"].removeprefix(prefix)}
        return application({**environ, **disguise, **path}, start_response)

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

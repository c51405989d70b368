"""Cutting a connection for real, under any server.

The client has to see what it would see of a broken line. Django's own servers keep a
connection open after an answer that stops short, and the client would only wait; so the
socket is shut where it can be had, and the answer breaks off everywhere else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

from django.http import HttpRequest, StreamingHttpResponse


def cut(request: HttpRequest) -> StreamingHttpResponse:
    """An answer that never ends well: the client sees its connection drop."""
    response = StreamingHttpResponse(_break_off(request), content_type="application/json")
    # More than will come, so that what does come cannot be taken for a whole answer.
    response["Content-Length"] = "1000"
    return response


def _break_off(request: HttpRequest) -> Iterator[bytes]:
    descriptor = _socket_of(request)
    if descriptor is not None:
        # A duplicate shuts the same connection, and the server closes its own as ever.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as line:
            line.shutdown(socket.SHUT_RDWR)
    yield b'{"code":'
    # Servers take this error for a client that has gone, and write no traceback.
    raise ConnectionResetError(errno.ECONNRESET, "cut by the PagoEfectivo sandbox")


def _socket_of(request: HttpRequest) -> int | None:
    """The connection's file descriptor, if the server lets it be found."""
    stream = request.META.get("wsgi.input")
    candidates = (
        request.META.get("gunicorn.socket"),
        # Django's runserver and live server wrap the connection's reader.
        getattr(getattr(stream, "_read", None), "__self__", None),
        stream,
    )
    for candidate in candidates:
        try:
            descriptor = int(candidate.fileno())  # type: ignore[union-attr]
            with socket.socket(fileno=os.dup(descriptor)):
                return descriptor
        except (AttributeError, OSError, ValueError):
            continue
    return None

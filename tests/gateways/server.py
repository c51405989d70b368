"""A raw HTTP server whose every byte, delay and cut a test decides."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

REASONS = {200: "OK", 201: "Created", 302: "Found", 400: "Bad Request", 401: "Unauthorized"}
TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VydmljZS10b2tlbi1ub3QtcmVhbA.bm90LWEtc2lnbmF0dXJl"


@dataclass(frozen=True)
class Request:
    """What arrived: ``connection`` counts the TCP connections from 0."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def call(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is sent back. ``steps`` replace the whole answer: seconds to wait, then bytes.

    ``close`` hangs up afterwards; ``length`` is what Content-Length claims.
    """

    status: int = 200
    body: bytes | str | Mapping[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    length: int | None = None
    close: bool = False
    steps: tuple[tuple[float, bytes], ...] | None = None

    def sequence(self) -> Iterable[tuple[float, bytes]]:
        if self.steps is not None:
            return self.steps
        body = self.body
        if isinstance(body, Mapping):
            body = json.dumps(body, ensure_ascii=False)
        if isinstance(body, str):
            body = body.encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body) if self.length is None else self.length),
            **self.headers,
        }
        head = f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return ((self.delay, head.encode("latin-1") + b"\r\n" + body),)


Script = Reply | Callable[[Request], Reply]


def cut() -> Reply:
    """Hang up without a byte of an answer."""
    return Reply(steps=(), close=True)


def token_reply(token: str = TOKEN, *, code: object = "100", **data: object) -> Reply:
    """A token that lives two hours."""
    inner = {
        "token": token,
        "codeService": "SRV",
        "tokenStart": "2026-11-23T10:15:30-05:00",
        "tokenExpires": "2026-11-23T12:15:30-05:00",
        **data,
    }
    inner = {name: value for name, value in inner.items() if value is not None}
    return Reply(201, {"code": code, "message": "Solicitud exitosa.", "data": inner})


def issued(request: Request, *, cip: object = 10092759, code: object = "100") -> Reply:
    """The answer to a create call, in the form of PagoEfectivo's document."""
    sent = request.json
    data = {
        "cip": cip,
        "currency": sent["currency"],
        "amount": sent["amount"],
        "transactionCode": sent["transactionCode"],
        "dateExpiry": sent["dateExpiry"],
        "cipUrl": "https://pre1a.payment.pagoefectivo.pe/0b5f1c7e-8a76-4d6e-9d8a-0b5f1c7e8a76.html",
    }
    return Reply(201, {"code": code, "message": "Solicitud exitosa.", "data": data})


def done(code: object = "100", data: object = None) -> Reply:
    """A plain success."""
    body = {"code": code, "message": "Solicitud exitosa.", "data": {} if data is None else data}
    return Reply(200, body)


class WireServer:
    """Listens on a free port of this machine until ``close``.

    ``on("POST /cips", a, b)`` answers the first call with ``a`` and every later one with
    ``b``. Token calls succeed unless scripted.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._tls = tls
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._scripts: dict[str, deque[Script]] = {
            "POST /v1/authorizations": deque([token_reply()]),
        }
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/v1"

    @property
    def calls(self) -> Counter[str]:
        """How often each ``"METHOD /path"`` below ``/v1`` was asked."""
        with self._guard:
            return Counter(request.call.replace("/v1", "", 1) for request in self.requests)

    @property
    def tokens(self) -> int:
        return self.calls["POST /authorizations"]

    def last(self, call: str) -> Request:
        found = [r for r in self.requests if r.call.replace("/v1", "", 1) == call]
        return found[-1]

    def on(self, call: str, *replies: Script) -> None:
        method, path = call.split(" ")
        with self._guard:
            self._scripts[f"{method} /v1{path}"] = deque(replies)

    def hang_up_idle(self) -> None:
        """Close every open connection, as a server does with idle ones."""
        with self._guard:
            for connection in self._open:
                _shut(connection)

    def close(self) -> None:
        self._stopping.set()
        _shut(self._listener)
        self._listener.close()
        self.hang_up_idle()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            # Small answers must not wait for the acknowledgement of earlier ones.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._guard:
                number, self.connections = self.connections, self.connections + 1
                self._open.add(connection)
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        talking = connection
        try:
            if self._tls is not None:
                talking = self._tls.wrap_socket(connection, server_side=True)
                with self._guard:
                    self._open = self._open - {connection} | {talking}
            with talking.makefile("rb") as stream:
                while request := _read_request(stream, number):
                    if not self._answer(talking, request):
                        return
        except (OSError, ValueError):
            return
        finally:
            with self._guard:
                self._open -= {connection, talking}
            _shut(talking)
            talking.close()
            connection.close()

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        with self._guard:
            self.requests.append(request)
            script = self._scripts.get(request.call)
            step: Script = Reply(404, "<h1>Not Found</h1>")
            if script:
                step = script.popleft() if len(script) > 1 else script[0]
        reply = step if isinstance(step, Reply) else step(request)
        for wait, data in reply.sequence():
            if wait and self._stopping.wait(wait):
                return False
            connection.sendall(data)
        return not reply.close


def _read_request(stream: Any, number: int) -> Request | None:
    first = stream.readline()
    if not first.strip():
        return None
    method, path, _ = first.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body, number)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return

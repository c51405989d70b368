"""A stand-in for PagoEfectivo's CIP API, over real HTTP, for tests that need to hold it still.

It answers as the public document says and can be told to wait at a gate, to cut the
connection before or after its work, or to answer anything. It counts every call.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GENERATED, PAID, EXPIRED, ANNULLED, DELETED = 22, 23, 21, 24, 25
NEVER = "1900-01-01T00:00:00-05:00"
_STATUS_NAME = {22: "Generado.", 23: "Cancelado.", 21: "Expirado.", 24: "Anulado.", 25: "Eliminado"}


@dataclass
class Call:
    """One request as it arrived."""

    operation: str
    method: str
    path: str
    body: bytes
    headers: dict[str, str]

    @property
    def data(self) -> Any:
        return json.loads(self.body, parse_float=Decimal) if self.body else None


def _new_token() -> str:
    return uuid.uuid4().hex.upper()


@dataclass
class Code:
    """A CIP at PagoEfectivo."""

    cip: str
    transaction_code: str
    amount: Any
    currency: str
    expires: str
    status: int = GENERATED
    name: str | None = None
    paid_at: str = NEVER
    token: str = field(default_factory=_new_token)


@dataclass
class Reply:
    """What to answer instead: raw bytes, after doing the work (``did``) or without."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    does_it: bool = False
    cut: bool = False
    delay: float = 0.0
    declare_length: bool = True
    content_encoding: str = ""


Fault = Reply | Callable[["PagoEfectivo", Call], Reply | None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    connections = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what many tests are about."""


class PagoEfectivo:
    """The server. Use it as a context manager; ``url`` is the base URL for a merchant."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.codes: dict[str, Code] = {}
        self.lock = threading.RLock()
        self.tokens: list[str] = []
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        #: Operation → called before the work, in the server's thread; may wait.
        self.gates: dict[str, Callable[[Call], object]] = {}
        #: Operation → called after the work, before the answer; may wait.
        self.after: dict[str, Callable[[Call], object]] = {}
        self.next_cip = 10_000_001
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> PagoEfectivo:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def connections(self) -> int:
        """How often anybody connected, whatever was asked for then."""
        return self._server.connections

    @property
    def counts(self) -> Counter[str]:
        with self.lock:
            return Counter(call.operation for call in self.calls)

    def of(self, operation: str) -> list[Call]:
        with self.lock:
            return [call for call in self.calls if call.operation == operation]

    def fail_next(self, operation: str, *faults: Fault) -> None:
        """Answer the next calls of ``operation`` so, one fault each."""
        self.faults[operation].extend(faults)

    def by_transaction(self, code: str) -> list[Code]:
        with self.lock:
            return [c for c in self.codes.values() if c.transaction_code == code]

    def open_codes(self) -> list[Code]:
        with self.lock:
            return [c for c in self.codes.values() if c.status == GENERATED]

    # -- the work ----------------------------------------------------------------------

    def do(self, call: Call) -> tuple[int, Any]:
        with self.lock:
            answer: tuple[int, Any] = getattr(self, f"_{call.operation}")(call)
            return answer

    def _authorize(self, call: Call) -> tuple[int, Any]:
        token = f"eyJhbGciOi.{uuid.uuid4().hex}{uuid.uuid4().hex}.sgn"
        self.tokens.append(token)
        return 201, {
            "code": "100",
            "message": "Solicitud exitosa.",
            "data": {
                "token": token,
                "codeService": "SRV",
                "tokenStart": "2026-11-23T10:00:00-05:00",
                "tokenExpires": "2026-11-23T12:00:00-05:00",
            },
        }

    def _create(self, call: Call) -> tuple[int, Any]:
        data = call.data
        cip = str(self.next_cip)
        self.next_cip += 1
        code = Code(
            cip, data["transactionCode"], data["amount"], data["currency"], data["dateExpiry"]
        )
        self.codes[cip] = code
        return 201, {
            "code": "100",
            "message": "Solicitud exitosa.",
            "data": {
                "cip": int(cip),
                "currency": code.currency,
                "amount": float(code.amount),
                "transactionCode": code.transaction_code,
                "dateExpiry": code.expires,
                "cipUrl": f"https://pre1a.payment.example/{code.token}.html",
            },
        }

    def _search(self, call: Call) -> tuple[int, Any]:
        found = [self.codes.get(str(item["cip"])) for item in call.data["data"]]
        return 200, {
            "code": 100,
            "message": "Solicitud exitosa.",
            "data": [
                {
                    "cip": int(code.cip),
                    "transactionCode": code.transaction_code,
                    "amount": float(code.amount),
                    "currency": code.currency,
                    "status": code.status,
                    "statusName": code.name or _STATUS_NAME.get(code.status, "?"),
                    "dateCreation": "2026-11-23T10:00:00-05:00",
                    "dateExpiry": code.expires,
                    "datePayment": code.paid_at,
                    "dateRemoval": NEVER,
                    "token": code.token,
                }
                for code in found
                if code is not None
            ],
        }

    def _refused(self, message: str) -> tuple[int, Any]:
        return 400, {
            "code": "111",
            "message": "Solicitud con datos inválidos.",
            "data": [{"code": "113", "message": message, "field": "cip"}],
        }

    def _extend(self, call: Call) -> tuple[int, Any]:
        code = self.codes.get(call.path.rpartition("/")[2])
        if code is None or code.status not in (GENERATED, EXPIRED):
            return self._refused("Valor inválido.")
        code.expires, code.status = call.data["dateExpiry"], GENERATED
        return 200, {"code": "100", "message": "Solicitud exitosa.", "data": {}}

    def _delete(self, call: Call) -> tuple[int, Any]:
        code = self.codes.get(call.path.rpartition("/")[2])
        if code is None or code.status != GENERATED:
            return self._refused("Valor inválido.")
        code.status = DELETED
        return 200, {"code": "100", "message": "Solicitud exitosa.", "data": {}}


def _operation(method: str, path: str) -> str | None:
    for pattern, wanted, name in (
        (r"/v1/authorizations", "POST", "authorize"),
        (r"/v1/cips", "POST", "create"),
        (r"/v1/cips/search", "POST", "search"),
        (r"/v1/cips/\d+", "PATCH", "extend"),
        (r"/v1/cips/\d+", "DELETE", "delete"),
    ):
        if method == wanted and re.fullmatch(pattern, path):
            return name
    return None


def _handler(owner: PagoEfectivo) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            operation = _operation(self.command, self.path)
            if operation is None:
                self._send(Reply(404, b"<html>not here</html>", "text/html"))
                return
            call = Call(operation, self.command, self.path, body, dict(self.headers.items()))
            with owner.lock:
                owner.calls.append(call)
                waiting = owner.faults[operation]
                fault = waiting.popleft() if waiting else None
            if gate := owner.gates.get(operation):
                gate(call)
            reply = fault(owner, call) if callable(fault) else fault
            if reply is None or reply.does_it:
                status, answer = owner.do(call)
                if after := owner.after.get(operation):
                    after(call)
                if reply is None:
                    reply = Reply(status, json.dumps(answer, ensure_ascii=False).encode())
            if reply.delay:
                threading.Event().wait(reply.delay)
            if reply.cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._send(reply)

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            if reply.content_encoding:
                self.send_header("Content-Encoding", reply.content_encoding)
            if reply.declare_length:
                self.send_header("Content-Length", str(len(reply.body)))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_PATCH = do_DELETE = do_GET = _serve  # noqa: N815

    return Handler

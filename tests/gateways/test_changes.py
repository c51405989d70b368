"""Create, extend and delete when things go wrong: sent once, and doubt is said as doubt."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from django_pagoefectivo.exceptions import OutcomeUnknown, RequestRejected
from django_pagoefectivo.gateways import CipGateway, CodeRef, Exchange

from .samples import CHARGE, MakeGateway, with_token
from .server import Reply, WireServer, cut, done, issued

REF = CodeRef("A-1001-1", cip="10092759")
LATER = datetime(2026, 11, 26, 4, 59, 59, 7, tzinfo=UTC)
CHANGES: dict[str, tuple[str, Callable[[CipGateway], object]]] = {
    "create": ("POST /cips", lambda gateway: gateway.create(CHARGE)),
    "extend": ("PATCH /cips/10092759", lambda gateway: gateway.extend(REF, LATER)),
    "cancel": ("DELETE /cips/10092759", lambda gateway: gateway.cancel(REF)),
}
each_change = pytest.mark.parametrize("operation", CHANGES)

SUCCESS = json.dumps(
    {
        "code": "100",
        "message": "Solicitud exitosa.",
        "data": {"cip": 10092759, "transactionCode": "A-1001-1", "amount": 22.5},
    }
).encode()


def slowly(data: bytes, seconds: float) -> tuple[tuple[float, bytes], ...]:
    return tuple((seconds, data[i : i + 1]) for i in range(len(data)))


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 201 Created", *lines, "", "")).encode()


def test_extend(server: WireServer, gateway: CipGateway) -> None:
    server.on("PATCH /cips/10092759", done(100))
    gateway.extend(REF, LATER)
    sent = server.last("PATCH /cips/10092759")
    assert sent.json == {"dateExpiry": "2026-11-25T23:59:59-05:00"}
    assert sent.headers["authorization"].startswith("Bearer ")


def test_cancel(server: WireServer, gateway: CipGateway) -> None:
    server.on("DELETE /cips/10092759", done())
    gateway.cancel(REF)
    sent = server.last("DELETE /cips/10092759")
    assert sent.body == b""
    assert sent.headers["authorization"].startswith("Bearer ")


@each_change
@pytest.mark.parametrize("code", ["100", 100])
@pytest.mark.parametrize("data", [{}, None, []])
def test_the_code_alone_says_that_it_was_done(
    server: WireServer, gateway: CipGateway, operation: str, code: object, data: object
) -> None:
    call, run = CHANGES[operation]
    server.on(call, issued if operation == "create" else Reply(200, {"code": code, "data": data}))
    run(gateway)
    assert server.calls[call] == 1


@each_change
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(
            Reply(
                400,
                {
                    "code": "111",
                    "message": "Solicitud con datos inválidos.",
                    "data": [
                        {"code": "112", "message": "Requerido.", "field": "amount"},
                        {"code": "113", "message": "Valor inválido.", "field": "currency"},
                    ],
                },
            ),
            id="documented",
        ),
        pytest.param(
            Reply(
                400,
                {
                    "code": 111,
                    "message": "Solicitud con datos inválidos.",
                    "data": [
                        {"Code": 112, "Message": "Requerido.", "Field": "amount"},
                        "what is this",
                        {"code": 113, "message": "Valor inválido.", "field": "currency"},
                    ],
                },
            ),
            id="numbers-and-capitals",
        ),
    ],
)
def test_a_refusal_names_its_fields(
    server: WireServer, gateway: CipGateway, operation: str, reply: Reply
) -> None:
    call, run = CHANGES[operation]
    server.on(call, reply)
    with pytest.raises(RequestRejected) as caught:
        run(gateway)
    error = caught.value
    assert (error.code, error.api_message) == ("111", "Solicitud con datos inválidos.")
    assert [(e.field, e.code, e.message) for e in error.errors] == [
        ("amount", "112", "Requerido."),
        ("currency", "113", "Valor inválido."),
    ]
    assert "amount: Requerido. (112)" in str(error)
    assert server.calls[call] == 1


@each_change
@pytest.mark.parametrize(
    ("status", "code"), [(400, "508"), (400, "511"), (404, "404"), (422, 113), (429, "429")]
)
@pytest.mark.parametrize("data", [None, {}, "text", [None]])
def test_a_refusal_without_fields(
    server: WireServer,
    gateway: CipGateway,
    operation: str,
    status: int,
    code: object,
    data: object,
) -> None:
    call, run = CHANGES[operation]
    server.on(call, Reply(status, {"code": code, "message": None, "data": data}))
    with pytest.raises(RequestRejected) as caught:
        run(gateway)
    assert caught.value.code == str(code)
    assert caught.value.errors == ()


UNCLEAR = {
    "500-with-166": Reply(500, {"code": "166", "message": "Error interno."}),
    "500-with-100": Reply(500, {"code": "100", "data": {"cip": 1}}),
    "503-empty": Reply(503),
    "502-html": Reply(502, "<html><h1>Bad Gateway</h1></html>"),
    "200-html": Reply(200, "<html>Mantenimiento</html>"),
    "403-html": Reply(403, "<html>Forbidden</html>"),
    "400-without-code": Reply(400, {"message": "?"}),
    "400-list": Reply(400, "[]"),
    "200-empty": Reply(200),
    "204": Reply(204),
    "200-other-code": Reply(200, {"code": "111", "message": "Solicitud con datos inválidos."}),
    "200-no-code": Reply(200, {"data": {"cip": 10092759}}),
    "200-code-bool": Reply(200, {"code": True}),
    "200-code-list": Reply(200, {"code": ["100"]}),
    "200-list": Reply(200, "[100]"),
    "200-null": Reply(200, "null"),
    "202": Reply(202, {"code": "100", "data": {"cip": 10092759}}),
    "truncated": Reply(201, SUCCESS[:-2]),
    "not-utf-8": Reply(201, SUCCESS.replace(b"exitosa", b"exitos\xe1")),
    "nan": Reply(201, SUCCESS.replace(b"22.5", b"NaN")),
    "deep": Reply(201, b'{"code":"100","data":' + b"[" * 3000 + b"]" * 3000 + b"}"),
    "deeper": Reply(201, b'{"code":"100","data":' + b"[" * 90_000),
    "deep-in-a-refusal": Reply(400, b'{"code":"111","data":' + b"[" * 3000 + b"]" * 3000 + b"}"),
    "302": Reply(302, headers={"Location": "/v1/elsewhere"}),
    "307": Reply(307, headers={"Location": "/v1/elsewhere"}),
    "308": Reply(308, SUCCESS, headers={"Location": "/v1/elsewhere"}),
    "cut-before-the-answer": cut(),
    "cut-in-the-status-line": Reply(steps=((0, b"HTTP/1.1 20"),), close=True),
    "cut-in-the-headers": Reply(steps=((0, b"HTTP/1.1 201 Created\r\nConte"),), close=True),
    "cut-in-the-body": Reply(201, SUCCESS[:40], length=len(SUCCESS), close=True),
    "cut-after-the-json": Reply(201, SUCCESS, length=len(SUCCESS) + 1, close=True),
    "cut-in-a-chunk": Reply(
        steps=((0, head("Transfer-Encoding: chunked") + b"50\r\n" + SUCCESS[:30]),), close=True
    ),
    "cut-before-the-last-chunk": Reply(
        steps=(
            (
                0,
                head("Transfer-Encoding: chunked")
                + f"{len(SUCCESS):x}\r\n".encode()
                + SUCCESS
                + b"\r\n",
            ),
        ),
        close=True,
    ),
    "no-http": Reply(steps=((0, b"SSH-2.0-OpenSSH_9.6\r\n"),), close=True),
    "broken-gzip": Reply(201, b"\x1f\x8b" + SUCCESS, headers={"Content-Encoding": "gzip"}),
    "only-continue": Reply(steps=((0, b"HTTP/1.1 100 Continue\r\n\r\n"),), close=True),
    "too-many-headers": Reply(steps=((0, head(*["X: y"] * 200)),), close=True),
    "huge": Reply(201, SUCCESS[:-1] + b',"pad":"' + b"x" * 4_200_000 + b'"}'),
    "gzip-bomb": Reply(
        201,
        gzip.compress(SUCCESS[:-1] + b',"pad":"' + b"x" * 40_000_000 + b'"}', 9),
        headers={"Content-Encoding": "gzip"},
    ),
}


@each_change
@pytest.mark.parametrize("form", UNCLEAR)
def test_an_unclear_answer_is_doubt_and_nothing_is_repeated(
    server: WireServer,
    gateway: CipGateway,
    exchanges: list[Exchange],
    operation: str,
    form: str,
) -> None:
    call, run = CHANGES[operation]
    server.on(call, UNCLEAR[form])
    with pytest.raises(OutcomeUnknown):
        run(gateway)
    assert server.calls == {"POST /authorizations": 1, call: 1}
    assert [e.operation for e in exchanges] == ["authorize", operation]


SLOW = {
    "no-answer": Reply(201, SUCCESS, delay=3),
    "slow-headers": Reply(steps=((0, b"HTTP/1.1 201 Created\r\n"), (3, b"\r\n"))),
    "slow-body": Reply(steps=((0, head(f"Content-Length: {len(SUCCESS)}")), (3, SUCCESS))),
    "dripping-body": Reply(
        steps=((0, head("Content-Length: 9999")), *slowly(SUCCESS, 0.1)), close=True
    ),
    "dripping-chunks": Reply(
        steps=((0, head("Transfer-Encoding: chunked")), *((0.1, b"1\r\n \r\n"),) * 90), close=True
    ),
}


@pytest.mark.parametrize("form", SLOW)
def test_a_late_answer_is_doubt_within_a_bounded_time(
    server: WireServer, make_gateway: MakeGateway, exchanges: list[Exchange], form: str
) -> None:
    gateway = with_token(make_gateway(timeout=(0.2, 0.3)))
    server.on("POST /cips", SLOW[form])
    with pytest.raises(OutcomeUnknown, match=r"in time|too long"):
        gateway.create(CHARGE)
    assert server.calls == {"POST /cips": 1}
    assert exchanges[0].milliseconds >= 250
    assert exchanges[0].error


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(
            Reply(201, gzip.compress(SUCCESS), headers={"Content-Encoding": "gzip"}), id="gzip"
        ),
        pytest.param(
            Reply(
                steps=(
                    (
                        0,
                        head(
                            "Content-Encoding: gzip",
                            f"Content-Length: {len(gzip.compress(SUCCESS))}",
                        ),
                    ),
                    *((0.001, bytes([byte])) for byte in gzip.compress(SUCCESS)),
                )
            ),
            id="gzip-byte-by-byte",
        ),
        pytest.param(
            Reply(
                steps=(
                    (0, head("Transfer-Encoding: chunked") + b"5\r\n" + SUCCESS[:5] + b"\r\n"),
                    (0.05, f"{len(SUCCESS) - 5:x}\r\n".encode() + SUCCESS[5:] + b"\r\n0\r\n\r\n"),
                )
            ),
            id="chunked",
        ),
        pytest.param(
            Reply(steps=((0, head("Connection: close") + SUCCESS),), close=True), id="no-length"
        ),
        pytest.param(
            Reply(
                steps=(
                    (0, b"HTTP/1.1 100 Continue\r\n\r\n"),
                    (0, head(f"Content-Length: {len(SUCCESS)}") + SUCCESS),
                )
            ),
            id="continue-first",
        ),
        pytest.param(Reply(201, b"\xef\xbb\xbf" + SUCCESS), id="byte-order-mark"),
        pytest.param(Reply(201, SUCCESS, headers={"Content-Type": "text/html"}), id="called-html"),
        pytest.param(Reply(201, SUCCESS, delay=0.2), id="a-little-late"),
    ],
)
def test_a_whole_answer_is_read_however_it_travels(
    server: WireServer, gateway: CipGateway, reply: Reply
) -> None:
    server.on("POST /cips", reply)
    assert gateway.create(CHARGE).cip == "10092759"

"""Neither keys nor tokens nor personal data in exchanges, logs, errors or ``repr``."""

from __future__ import annotations

import dataclasses
import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from django_pagoefectivo.conf import Merchant
from django_pagoefectivo.exceptions import AuthenticationFailed, PagoEfectivoError, RequestRejected
from django_pagoefectivo.gateways import CipGateway, CodeRef, Exchange, IssuedCode
from django_pagoefectivo.gateways.masking import mask_email, mask_tail
from django_pagoefectivo.gateways.tokens import Token
from django_pagoefectivo.gateways.transport import Answer

from .samples import ACCESS_KEY, ANA, CHARGE, SECRET_KEY, MakeGateway, charge
from .server import TOKEN, Reply, Request, Script, WireServer, cut, done, issued, token_reply

FALLBACK = "older-made-up-secret-key-0123456789abcdef"
ADMIN = "ventas@shop.example"
REF = CodeRef("A-1001-1", cip="10092759")
PERSONAL = (ANA.email, ANA.phone, ANA.document_number, ADMIN)
OPERATIONS: dict[str, tuple[str, Callable[[CipGateway], object]]] = {
    "create": ("POST /cips", lambda gateway: gateway.create(CHARGE)),
    "search": ("POST /cips/search", lambda gateway: gateway.states([REF])),
    "extend": ("PATCH /cips/10092759", lambda gateway: gateway.extend(REF, CHARGE.expires_at)),
    "cancel": ("DELETE /cips/10092759", lambda gateway: gateway.cancel(REF)),
    "authorize": ("POST /authorizations", lambda gateway: gateway.create(CHARGE)),
}
PAIRS = {
    "accessKey": ACCESS_KEY,
    "secretKey": SECRET_KEY,
    "authorization": f"Bearer {TOKEN}",
    "userEmail": ANA.email,
    "userPhone": ANA.phone,
    "userDocumentNumber": ANA.document_number,
    "adminEmail": ADMIN,
}


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> CipGateway:
    return make_gateway(secret_key_fallbacks=(FALLBACK,), admin_email=ADMIN)


@pytest.fixture
def assert_nothing_leaked(
    server: WireServer, exchanges: list[Exchange], caplog: pytest.LogCaptureFixture
) -> Callable[..., None]:
    """A check of every trace of a call; give it what was raised or returned as well."""
    caplog.set_level(logging.DEBUG, "django_pagoefectivo.gateway")

    def check(*more: object, personal: bool = True) -> None:
        secrets = [ACCESS_KEY, SECRET_KEY, FALLBACK, TOKEN, TOKEN.partition(".")[2]]
        secrets += [r.json["hashString"] for r in server.requests if r.path.endswith("zations")]
        assert len(secrets) > 5
        if personal:
            secrets += PERSONAL
        traces = [repr(dataclasses.asdict(exchange)) for exchange in exchanges]
        traces += [
            f"{r.getMessage()} {r.args} {r.__dict__}"
            for r in caplog.records
            if r.name == "django_pagoefectivo.gateway"
        ]
        for thing in more:
            traces += [repr(thing), str(thing)]
            if isinstance(thing, BaseException):
                traces += [repr(thing.__dict__), *traceback.format_exception(thing)]
        assert traces
        for trace in traces:
            for secret in secrets:
                assert secret.lower() not in trace.lower()

    return check


def echo_keys(spell: Callable[[str], str]) -> Callable[[Request], Reply]:
    def reply(request: Request) -> Reply:
        sent = json.loads(request.body or b"{}")
        echo = {spell(key): value for key, value in {**PAIRS, **sent, "token": TOKEN}.items()}
        return Reply(400, {"code": "111", "message": "no", "data": [{"field": "x", **echo}]})

    return reply


def everything(request: Request) -> str:
    return f"{dict(request.headers)} {request.body.decode()} {PAIRS}"


def values(request: Request) -> str:
    """Everything without the keys that tell what it is."""
    sent = json.loads(request.body or b"{}")
    return " | ".join([FALLBACK, TOKEN, *PAIRS.values(), sent.get("hashString", "")])


def echo_errors(request: Request) -> Reply:
    text = everything(request)
    error = {"field": text, "code": text, "message": text}
    return Reply(400, {"code": text, "message": text, "data": [error, text, {text: text}]})


def echo_numbers(request: Request) -> Reply:
    return Reply(
        400,
        {
            "code": "111",
            "data": {
                "userPhone": int(ANA.phone),
                "seen": [int(ANA.phone), int(ANA.document_number)],
                "user_phone": {"number": f"0{ANA.phone}"},
                "deeper": {"documentNumber": [int(ANA.document_number)]},
            },
        },
    )


ECHOES: dict[str, Script] = {
    "same-keys": echo_keys(str),
    "capital-keys": echo_keys(lambda key: key[:1].upper() + key[1:]),
    "upper-keys": echo_keys(str.upper),
    "lower-keys": echo_keys(str.lower),
    "snake-keys": echo_keys(lambda k: "".join(f"_{c.lower()}" if c.isupper() else c for c in k)),
    "errors": echo_errors,
    "numbers": echo_numbers,
    "html": lambda r: Reply(403, f"<html><p>{everything(r)}</p></html>"),
    "html-500": lambda r: Reply(500, f"<html><p>{everything(r)}</p></html>"),
    "upper-case": lambda r: Reply(403, everything(r).upper()),
    "lower-case-message": lambda r: Reply(400, {"code": "1", "message": everything(r).lower()}),
    "bare-values": lambda r: Reply(403, values(r)),
    "bare-values-in-capitals": lambda r: Reply(400, {"code": "1", "message": values(r).upper()}),
    "truncated-json": lambda r: Reply(200, json.dumps({**PAIRS, "body": everything(r)})[:-2]),
    "json-in-json": lambda r: Reply(
        400, {"code": "111", "message": json.dumps({"body": everything(r), **PAIRS})}
    ),
    "cut-in-the-middle": lambda r: Reply(400, everything(r), length=9999, close=True),
    "reason-phrase": Reply(
        steps=((0, f"HTTP/1.1 nonsense {ACCESS_KEY} {ANA.email}\r\n\r\n".encode()),), close=True
    ),
    "location": Reply(302, headers={"Location": f"/x?{ACCESS_KEY}&{ANA.email}"}),
    "cut": cut(),
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_an_answer_echoes_is_masked(
    server: WireServer,
    gateway: CipGateway,
    assert_nothing_leaked: Callable[..., None],
    operation: str,
    echo: str,
) -> None:
    call, run = OPERATIONS[operation]
    server.on(call, ECHOES[echo])
    with pytest.raises(PagoEfectivoError) as caught:
        run(gateway)
    # A call that was not given the shopper's number cannot know it in running text; its keys
    # and e-mail addresses are found all the same.
    knows = operation == "create" or echo.endswith("-keys")
    assert_nothing_leaked(caught.value, gateway, personal=knows)


@pytest.mark.parametrize("echo", ECHOES)
def test_who_the_shopper_is_and_where_from(
    server: WireServer,
    gateway: CipGateway,
    exchanges: list[Exchange],
    echo: str,
) -> None:
    server.on("POST /cips", ECHOES[echo])
    with pytest.raises(PagoEfectivoError) as caught:
        gateway.create(
            charge(
                first_name="Marisol del Carmen",
                last_name="Huamán Quispe",
                customer_id="cust-7788",
                ubigeo="150101",
            )
        )
    traces = repr([*map(dataclasses.asdict, exchanges), str(caught.value), caught.value.__dict__])
    assert "A-1001-1" in traces
    for known in ("marisol", "carmen", "huam", "quispe", "7788", "1501"):
        assert known not in traces.lower()


def test_a_status_has_a_name_that_is_nobodys(
    server: WireServer, gateway: CipGateway, exchanges: list[Exchange]
) -> None:
    server.on("POST /cips/search", done(data=[{"cip": 10092759, "statusName": "Generado."}]))
    gateway.states([REF])
    assert json.loads(exchanges[-1].response)["data"][0]["statusName"] == "Generado."


@pytest.mark.parametrize("operation", ["create", "search", "extend", "cancel"])
def test_the_exchange_of_a_success(
    server: WireServer,
    gateway: CipGateway,
    exchanges: list[Exchange],
    assert_nothing_leaked: Callable[..., None],
    operation: str,
) -> None:
    call, run = OPERATIONS[operation]
    method, path = call.split()
    server.on(call, issued if operation == "create" else done(data=[]))
    result = run(gateway)
    token_call, made = exchanges
    assert dataclasses.replace(made, request="", response="", milliseconds=0) == Exchange(
        merchant="default",
        operation=operation,
        method=method,
        url=server.url + path,
        http_status=201 if operation == "create" else 200,
        api_code="100",
    )
    assert bool(made.request) == (method != "DELETE")
    assert json.loads(made.response)["code"] == "100"
    assert json.loads(token_call.request) == {
        "accessKey": "***",
        "idService": 1234,
        "dateRequest": server.last("POST /authorizations").json["dateRequest"],
        "hashString": "***",
    }
    assert json.loads(token_call.response)["data"]["token"] == "***"
    assert_nothing_leaked(result, gateway)


def test_what_is_kept_of_a_request_still_says_what_was_asked(
    gateway: CipGateway, exchanges: list[Exchange]
) -> None:
    gateway.create(charge(customer_id="cust-7788", ubigeo="150101"))
    kept = json.loads(exchanges[-1].request)
    assert (kept["userName"], kept["userLastName"]) == ("A***", "P***")
    assert (kept["userId"], kept["userUbigeo"]) == ("***88", "***01")
    assert kept["userEmail"] == "a***@example.com"
    assert kept["adminEmail"] == "v***@shop.example"
    assert kept["userPhone"] == "***21"
    assert kept["userDocumentNumber"] == "***12"
    assert (kept["amount"], kept["transactionCode"]) == (22.5, "A-1001-1")


def test_amounts_and_codes_of_an_answer_are_kept_as_they_came(
    server: WireServer, gateway: CipGateway, exchanges: list[Exchange]
) -> None:
    body = '{"code":100,"data":{"cip":10092759,"amount":22.50,"transactionCode":"A-1001-1"}}'
    server.on("POST /cips", Reply(201, body))
    gateway.create(CHARGE)
    kept = json.loads(exchanges[-1].response)["data"]
    assert (kept["cip"], kept["amount"]) == (10092759, "22.50")


@pytest.mark.parametrize(
    "body",
    [
        f'{{"code":"100","data":{{"token":"{TOKEN}","codeServ',
        f'{{"code":"100","data":{{"token" : "{TOKEN}',
        '{"code":"100","data":{"token":"opaque-token-not-a-jwt","codeServ',
        '{"code":"100","data":{"TOKEN":"opaque-token-not-a-jwt","codeServ',
        "<p>token=opaque-token-not-a-jwt</p>",
        "<p>Authorization: Bearer opaque-token-not-a-jwt</p>",
        '"{\\"token\\":\\"opaque-token-not-a-jwt\\"}"',
        f"<pre>{TOKEN}</pre>",
        {"code": "100", "data": TOKEN},
        {"code": "100", "data": {"jwt": TOKEN}},
        {"code": "100", "data": {"access_token": "opaque-token-not-a-jwt"}},
        {"code": "100", "data": {"token": {"value": "opaque-token-not-a-jwt"}}},
        {"code": "100", "data": {"token": ["opaque-token-not-a-jwt"]}},
        {"code": TOKEN, "message": TOKEN},
    ],
)
@pytest.mark.parametrize("status", [201, 401, 500])
def test_a_new_token_in_an_answer_that_cannot_be_used(
    server: WireServer,
    gateway: CipGateway,
    exchanges: list[Exchange],
    assert_nothing_leaked: Callable[..., None],
    body: Any,
    status: int,
) -> None:
    server.on("POST /authorizations", Reply(status, body))
    with pytest.raises(PagoEfectivoError) as caught:
        gateway.create(CHARGE)
    assert_nothing_leaked(caught.value)
    assert "opaque" not in f"{exchanges}{caught.value}{caught.value.__dict__}"


@pytest.mark.parametrize(
    "text",
    ["ana.perez@example.com", "ANA.PEREZ@EXAMPLE.COM", "ana.perez%40example.com",
     "ana.perez&#64;example.com", "<ana.perez@example.com>", "x=ana.perez@example.com;"],
)  # fmt: skip
def test_addresses_are_found_by_their_form(
    server: WireServer, gateway: CipGateway, exchanges: list[Exchange], text: str
) -> None:
    server.on("POST /cips/search", Reply(400, {"code": "111", "message": f"see {text}"}))
    with pytest.raises(RequestRejected) as caught:
        gateway.states([REF])
    for trace in (str(caught.value), exchanges[-1].response):
        assert "perez" not in trace.lower()
        assert "see" in trace


def test_a_refused_new_token_is_not_named(
    server: WireServer, gateway: CipGateway, assert_nothing_leaked: Callable[..., None]
) -> None:
    server.on("POST /authorizations", token_reply(TOKEN), token_reply(TOKEN + "x"))
    server.on("POST /cips", lambda r: Reply(401, {"code": r.headers["authorization"]}))
    with pytest.raises(AuthenticationFailed) as caught:
        gateway.create(CHARGE)
    assert_nothing_leaked(caught.value)


def test_a_failure_is_a_warning_and_a_success_is_information(
    server: WireServer, gateway: CipGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "django_pagoefectivo.gateway")
    server.on("POST /cips", issued, Reply(500), cut())
    gateway.create(CHARGE)
    for _ in range(2):
        with pytest.raises(PagoEfectivoError):
            gateway.create(CHARGE)
    records = [r for r in caplog.records if r.name == "django_pagoefectivo.gateway"]
    assert [r.levelname for r in records] == ["INFO", "INFO", "WARNING", "WARNING"]
    messages = [r.getMessage() for r in records]
    assert f"POST {server.url}/cips for merchant default: HTTP 201, code 100" in messages[1]
    assert "HTTP 500, code none" in messages[2]
    assert "connection failed" in messages[3]


def test_every_call_leaves_one_exchange_also_when_it_fails(
    server: WireServer, gateway: CipGateway, exchanges: list[Exchange]
) -> None:
    server.on("POST /cips", Reply(500, "<html>down</html>"), cut())
    for _ in range(2):
        with pytest.raises(PagoEfectivoError):
            gateway.create(CHARGE)
    _, down, lost = exchanges
    assert (down.http_status, down.response, down.error) == (500, "<html>down</html>", "")
    assert (lost.http_status, lost.response) == (None, "")
    assert lost.error.startswith("connection failed")
    assert lost.request == down.request != ""


def test_what_no_database_keeps_is_replaced(
    server: WireServer, gateway: CipGateway, exchanges: list[Exchange]
) -> None:
    server.on(
        "POST /cips",
        Reply(400, '{"code":"111","message":"a\\u0000b \\ud800"}'),
        Reply(502, b"<html>\x00\xff</html>"),
    )
    for _ in range(2):
        with pytest.raises(PagoEfectivoError) as caught:
            gateway.create(CHARGE)
        assert "\x00" not in str(caught.value)
        str(caught.value).encode()
    for exchange in exchanges:
        assert "\x00" not in exchange.response
        exchange.response.encode()


@pytest.mark.parametrize("kept", [6, 15, 30])
@pytest.mark.parametrize(
    "secret", [TOKEN, ACCESS_KEY, SECRET_KEY, ANA.email, ANA.document_number + "0" * 30]
)
def test_the_cut_of_a_long_page_leaves_no_part_of_a_key(
    server: WireServer, gateway: CipGateway, exchanges: list[Exchange], secret: str, kept: int
) -> None:
    server.on("POST /cips", Reply(502, "x" * (1999 - kept) + " " + secret + "y" * 5000))
    with pytest.raises(PagoEfectivoError):
        gateway.create(CHARGE)
    assert secret[:6] not in exchanges[-1].response
    assert len(exchanges[-1].response) == 2000


def test_only_the_beginning_of_a_page_is_kept(
    server: WireServer, gateway: CipGateway, exchanges: list[Exchange]
) -> None:
    server.on("POST /cips", Reply(502, "<p>" + "x" * 100_000))
    with pytest.raises(PagoEfectivoError):
        gateway.create(CHARGE)
    assert len(exchanges[-1].response) == 2000


@pytest.mark.parametrize(
    "thing",
    [
        Token(TOKEN, 7200),
        CHARGE,
        ANA,
        charge(email="ñandu.secreto@example.com"),
        IssuedCode("10092759", "https://pay.example/x.html"),
        Answer(201, {"data": {"token": TOKEN, "userEmail": ANA.email}}, str),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_repr(thing: object) -> None:
    shown = f"{thing!r} {thing} {[thing]}"
    for secret in (TOKEN, ANA.email, ANA.phone, ANA.document_number, "secreto"):
        assert secret not in shown


def test_repr_of_merchant_and_gateway(gateway: CipGateway) -> None:
    gateway.create(CHARGE)
    merchant: Merchant = gateway.merchant
    shown = f"{merchant!r} {gateway!r} {vars(gateway)}"
    for secret in (ACCESS_KEY, SECRET_KEY, FALLBACK, ADMIN, TOKEN):
        assert secret not in shown
    assert "default" in repr(merchant)


@pytest.mark.parametrize(
    ("email", "expected"),
    [("ana@example.com", "a***@example.com"), ("", ""), ("nonsense", "n***")],
)
def test_masked_addresses(email: str, expected: str) -> None:
    assert mask_email(email) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("45678912", "***12"), ("12345", "***45"), ("1234", "***"), ("1", "***"), ("", "")],
)
def test_masked_numbers(value: str, expected: str) -> None:
    assert mask_tail(value) == expected

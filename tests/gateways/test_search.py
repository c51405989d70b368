"""Status queries: many codes in one call, and every odd form of the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from django_pagoefectivo.exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    RequestRejected,
)
from django_pagoefectivo.gateways import CipGateway, CodeRef, RemoteState, RemoteStatus

from .server import Reply, Request, WireServer, done

NEVER = "1900-01-01T00:00:00-05:00"
ITEM: dict[str, Any] = {
    "cip": 10092759,
    "transactionCode": "A-1001-1",
    "amount": 22.05,
    "currency": "PEN",
    "status": 22,
    "statusName": "Generado.",
    "dateCreation": "2026-11-23T10:15:30-05:00",
    "dateExpiry": "2026-11-24T10:15:30-05:00",
    "datePayment": NEVER,
    "dateRemoval": NEVER,
    "token": "0b5f1c7e-8a76-4d6e-9d8a-0b5f1c7e8a76",
}
STATE: dict[str, Any] = {
    "status": RemoteStatus.PENDING,
    "status_text": "22 Generado.",
    "cip": "10092759",
    "transaction_code": "A-1001-1",
    "remote_id": "0b5f1c7e-8a76-4d6e-9d8a-0b5f1c7e8a76",
    "amount": Decimal("22.05"),
    "currency": "PEN",
    "expires_at": datetime(2026, 11, 24, 15, 15, 30, tzinfo=UTC),
    "paid_at": None,
}
REF = CodeRef("A-1001-1", cip="10092759")


def item(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**ITEM, **changes}.items() if value is not ...}


def test_many_codes_in_one_call_each_at_its_place(server: WireServer, gateway: CipGateway) -> None:
    def search(request: Request) -> Reply:
        asked = [int(entry["cip"]) for entry in request.json["data"]]
        known = [cip for cip in reversed(asked) if cip % 10]
        return done(data=[item(cip=cip, transactionCode=f"T-{cip}") for cip in known])

    server.on("POST /cips/search", search)
    refs = [CodeRef(f"T-{cip}", cip=str(cip)) for cip in range(1001, 1051)]
    states = gateway.states(refs)

    assert server.last("POST /cips/search").json == {
        "data": [{"cip": c} for c in range(1001, 1051)]
    }
    assert server.calls["POST /cips/search"] == 1
    assert [state and state.cip for state in states] == [
        str(cip) if cip % 10 else None for cip in range(1001, 1051)
    ]


def test_codes_without_a_cip_are_not_asked_about(server: WireServer, gateway: CipGateway) -> None:
    server.on("POST /cips/search", done(data=[ITEM]))
    unknown = CodeRef("B-1")
    assert [gateway.can_ask(ref) for ref in (unknown, REF)] == [False, True]
    first, second = gateway.states([unknown, REF])
    assert first is None
    assert second == RemoteState(**STATE)
    assert gateway.states([unknown, unknown]) == [None, None]
    assert gateway.states([]) == []
    assert server.calls["POST /cips/search"] == 1
    assert server.last("POST /cips/search").json == {"data": [{"cip": 10092759}]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, {}, id="documented"),
        pytest.param({"cip": "0010092759"}, {}, id="cip-text"),
        pytest.param({"amount": "22.05"}, {}, id="amount-text"),
        pytest.param({"amount": 25}, {"amount": Decimal(25)}, id="amount-whole"),
        pytest.param({"amount": None}, {"amount": None}, id="no-amount"),
        pytest.param({"currency": "pen"}, {}, id="currency-small"),
        pytest.param({"transactionCode": 77}, {"transaction_code": "77"}, id="code-number"),
        pytest.param({"dateExpiry": "2026-11-24T10:15:30"}, {}, id="no-offset"),
        pytest.param({"dateExpiry": NEVER}, {"expires_at": None}, id="sentinel"),
        pytest.param({"datePayment": None}, {}, id="payment-null"),
        pytest.param({"datePayment": ...}, {}, id="payment-missing"),
        pytest.param({"operationNumber": 99}, {"operation_number": "99"}, id="operation"),
        pytest.param({"token": ..., "currency": ...}, {"remote_id": "", "currency": ""}, id="less"),
        pytest.param(
            {"status": 23, "statusName": "Cancelado", "datePayment": "2026-11-23T11:00:00"},
            {
                "status": RemoteStatus.PAID,
                "status_text": "23 Cancelado",
                "paid_at": datetime(2026, 11, 23, 16, 0, tzinfo=UTC),
            },
            id="paid",
        ),
    ],
)
def test_what_is_read(
    server: WireServer, gateway: CipGateway, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    server.on("POST /cips/search", done(data=[item(**changes)]))
    assert gateway.states([REF]) == [RemoteState(**{**STATE, **expected})]


def test_capital_keys(server: WireServer, gateway: CipGateway) -> None:
    capital = {key[:1].upper() + key[1:]: value for key, value in ITEM.items()}
    server.on("POST /cips/search", done(100, [capital]))
    assert gateway.states([REF]) == [RemoteState(**STATE)]


@pytest.mark.parametrize(
    ("number", "name", "expected"),
    [
        (21, "Expirado", RemoteStatus.EXPIRED),
        (22, "Generado.", RemoteStatus.PENDING),
        (23, "Cancelado", RemoteStatus.PAID),
        (24, "Anulado", RemoteStatus.CANCELLED),
        (25, "Eliminado", RemoteStatus.CANCELLED),
        ("23", "Cancelado", RemoteStatus.PAID),
        (" 23 ", "", RemoteStatus.PAID),
        (23.0, "", RemoteStatus.PAID),
        (22, "Cancelado", RemoteStatus.PENDING),
        (21, "Pagado", RemoteStatus.EXPIRED),
        (26, "Pagado", RemoteStatus.UNKNOWN),
        (0, "Pagado", RemoteStatus.UNKNOWN),
        (-23, "Pagado", RemoteStatus.UNKNOWN),
        (230, "Cancelado", RemoteStatus.UNKNOWN),
        ("99", "Cancelado.", RemoteStatus.UNKNOWN),
        ("Pagado", "Pagado", RemoteStatus.UNKNOWN),
        (23.5, "Pagado", RemoteStatus.UNKNOWN),
        (True, "Pagado", RemoteStatus.UNKNOWN),
        ([23], "Pagado", RemoteStatus.UNKNOWN),
        (None, "Pagado", RemoteStatus.PAID),
        (..., "Cancelado", RemoteStatus.PAID),
        ("", "PAGADO.", RemoteStatus.PAID),
        (None, "  pagado . ", RemoteStatus.PAID),
        (None, "Págàdo", RemoteStatus.PAID),
        (None, "GENERADO", RemoteStatus.PENDING),
        (None, "Expirado.", RemoteStatus.EXPIRED),
        (None, "vencido", RemoteStatus.EXPIRED),
        (None, "Anulado", RemoteStatus.CANCELLED),
        (None, "Eliminado", RemoteStatus.CANCELLED),
        (None, "Pagado parcialmente", RemoteStatus.UNKNOWN),
        (None, "No pagado", RemoteStatus.UNKNOWN),
        (None, "Extornado", RemoteStatus.UNKNOWN),
        (None, 23, RemoteStatus.UNKNOWN),
        (None, "", RemoteStatus.UNKNOWN),
        (None, None, RemoteStatus.UNKNOWN),
        (..., ..., RemoteStatus.UNKNOWN),
    ],
)
def test_statuses(
    server: WireServer, gateway: CipGateway, number: Any, name: Any, expected: RemoteStatus
) -> None:
    server.on("POST /cips/search", done(data=[item(status=number, statusName=name)]))
    [state] = gateway.states([REF])
    assert state is not None
    assert state.status is expected


@pytest.mark.parametrize("junk", [None, "text", 5, [], {}, {"cip": None}, {"cip": 5}])
def test_entries_that_say_nothing_are_skipped(
    server: WireServer, gateway: CipGateway, junk: Any
) -> None:
    server.on("POST /cips/search", done(data=[junk, ITEM, junk]))
    assert gateway.states([REF, CodeRef("X", cip="6")]) == [RemoteState(**STATE), None]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"code": "100", "data": None}),
        Reply(200, {"code": "100", "data": {}}),
        Reply(200, {"code": "100"}),
        Reply(200, {"code": "111", "data": [ITEM]}),
        Reply(200, {"data": [ITEM]}),
        Reply(200, "<html>"),
        Reply(403, "<html>"),
        Reply(302, headers={"Location": "/v1/elsewhere"}),
        Reply(200, '{"code":"100","data":[{"cip":10092759,"status":23'),
        Reply(500, {"code": "100", "data": [ITEM]}),
    ],
    ids=[
        "null", "object", "no-list", "other-code", "no-code", "html", "403", "302", "cut", "500",
    ],
)  # fmt: skip
def test_an_answer_without_a_list_says_nothing_about_any_code(
    server: WireServer, gateway: CipGateway, reply: Reply
) -> None:
    server.on("POST /cips/search", reply)
    with pytest.raises(GatewayUnavailable):
        gateway.states([REF])
    assert server.calls["GET /elsewhere"] == 0


def test_a_refused_search(server: WireServer, gateway: CipGateway) -> None:
    server.on("POST /cips/search", Reply(400, {"code": 508, "message": "Servicio inválido."}))
    with pytest.raises(RequestRejected) as caught:
        gateway.states([REF])
    assert caught.value.code == "508"
    assert server.calls["POST /cips/search"] == 1


def test_a_refused_token(server: WireServer, gateway: CipGateway) -> None:
    server.on("POST /cips/search", Reply(401))
    with pytest.raises(AuthenticationFailed):
        gateway.states([REF])
    assert server.calls == {"POST /authorizations": 2, "POST /cips/search": 2}


def test_five_hundred_codes_cost_ten_calls(server: WireServer, gateway: CipGateway) -> None:
    def search(request: Request) -> Reply:
        return done(data=[item(cip=entry["cip"]) for entry in request.json["data"]])

    server.on("POST /cips/search", search)
    refs = [CodeRef("", cip=str(1000 + n)) for n in range(500)]
    states = [s for at in range(0, 500, 50) for s in gateway.states(refs[at : at + 50])]
    assert [state and state.cip for state in states] == [ref.cip for ref in refs]
    assert server.calls == {"POST /authorizations": 1, "POST /cips/search": 10}
    assert server.connections == 1

"""Connections: kept, found closed, and failures before anything has left."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from django_pagoefectivo.exceptions import GatewayUnavailable, OutcomeUnknown
from django_pagoefectivo.gateways import CipGateway, CodeRef, Exchange

from .samples import CHARGE, MakeGateway, with_token
from .server import Reply, WireServer, cut, done, issued

REF = CodeRef("A-1001-1", cip="10092759")


def test_a_hundred_codes_over_one_connection_with_one_token(
    server: WireServer, gateway: CipGateway
) -> None:
    for _ in range(100):
        gateway.create(CHARGE)
    assert server.connections == 1
    assert server.calls == {"POST /authorizations": 1, "POST /cips": 100}


def test_gateways_share_the_connection(server: WireServer, make_gateway: MakeGateway) -> None:
    for _ in range(5):
        make_gateway().create(CHARGE)
    assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, {"code": "111"}),
        Reply(500, "<html>"),
        Reply(302, "moved", headers={"Location": "/v1/elsewhere"}),
    ],
    ids=["refusal", "500", "redirect"],
)
def test_a_connection_is_kept_after_a_bad_answer(
    server: WireServer, gateway: CipGateway, reply: Reply
) -> None:
    server.on("POST /cips", reply, issued)
    with pytest.raises(Exception, match="PagoEfectivo"):
        gateway.create(CHARGE)
    gateway.create(CHARGE)
    assert server.connections == 1


def test_threads_have_connections_of_their_own_and_keep_them(
    server: WireServer, gateway: CipGateway
) -> None:
    server.on("POST /cips", lambda r: Reply(201, issued(r).body, delay=0.05))
    gateway.create(CHARGE)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            codes = [issued.cip for issued in pool.map(gateway.create, [CHARGE] * 4)]
            assert codes == ["10092759"] * 4
    assert server.connections <= 5


@pytest.mark.parametrize("announced", [True, False])
def test_a_connection_that_the_server_closed_is_found_out_before_sending(
    server: WireServer, gateway: CipGateway, announced: bool
) -> None:
    headers = {"Connection": "close"} if announced else {}
    server.on("POST /cips", lambda r: Reply(201, issued(r).body, headers, close=True))
    for _ in range(4):
        assert gateway.create(CHARGE).cip == "10092759"
        time.sleep(0.05)
    assert server.calls["POST /cips"] == 4


def test_an_idle_connection_closed_later(server: WireServer, gateway: CipGateway) -> None:
    gateway.create(CHARGE)
    server.hang_up_idle()
    time.sleep(0.05)
    assert gateway.create(CHARGE).cip == "10092759"
    assert (server.connections, server.calls["POST /cips"]) == (2, 2)


def test_a_kept_connection_cut_on_sending_is_doubt_and_not_repeated(
    server: WireServer, gateway: CipGateway
) -> None:
    server.on("POST /cips", issued, cut())
    gateway.create(CHARGE)
    with pytest.raises(OutcomeUnknown):
        gateway.create(CHARGE)
    assert server.calls["POST /cips"] == 2


def test_what_was_left_unread_is_not_taken_for_the_next_answer(
    server: WireServer, make_gateway: MakeGateway
) -> None:
    gateway = with_token(make_gateway(timeout=(0.5, 0.6)))
    server.on("POST /cips", lambda r: Reply(201, issued(r, cip=1).body, delay=0.9), issued)
    with pytest.raises(OutcomeUnknown):
        gateway.create(CHARGE)
    time.sleep(0.4)
    assert gateway.create(CHARGE).cip == "10092759"


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue is full, so that connecting gets no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        time.sleep(0.05)
        yield address[1]
        for client in waiting:
            client.close()


@pytest.fixture
def self_signed() -> Iterator[WireServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("self_signed.pem"))
    with WireServer(tls=context) as running:
        running.on("POST /cips", issued)
        yield running


class TestNeverLeft:
    """Nothing was sent, so nothing is in doubt: ``GatewayUnavailable``, safe to repeat."""

    def check(self, make_gateway: MakeGateway, base_url: str, connect: float = 2) -> None:
        gateway = with_token(make_gateway(base_url=base_url, timeout=(connect, 2)))
        for run in (
            lambda: gateway.create(CHARGE),
            lambda: gateway.extend(REF, CHARGE.expires_at),
            lambda: gateway.cancel(REF),
            lambda: gateway.states([REF]),
        ):
            with pytest.raises(GatewayUnavailable):
                run()

    def test_connection_refused(self, make_gateway: MakeGateway, closed_port: int) -> None:
        self.check(make_gateway, f"http://127.0.0.1:{closed_port}/v1")

    def test_name_unknown(self, make_gateway: MakeGateway) -> None:
        self.check(make_gateway, "http://nonexistent.invalid/v1")

    @pytest.mark.skipif(sys.platform != "linux", reason="others refuse when the queue is full")
    def test_connect_timeout(self, make_gateway: MakeGateway, full_port: int) -> None:
        self.check(make_gateway, f"http://127.0.0.1:{full_port}/v1", connect=0.2)

    def test_certificate_nobody_vouches_for(
        self, make_gateway: MakeGateway, self_signed: WireServer
    ) -> None:
        self.check(make_gateway, self_signed.url)
        assert self_signed.connections >= 4
        assert not self_signed.requests

    def test_impossible_address(self, make_gateway: MakeGateway) -> None:
        self.check(make_gateway, "http://[::1/v1")

    def test_proxy_away(
        self, make_gateway: MakeGateway, closed_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        self.check(make_gateway, "http://192.0.2.1/v1")

    def test_server_gone_after_an_earlier_code(
        self, server: WireServer, gateway: CipGateway
    ) -> None:
        gateway.create(CHARGE)
        server.close()
        with pytest.raises(GatewayUnavailable):
            gateway.create(CHARGE)
        assert server.calls["POST /cips"] == 1


def test_a_trusted_certificate_is_what_makes_the_difference(
    self_signed: WireServer, make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = str(Path(__file__).with_name("self_signed.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", pem)
    assert make_gateway(base_url=self_signed.url).create(CHARGE).cip == "10092759"


class TestCallsThatOnlyAsk:
    """A search is repeated once after a broken connection or a 5xx, never after a timeout."""

    @pytest.mark.parametrize(
        "reply",
        [
            cut(),
            Reply(500, {"code": "166"}),
            Reply(502, "<html>"),
            Reply(200, "{", length=9, close=True),
        ],
        ids=["cut", "500", "html", "cut-in-the-middle"],
    )
    def test_repeated_once(self, server: WireServer, gateway: CipGateway, reply: Reply) -> None:
        server.on("POST /cips/search", reply, done(data=[]))
        assert gateway.states([REF]) == [None]
        assert server.calls["POST /cips/search"] == 2

    @pytest.mark.parametrize("reply", [cut(), Reply(500)], ids=["cut", "500"])
    def test_not_repeated_twice(
        self, server: WireServer, gateway: CipGateway, reply: Reply
    ) -> None:
        server.on("POST /cips/search", reply)
        with pytest.raises(GatewayUnavailable):
            gateway.states([REF])
        assert server.calls["POST /cips/search"] == 2

    def test_not_repeated_after_a_timeout(
        self, server: WireServer, make_gateway: MakeGateway, exchanges: list[Exchange]
    ) -> None:
        server.on("POST /cips/search", Reply(delay=3))
        with pytest.raises(GatewayUnavailable):
            make_gateway(timeout=(0.2, 0.3)).states([REF])
        assert server.calls["POST /cips/search"] == 1
        assert exchanges[-1].error

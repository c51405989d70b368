"""The token: fetched once, shared, renewed in time, and renewed once when refused."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.cache import cache

from django_pagoefectivo.exceptions import AuthenticationFailed, GatewayUnavailable
from django_pagoefectivo.gateways import CipGateway, Exchange

from .samples import CHARGE, SECRET_KEY, MakeGateway
from .server import Reply, Request, WireServer, cut, issued, token_reply

START = datetime(2026, 11, 23, 15, 15, 30, tzinfo=UTC)


def bearer(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


def test_the_token_request_is_the_vector_of_the_protocol(
    server: WireServer, gateway: CipGateway
) -> None:
    with time_machine.travel(START, tick=False):
        gateway.create(CHARGE)
    sent = server.last("POST /authorizations")
    assert sent.json == {
        "accessKey": "TESTACCESSKEY0000001",
        "idService": 1234,
        "dateRequest": "2026-11-23T10:15:30-05:00",
        "hashString": "baf9368d5c329d26d7661ce5d6f102ce5df502f6df638a7ddc4337745dc60e3d",
    }
    assert "authorization" not in sent.headers
    assert sent.headers["content-type"] == "application/json; charset=utf-8"


def test_leading_zeros_of_the_service_id_hash_as_the_number_that_is_sent(
    server: WireServer, make_gateway: MakeGateway
) -> None:
    with time_machine.travel(START, tick=False):
        make_gateway(service_id="001234").create(CHARGE)
    sent = server.last("POST /authorizations").json
    assert sent["idService"] == 1234
    assert sent["hashString"].startswith("baf9368d5c329d26")


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(token_reply("t-1", code="100"), id="code-text"),
        pytest.param(token_reply("t-1", code=100), id="code-number"),
        pytest.param(token_reply("t-1", tokenStart=None, tokenExpires=None), id="no-dates"),
        pytest.param(token_reply("t-1", tokenExpires="later"), id="no-date"),
        pytest.param(Reply(200, {"code": "100", "data": {"token": "t-1"}}), id="status-200"),
        pytest.param(Reply(201, {"code": "100", "data": {"Token": "t-1"}}), id="capital-key"),
        pytest.param(
            Reply(201, '\ufeff{"code":"100","data":{"token":"t-1"}}'), id="byte-order-mark"
        ),
    ],
)
def test_odd_forms_of_the_token_answer(
    server: WireServer, gateway: CipGateway, reply: Reply
) -> None:
    server.on("POST /authorizations", reply)
    gateway.create(CHARGE)
    gateway.create(CHARGE)
    assert bearer(server.last("POST /cips")) == "t-1"
    assert server.tokens == 1


@pytest.mark.parametrize(
    ("data", "alive", "dead"),
    [
        pytest.param({}, 7200 - 121, 7200 - 119, id="two-hours"),
        pytest.param(
            {"tokenStart": "2026-11-23T10:15:30", "tokenExpires": "2026-11-23T11:15:30"},
            3600 - 121,
            3600 - 119,
            id="without-offset",
        ),
        pytest.param({"tokenExpires": "2026-11-23T10:16:30-05:00"}, 29, 31, id="one-minute"),
        pytest.param({"tokenStart": None}, 3600 - 121, 3600 - 119, id="start-not-said"),
        pytest.param(
            {"tokenStart": "1900-01-01T00:00:00-05:00"}, 3600 - 121, 3600 - 119, id="sentinel"
        ),
        pytest.param({"tokenExpires": None}, 3600 - 121, 3600 - 119, id="end-not-said"),
    ],
)
def test_a_token_is_shared_until_shortly_before_it_ends(
    server: WireServer, make_gateway: MakeGateway, data: dict[str, Any], alive: int, dead: int
) -> None:
    server.on("POST /authorizations", token_reply("first", **data), token_reply("second"))
    with time_machine.travel(START, tick=False) as clock:
        make_gateway().create(CHARGE)
        clock.move_to(START + timedelta(seconds=alive))
        make_gateway().create(CHARGE)
        assert (server.tokens, bearer(server.last("POST /cips"))) == (1, "first")
        clock.move_to(START + timedelta(seconds=dead))
        make_gateway().create(CHARGE)
        assert (server.tokens, bearer(server.last("POST /cips"))) == (2, "second")


@pytest.mark.parametrize(
    "ends", ["2026-11-23T10:15:30-05:00", "2020-01-01T00:00:00-05:00", "9998-01-01T00:00:00-05:00"]
)
def test_tokens_of_a_strange_term_serve_at_least_the_call_they_were_fetched_for(
    server: WireServer, gateway: CipGateway, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("POST /authorizations", token_reply(tokenExpires=ends))
    assert gateway.create(CHARGE).cip == "10092759"
    assert "cache" not in caplog.text


def test_twenty_threads_at_once_cost_one_token_call(
    server: WireServer, make_gateway: MakeGateway
) -> None:
    slow = token_reply()
    server.on("POST /authorizations", Reply(slow.status, slow.body, delay=0.2))
    start = threading.Barrier(20)

    def work(_: int) -> str:
        start.wait(5)
        return make_gateway().create(CHARGE).cip

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(work, range(20))) == ["10092759"] * 20
    assert server.tokens == 1
    assert server.calls["POST /cips"] == 20


def test_threads_that_waited_for_a_failed_refresh_share_its_failure(
    server: WireServer, make_gateway: MakeGateway
) -> None:
    server.on("POST /authorizations", Reply(delay=5))
    start = threading.Barrier(8)

    def work(_: int) -> type[BaseException] | None:
        start.wait(5)
        try:
            make_gateway(timeout=(0.2, 0.4)).create(CHARGE)
        except GatewayUnavailable as error:
            return type(error)
        return None

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(8))) == {GatewayUnavailable}
    assert server.tokens == 1
    server.on("POST /authorizations", token_reply())
    assert make_gateway().create(CHARGE).cip == "10092759"


def test_eight_threads_refused_at_once_renew_once(
    server: WireServer, make_gateway: MakeGateway
) -> None:
    server.on("POST /authorizations", token_reply("old"), token_reply("new"))
    make_gateway().create(CHARGE)
    server.on("POST /cips", lambda r: issued(r) if bearer(r) == "new" else Reply(401, delay=0.05))
    start = threading.Barrier(8)

    def work(_: int) -> str:
        start.wait(5)
        return make_gateway().create(CHARGE).cip

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == ["10092759"] * 8
    assert server.tokens == 2


def test_a_refused_token_is_renewed_once_and_the_call_repeated_once(
    server: WireServer, gateway: CipGateway
) -> None:
    server.on("POST /authorizations", token_reply("old"), token_reply("new"))
    server.on("POST /cips", Reply(401, {"code": "401", "message": "Token expirado."}), issued)
    assert gateway.create(CHARGE).cip == "10092759"
    assert [bearer(r) for r in server.requests if r.path == "/v1/cips"] == ["old", "new"]
    assert server.tokens == 2
    gateway.create(CHARGE)
    assert server.tokens == 2


@pytest.mark.parametrize("body", ["", "<h1>401</h1>", '{"code": "401"}'])
def test_a_second_refusal_is_an_authentication_failure(
    server: WireServer, gateway: CipGateway, body: str
) -> None:
    server.on("POST /authorizations", token_reply("old"), token_reply("new"))
    server.on("POST /cips", Reply(401, body))
    with pytest.raises(AuthenticationFailed, match="merchant default"):
        gateway.create(CHARGE)
    assert server.tokens == 2
    assert server.calls["POST /cips"] == 2


def test_a_token_that_another_process_renewed_meanwhile_is_taken(
    server: WireServer, gateway: CipGateway
) -> None:
    def refuse(request: Request) -> Reply:
        cache.set(gateway._tokens.key, "renewed-elsewhere", 60)
        return Reply(401)

    server.on("POST /cips", refuse, issued)
    gateway.create(CHARGE)
    assert bearer(server.last("POST /cips")) == "renewed-elsewhere"
    assert server.tokens == 1


def test_a_failed_renewal_leaves_nothing_done(server: WireServer, gateway: CipGateway) -> None:
    server.on("POST /authorizations", token_reply("old"), Reply(500))
    server.on("POST /cips", Reply(401))
    with pytest.raises(GatewayUnavailable):
        gateway.create(CHARGE)
    assert server.calls["POST /cips"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"secret_key": "rotated-made-up-secret-key-0123456789abc"},
        {"access_key": "ROTATEDACCESSKEY0001"},
        {"service_id": "4321"},
    ],
)
def test_a_token_of_other_credentials_is_never_used(
    server: WireServer, make_gateway: MakeGateway, changes: dict[str, str]
) -> None:
    server.on("POST /authorizations", token_reply("old"), token_reply("new"))
    make_gateway().create(CHARGE)
    make_gateway(secret_key_fallbacks=(SECRET_KEY,), **changes).create(CHARGE)
    assert bearer(server.last("POST /cips")) == "new"
    assert server.tokens == 2


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        pytest.param(Reply(401, {"code": "401", "message": "No autorizado."}), "401", id="401"),
        pytest.param(Reply(401, {"code": 401}), "401", id="401-number"),
        pytest.param(Reply(401, ""), "", id="401-empty"),
        pytest.param(Reply(401, "<html>"), "", id="401-html"),
        pytest.param(Reply(400, {"code": "111", "data": []}), "111", id="400"),
        pytest.param(Reply(400, {"code": "508"}), "508", id="508"),
    ],
)
def test_wrong_credentials(
    server: WireServer, gateway: CipGateway, reply: Reply, code: str
) -> None:
    server.on("POST /authorizations", reply)
    with pytest.raises(AuthenticationFailed, match="SECRET_KEY") as caught:
        gateway.create(CHARGE)
    assert caught.value.code == code
    assert server.calls == {"POST /authorizations": 1}


@pytest.mark.parametrize(
    ("reply", "calls"),
    [
        pytest.param(Reply(500, {"code": "166"}), 2, id="500"),
        pytest.param(Reply(502, "<html>"), 2, id="502-html"),
        pytest.param(cut(), 2, id="cut"),
        pytest.param(
            Reply(201, '{"code":"100"', length=500, close=True), 2, id="cut-in-the-middle"
        ),
        pytest.param(Reply(201, delay=3), 1, id="late"),
        pytest.param(Reply(200, "<html>"), 1, id="html"),
        pytest.param(Reply(201, '{"code":"100","data":{"token":"abc'), 1, id="truncated"),
        pytest.param(Reply(403, "<html>"), 1, id="403-html"),
        pytest.param(Reply(302, headers={"Location": "/v1/elsewhere"}), 1, id="redirect"),
        pytest.param(Reply(201, {"code": "100", "data": {}}), 1, id="no-token"),
        pytest.param(Reply(201, {"code": "100", "data": None}), 1, id="no-data"),
        pytest.param(token_reply(""), 1, id="empty-token"),
        pytest.param(token_reply("two\r\nlines"), 1, id="token-with-a-line-break"),
        pytest.param(token_reply("two words"), 1, id="token-with-a-space"),
        pytest.param(token_reply("日本"), 1, id="token-that-no-header-can-carry"),
        pytest.param(Reply(201, {"code": "100", "data": {"token": True}}), 1, id="token-bool"),
    ],
)
def test_without_a_token_nothing_is_asked_for(
    server: WireServer, make_gateway: MakeGateway, reply: Reply, calls: int
) -> None:
    server.on("POST /authorizations", reply)
    with pytest.raises(GatewayUnavailable):
        make_gateway(timeout=(0.8, 0.8)).create(CHARGE)
    assert server.calls == {"POST /authorizations": calls}


def test_a_token_call_is_repeated_after_a_broken_connection(
    server: WireServer, gateway: CipGateway, exchanges: list[Exchange]
) -> None:
    server.on("POST /authorizations", cut(), token_reply())
    assert gateway.create(CHARGE).cip == "10092759"
    assert [e.operation for e in exchanges] == ["authorize", "authorize", "create"]


def test_a_cache_that_raises_costs_no_payment_and_no_further_token(
    server: WireServer,
    make_gateway: MakeGateway,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "away": {"BACKEND": "tests.gateways.caches.RaisingCache"},
    }
    gateway = make_gateway(cache="away")
    server.on("POST /authorizations", token_reply("one"), token_reply("two"))
    for _ in range(3):
        assert gateway.create(CHARGE).cip == "10092759"
    assert server.tokens == 1
    server.on("POST /cips", Reply(401), issued)
    assert gateway.create(CHARGE).cip == "10092759"
    assert server.tokens == 2
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING and "cache" in r.msg]
    assert warnings
    assert "cache-password" not in caplog.text


def test_a_cache_that_keeps_nothing_makes_nobody_wait(
    server: WireServer, make_gateway: MakeGateway, settings: Any
) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "silent": {"BACKEND": "tests.gateways.caches.SilentCache"},
    }
    # Who waited would wait as long as a call may take, which is longer than this test.
    assert make_gateway(cache="silent", timeout=(300, 300)).create(CHARGE).cip == "10092759"


class TestAnotherProcessIsRefreshing:
    """The claim in the cache is another process's; this one waits for its token."""

    @pytest.fixture
    def claim(self, gateway: CipGateway) -> str:
        claim = f"{gateway._tokens.key}:refresh"
        assert cache.add(claim, 1, 30)
        return claim

    def test_its_token_is_waited_for(
        self, server: WireServer, gateway: CipGateway, claim: str
    ) -> None:
        timer = threading.Timer(0.2, cache.set, (gateway._tokens.key, "theirs", 60))
        timer.start()
        gateway.create(CHARGE)
        timer.join()
        assert bearer(server.last("POST /cips")) == "theirs"
        assert server.tokens == 0

    def test_its_failure_hands_over(
        self, server: WireServer, gateway: CipGateway, claim: str
    ) -> None:
        timer = threading.Timer(0.2, cache.delete, (claim,))
        timer.start()
        gateway.create(CHARGE)
        timer.join()
        assert server.tokens == 1

    def test_it_is_not_waited_for_longer_than_a_call_may_take(
        self, server: WireServer, make_gateway: MakeGateway, claim: str
    ) -> None:
        make_gateway(timeout=(0.2, 0.3)).create(CHARGE)
        assert server.tokens == 1


@pytest.mark.parametrize("failing", [False, True], ids=["token", "failure"])
def test_the_claim_is_given_back(server: WireServer, gateway: CipGateway, failing: bool) -> None:
    if failing:
        server.on("POST /authorizations", Reply(401))
        with pytest.raises(AuthenticationFailed):
            gateway.create(CHARGE)
    else:
        gateway.create(CHARGE)
    assert cache.get(f"{gateway._tokens.key}:refresh") is None


_WORKER = """
import sys
import django
from django.conf import settings
settings.configure(
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[2],
                           "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10}}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache",
                        "LOCATION": "tokens"}},
)
django.setup()
from django.core.management import call_command
if sys.argv[1] == "prepare":
    call_command("createcachetable")
    raise SystemExit
from tests.gateways.samples import CHARGE, merchant_at
from django_pagoefectivo.gateways import CipGateway
gateway = CipGateway(merchant_at(sys.argv[1]), timeout=(2, 5))
print("ready", flush=True)
sys.stdin.readline()
print(gateway.create(CHARGE).cip, flush=True)
"""


def test_three_processes_at_once_cost_one_token_call(server: WireServer, tmp_path: Path) -> None:
    database = str(tmp_path / "cache.sqlite3")
    slow = token_reply()
    server.on("POST /authorizations", Reply(slow.status, slow.body, delay=0.3))
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", _WORKER]
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run([*command, "prepare", database], check=True, cwd=root, env=environment)
    workers = [
        subprocess.Popen(
            [*command, server.url, database],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert [worker.communicate(timeout=20)[0] for worker in workers] == ["10092759\n"] * 3
    assert server.tokens == 1

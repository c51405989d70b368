"""The rehearsal of an installation that is as it should be, and of what it refuses."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.core.management import CommandError, call_command, load_command_class
from django.db import connections
from django.urls import get_script_prefix, set_script_prefix

from django_pagoefectivo.models import (
    ApiExchange,
    Payment,
    SignalDelivery,
    Status,
    TimelineEntry,
    WebhookEvent,
)
from django_pagoefectivo.rehearsal import Line, Rehearsal, Unsafe, Verdict, rehearse
from django_pagoefectivo.rehearsal.program import SCENARIOS
from django_pagoefectivo.rehearsal.reports import as_junit
from django_pagoefectivo.sandbox.models import (
    SandboxCall,
    SandboxCode,
    SandboxFault,
    SandboxNotification,
)
from django_pagoefectivo.services import Customer, deliver_due
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import listening
from django_pagoefectivo.testing.factories import WebhookEventFactory
from tests.docs.blocks import snippets
from tests.shop import models

ROWS = (
    Payment,
    WebhookEvent,
    SignalDelivery,
    ApiExchange,
    TimelineEntry,
    SandboxCode,
    SandboxCall,
    SandboxFault,
    SandboxNotification,
)
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def play(**wishes: Any) -> list[Line]:
    return list(rehearse(Rehearsal(**wishes)))


def failures(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.verdict is Verdict.FAILED]


def counts() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in ROWS}


@pytest.mark.parametrize("api", ["cip", pytest.param("payment", marks=pytest.mark.slow)])
def test_everything_passes_and_nothing_is_left(
    api: str, heard: list[Payment], configure: Callable[..., None]
) -> None:
    configure(merchant={"API": api, "BASE_URL": "http://127.0.0.1:9/v1"})
    make_payment()
    WebhookEventFactory.create()
    before = counts()
    lines = play()
    assert failures(lines) == []
    assert {line.verdict for line in lines} == {Verdict.PASSED}
    assert [s for s, _ in SCENARIOS] == list(dict.fromkeys(x.scenario for x in lines))[1:]
    assert all(line.did and line.must and line.saw and line.scenario for line in lines)
    assert counts() == before
    assert len({payment.order_reference for payment in heard}) == len(heard) > 5


@pytest.mark.slow
def test_kept_rows_are_marked(heard: list[Payment]) -> None:
    assert failures(play(keep=True)) == []
    payments = list(Payment.objects.all())
    assert len(payments) > 10
    runs = {payment.metadata["rehearsal"] for payment in payments}
    assert len(runs) == 1
    assert all(p.order_reference.startswith(f"REHEARSAL-{min(runs)}-") for p in payments)
    assert SandboxFault.objects.count() == 0


def test_behind_tls_an_allow_list_and_a_proxy(
    heard: list[Payment], configure: Callable[..., None], settings: Any
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.ALLOWED_HOSTS = ["shop.example"]
    configure(
        SITE_URL="https://shop.example",
        ALLOWED_IPS=["203.0.113.0/24"],
        IP_HEADER="X-Forwarded-For",
        TRUSTED_PROXIES=["10.0.0.0/8"],
    )
    some = ("success", "return before payment")
    assert failures(play(only=some)) == []
    configure(IP_HEADER=None)
    assert failures(play(only=some)) == []


def test_confirmed_by_status_query(heard: list[Payment], configure: Callable[..., None]) -> None:
    configure(CONFIRM_WITH_STATUS_QUERY=True)
    assert failures(play(only=("success", "same notification twice", "wrong amount"))) == []


@pytest.mark.slow
def test_the_shops_own_orders(heard: list[Payment]) -> None:
    made: list[str] = []
    cleared: list[str] = []

    @contextmanager
    def make_order() -> Iterator[dict[str, Any]]:
        reference = f"SHOP-{len(made)}"
        made.append(reference)
        yield {
            "order_reference": reference,
            "amount": 7,
            "customer": Customer(email="staff@shop.example"),
        }
        cleared.append(reference)

    assert failures(play(make_order=make_order)) == []
    assert sorted(cleared) == sorted(made)
    assert {p.order_reference for p in heard} <= set(made)
    assert Payment.objects.count() == 0


def test_some_scenarios_only(heard: list[Payment]) -> None:
    lines = play(only=("forged notification",))
    assert [line.scenario for line in lines] == ["before it begins", "forged notification"]
    assert failures(lines) == []
    with pytest.raises(CommandError, match="invalid choice"):
        run("--only", "no such scenario")


def test_a_shop_that_does_not_serve_the_sandbox(heard: list[Payment], settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.promises.urls"
    assert failures(play(only=("success", "return before payment"))) == []
    assert settings.ROOT_URLCONF == "tests.promises.urls"


def test_an_order_maker_that_breaks_is_a_line(heard: list[Payment]) -> None:
    def make_order() -> dict[str, Any]:
        raise LookupError("password=secret")

    lines = failures(play(make_order=make_order, only=("success", "PagoEfectivo down")))
    assert {line.saw for line in lines} == {"it broke off: LookupError"}
    assert "secret" not in str(lines)
    assert "--orders" in lines[0].mend


def test_nobody_listens() -> None:
    (first,) = failures(play(only=("success",)))
    assert (first.scenario, first.saw) == ("success", "no receiver listens to payment_confirmed")


def test_a_receiver_that_raises_is_named() -> None:
    def broken(payment: Payment, **kwargs: Any) -> None:
        raise LookupError(f"no order {payment.order_reference}")

    with listening(broken, "shop.broken", ["payment_confirmed"]):
        lines = failures(play(only=("success",)))
    assert "shop.broken was told 0 times (LookupError: no order" in lines[0].saw
    assert "--orders" in lines[0].mend


def test_no_worker_is_said_once_and_the_rest_is_played(
    heard: list[Payment], configure: Callable[..., None]
) -> None:
    configure(SIGNAL_DELIVERY="worker")
    (line,) = failures(play(patience=0, only=("success", "late payment", "out of order")))
    assert "delivery worker" in line.did
    assert "pagoefectivo_deliver" in line.mend


def test_a_worker_that_runs_is_waited_for(
    heard: list[Payment], configure: Callable[..., None]
) -> None:
    configure(SIGNAL_DELIVERY="worker")
    over = Event()

    def work() -> None:
        try:
            while not over.wait(0.05):
                deliver_due()
        finally:
            connections.close_all()

    worker = Thread(target=work)
    worker.start()
    try:
        assert failures(play(only=("success", "unpaid until expiry"))) == []
    finally:
        over.set()
        worker.join(10)


def test_mounted_below_a_path(heard: list[Payment], settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/shop"
    with script_prefix("/shop/"):
        lines = play(only=("success", "return before payment"))
        assert failures(lines) == []
    assert "/shop/pagoefectivo/webhook/default/" in lines[0].saw


@contextmanager
def script_prefix(prefix: str) -> Iterator[None]:
    """What a management command sets before it begins."""
    before = get_script_prefix()
    set_script_prefix(prefix)
    try:
        yield
    finally:
        set_script_prefix(before)


# -- safety --------------------------------------------------------------------------------


def test_production_is_refused(configure: Callable[..., None], settings: Any) -> None:
    own = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
    real = {**own, "ENVIRONMENT": "production", "BASE_URL": None}
    configure(MERCHANTS={"default": own, "real": real})
    before = counts()
    for environment, merchant in (("built-in", "default"), ("sandbox", "real")):
        with pytest.raises(Unsafe, match="Merchant real is in production"):
            play(environment=environment, merchant=merchant)
    assert counts() == before


def test_unknown_merchant_and_no_sandbox_are_refused(settings: Any) -> None:
    with pytest.raises(Unsafe, match='no merchant "usd"; known: default'):
        play(merchant="usd")
    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if app != "django_pagoefectivo.sandbox"
    ]
    with pytest.raises(Unsafe, match=r'Add "django_pagoefectivo\.sandbox"'):
        play()


def test_hopeless_settings_are_lines(settings: Any) -> None:
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    first, last = play()
    assert "URLs of django-pagoefectivo are not included" in first.saw
    assert (last.verdict, last.scenario) == (Verdict.ERROR, "every scenario")
    settings.PAGOEFECTIVO = None
    assert "missing or no dict" in play()[0].saw


# -- PagoEfectivo's integration environment ------------------------------------------------


@pytest.mark.parametrize(("api", "path"), [("cip", "v1"), ("payment", "api/v1")])
def test_integration_environment(
    api: str, path: str, live_server: Any, configure: Callable[..., None]
) -> None:
    configure(merchant={"API": api, "BASE_URL": f"{live_server.url}/sandbox/{path}"})
    lines = play(environment="sandbox")
    assert failures(lines) == []
    assert [line.scenario for line in lines] == ["create", "query", "extend", "delete"]
    skipped = [line.scenario for line in lines if line.verdict is Verdict.SKIPPED]
    assert skipped == ([] if api == "cip" else ["extend", "delete"])
    assert Payment.objects.count() == ApiExchange.objects.count() == 0
    play(environment="sandbox", keep=True)
    assert Payment.objects.get().status == (Status.CANCELLED if api == "cip" else Status.PENDING)


def test_integration_environment_that_refuses(configure: Callable[..., None]) -> None:
    (line,) = failures(play(environment="sandbox"))
    assert "connection failed" in line.saw
    assert Payment.objects.count() == 0


# -- the command ---------------------------------------------------------------------------


def parsed(report: bytes) -> ET.Element:
    return ET.fromstring(report)  # noqa: S314 - a report of our own


def run(*arguments: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("pagoefectivo_rehearse", *arguments, stdout=out)
    except SystemExit as end:
        return out.getvalue(), int(end.code or 0)
    return out.getvalue(), 0


@pytest.mark.slow
def test_text_and_junit(heard: list[Payment], tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    text, status = run("--junit", str(report))
    assert status == 0, text
    assert text.startswith("Your receivers run for real")
    assert "shop.on_paid" in text
    assert "PASSED  forged notification: " in text
    assert "22 passed, 0 failed." in text
    suite = parsed(report.read_bytes()).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("22", "0")


def test_json_and_status_for_ci(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    only = ("--only", "success", "--only", "forged notification")
    text, status = run(*only, "--format", "json", "--junit", str(report))
    data = json.loads(text)
    assert (status, data["passed"]) == (1, False)
    assert set(data["lines"][0]) == {"scenario", "did", "must", "saw", "verdict", "mend"}
    assert parsed(report.read_bytes()).findall(".//failure")


def test_junit_takes_what_a_receiver_says() -> None:
    line = Line("a", "did", "must", "bad \x00\x1b[31m <b>", Verdict.FAILED, "mend")
    failure = parsed(as_junit([line], "x")).find(".//failure")
    assert failure is not None
    assert "<b>" in (failure.text or "")
    skipped = Line("a", "did", "must", "not here", Verdict.SKIPPED)
    assert parsed(as_junit([skipped], "x")).find(".//skipped") is not None


def test_refusals_are_sentences_with_a_status_of_their_own(
    configure: Callable[..., None], tmp_path: Path
) -> None:
    configure(merchant={"ENVIRONMENT": "production", "BASE_URL": None})
    with pytest.raises(CommandError, match="is in production") as caught:
        run()
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="cannot be imported"):
        run("--orders", "no.such.function")
    with pytest.raises(CommandError, match="is not callable"):
        run("--orders", "django_pagoefectivo.rehearsal.program.SCENARIOS")


def test_a_report_that_cannot_be_written_is_a_sentence(
    heard: list[Payment], tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="could not be written"):
        run("--environment", "sandbox", "--junit", str(tmp_path / "no" / "report.xml"))


def test_help_tells_what_it_does() -> None:
    command: Any = load_command_class("django_pagoefectivo", "pagoefectivo_rehearse")
    parser = command.create_parser("manage.py", "pagoefectivo_rehearse")
    text = " ".join(parser.format_help().split())
    for words in ("Receivers run for real", "refuses", "Exits with 1", "--keep", "--junit"):
        assert words in text


def test_the_docs_way_to_make_orders(heard: list[Payment], monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [one for one in snippets("howto/go-live", "python") if one.caption]
    assert block.caption == "shop/rehearsal.py"
    monkeypatch.setitem(sys.modules, "shop", sys.modules["tests.shop"])
    monkeypatch.setitem(sys.modules, "shop.models", models)
    names = block.run()
    lines = play(make_order=names["rehearsal_order"], only=("success", "wrong amount"))
    assert failures(lines) == []
    assert [payment.order_reference[:2] for payment in heard] == ["R-"]
    assert models.Order.objects.count() == 0


def test_the_lines_that_the_page_shows() -> None:
    """What the page prints of a rehearsal is what one prints."""

    def paid(**kwargs: Any) -> None:
        raise LookupError("the warehouse is away")

    out = StringIO()
    only = ["--only", "success", "--only", "wrong amount"]
    with listening(paid, "shop.paid", ["payment_confirmed"]), pytest.raises(SystemExit):
        call_command("pagoefectivo_rehearse", *only, stdout=out)
    (block,) = snippets("howto/go-live", "literal")
    shown = re.split(r"\n(?=PASSED|FAILED)", block.code)
    assert len(shown) == 2
    for line in shown:
        assert " ".join(line.split()) in " ".join(out.getvalue().split())

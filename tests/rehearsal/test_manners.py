"""A rehearsal that touches its own things only, and waits for nobody without end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings

from django_pagoefectivo.models import DeliveryState, Payment, SignalDelivery
from django_pagoefectivo.rehearsal import Verdict, limits
from django_pagoefectivo.sandbox import control, notifications
from django_pagoefectivo.sandbox.models import SandboxCall, SandboxFault
from django_pagoefectivo.services import deliver_due
from django_pagoefectivo.testing.captured import listening

from .test_rehearsal import failures, play, run

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # By a thread, since receivers are interrupted by the alarm.
    pytest.mark.timeout(120, method="thread"),
    pytest.mark.slow,
]


# -- receivers that do not come back -----------------------------------------------------------


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A receiver that does not come back, in a rehearsal that waits for half a second."""
    monkeypatch.setattr(limits, "RECEIVER_TIME", timedelta(seconds=0.5))
    monkeypatch.setattr(notifications, "TIMEOUT", (3.05, 0.5))
    over = Event()

    def hang(**kwargs: Any) -> None:
        if "over" in kwargs:
            over.set()
        over.wait(30)

    yield hang
    over.set()


@pytest.mark.parametrize("scenario", ["success", "lost notification", "late payment"])
def test_a_receiver_that_hangs_is_named(
    hanging: Callable[..., Any], scenario: str, heard: list[Payment]
) -> None:
    with listening(hanging, "shop.hang", ["payment_confirmed"]):
        lines = play(only=(scenario, "return before payment"))
    found = failures(lines)[-1]
    assert found.scenario == scenario
    assert found.saw == (
        "shop.hang, a receiver of payment_confirmed, did not come back within 0.5 seconds."
    )
    assert found.mend
    assert (lines[-1].scenario, lines[-1].verdict) == ("return before payment", Verdict.SKIPPED)
    assert Payment.objects.count() == 0


def test_a_receiver_that_hangs_when_a_code_is_made(hanging: Callable[..., Any]) -> None:
    with listening(hanging, "shop.hang", ["payment_pending"]):
        lines = play(only=("success", "forged notification"))
    assert "shop.hang, a receiver of payment_pending," in failures(lines)[-1].saw
    assert lines[-1].verdict is Verdict.SKIPPED


def test_a_receiver_that_hangs_in_integration(
    hanging: Callable[..., Any], live_server: Any, configure: Callable[..., None]
) -> None:
    configure(merchant={"BASE_URL": f"{live_server.url}/sandbox/v1"})
    with listening(hanging, "shop.hang", ["payment_created"]):
        assert failures(play(environment="sandbox")) == []


def test_a_worker_that_is_busy_is_not_missing(
    hanging: Callable[..., Any], configure: Callable[..., None]
) -> None:
    configure(SIGNAL_DELIVERY="worker")
    over = Event()

    def work() -> None:
        try:
            while not over.wait(0.02):
                deliver_due()
        finally:
            connections.close_all()

    worker = Thread(target=work, daemon=True)
    with listening(hanging, "shop.hang", ["payment_confirmed"]):
        worker.start()
        try:
            lines = play(only=("success",), patience=0.5)
        finally:
            over.set()
    assert "shop.hang, a receiver of payment_confirmed, did not come" in failures(lines)[-1].saw
    assert "delivery worker" not in str(lines)
    hanging(over=True)
    worker.join(10)


def test_a_missing_worker_is_said_whatever_is_played(
    heard: list[Payment], configure: Callable[..., None]
) -> None:
    configure(SIGNAL_DELIVERY="worker")
    only = ("same notification twice", "late payment")
    (line,) = failures(play(patience=0, only=only))
    assert (line.scenario, "delivery worker" in line.did) == (only[0], True)


# -- what others have in the sandbox -----------------------------------------------------------


def test_calls_of_others_stay(heard: list[Payment]) -> None:
    @contextmanager
    def make_order() -> Iterator[dict[str, Any]]:
        """While a tester is at it, too."""
        SandboxCall.objects.create(
            operation="create", method="POST", path="/sandbox/v1/cips", status=201
        )
        yield {}

    assert failures(play(make_order=make_order, only=("success",))) == []
    assert SandboxCall.objects.get().path == "/sandbox/v1/cips"


def test_faults_of_others_are_named_and_stay(heard: list[Payment]) -> None:
    control.arm(control.ApiFault.ERROR_500, control.Operation.CREATE, times=2)
    first, last = play()
    assert "error-500 for create" in first.saw
    assert (first.verdict, last.verdict) == (Verdict.FAILED, Verdict.ERROR)
    assert SandboxFault.objects.get().times_left == 2


def test_faults_that_others_arm_meanwhile_stay(heard: list[Payment]) -> None:
    def make_order() -> dict[str, Any]:
        control.arm(control.ApiFault.SLOW, control.Operation.CANCEL)
        return {}

    assert failures(play(make_order=make_order, only=("success",))) == []
    assert SandboxFault.objects.get().operation == "cancel"


def test_nothing_is_owed_to_the_rehearsals_own_receivers(heard: list[Payment]) -> None:
    assert failures(play(keep=True, only=("a receiver that raises",))) == []
    (row,) = SignalDelivery.objects.filter(signal="payment_confirmed")
    assert (row.receiver, row.state) == ("shop.on_paid", DeliveryState.DONE)
    assert deliver_due(ignore_backoff=True).failed == 0


def test_its_own_receiver_is_not_logged(
    heard: list[Payment], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**kwargs: Any) -> None:
        raise LookupError

    with (
        caplog.at_level(logging.ERROR, "django_pagoefectivo.delivery"),
        listening(broken, "shop.broken", ["payment_confirmed"]),
    ):
        play(only=("a receiver that raises",))
    assert "shop.broken" in caplog.text
    assert "raised by the rehearsal" not in caplog.text


def test_the_shops_urls_are_served_as_they_are(heard: list[Payment]) -> None:
    """The sandbox is served apart, so nothing is put into the URLs of the shop."""
    seen: list[str] = []

    def make_order() -> dict[str, Any]:
        seen.append(settings.ROOT_URLCONF)
        return {}

    with override_settings(ROOT_URLCONF="tests.promises.urls"):
        assert failures(play(make_order=make_order, only=("success",))) == []
    assert seen == ["tests.promises.urls"]


def test_an_unexpected_fault_keeps_the_lines_so_far(
    heard: list[Payment], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("django_pagoefectivo.rehearsal.clearing.clear_up", broken)
    *lines, last = play(only=("success",))
    assert [line.scenario for line in lines].count("success") == 3
    assert last.verdict is Verdict.ERROR
    assert "ZeroDivisionError" in last.saw
    text, status = run("--only", "success")
    assert status == 2
    assert "PASSED  success" in text

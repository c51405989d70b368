"""Each receiver on its own: retried with backoff, kept where it is missing, never silent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection, transaction
from django.dispatch import receiver as connect_receiver
from django.utils import timezone

from django_pagoefectivo.models import Payment, SignalDelivery
from django_pagoefectivo.services import deliver_due
from django_pagoefectivo.signals import payment_confirmed, payment_flagged
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import listening

from .kit import Heard, Probe, body_of, notify, post, refresh

pytestmark = pytest.mark.django_db(transaction=True)
START = "2026-11-23T12:00:00Z"


class Failing:
    """Raises ``times`` times and then works."""

    def __init__(self, times: int, error: BaseException | None = None) -> None:
        self.left, self.calls = times, 0
        self.error = error or ValueError("the shop's warehouse is away")

    def __call__(self, sender: Any, payment: Payment, **kwargs: Any) -> None:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error


def documented(
    sender: type[Payment], payment: Payment, source: str, event: Any, late: bool, **kwargs: Any
) -> None:
    """A receiver with the signature of the contract."""


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def test_raises_twice_then_works(clock: Any, probe: Probe) -> None:
    failing = Failing(2)
    with listening(failing, "tests.failing", ["payment_confirmed"]):
        payment = make_payment()
        assert notify(payment).content == b"applied"
        assert (failing.calls, len(probe.of("payment_confirmed"))) == (1, 1)
        row = SignalDelivery.objects.get(state="pending")
        assert (row.receiver, row.attempts) == ("tests.failing", 1)
        assert row.last_error == "ValueError: the shop's warehouse is away"
        first_wait = row.due_at - timezone.now()
        assert deliver_due().failed == 0, "before its time"
        clock.shift(first_wait + timedelta(seconds=1))
        assert deliver_due().failed == 1
        row.refresh_from_db()
        second_wait = row.due_at - timezone.now()
        assert second_wait > first_wait * 1.5
        clock.shift(second_wait + timedelta(seconds=1))
        assert deliver_due().delivered == 1
        clock.shift(timedelta(days=1))
        report = deliver_due()
        assert (report.delivered, report.failed) == (0, 0)
    assert failing.calls == 3
    assert len(probe.of("payment_confirmed")) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_error) == ("done", 3, "")


def test_backoff_grows_and_has_an_end(clock: Any) -> None:
    waits = []
    with listening(Failing(10_000), "tests.failing", ["payment_confirmed"]):
        notify(make_payment())
        for _ in range(15):
            row = SignalDelivery.objects.get()
            waits.append(row.due_at - timezone.now())
            clock.shift(waits[-1] + timedelta(seconds=1))
            assert deliver_due().failed == 1
    assert all(b > a for a, b in pairwise(waits[:8])), waits
    assert timedelta(seconds=5) < waits[0] < timedelta(minutes=1)
    assert max(waits) < timedelta(hours=2)
    assert SignalDelivery.objects.get().attempts == 16


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x" * 100_000),
        ValueError("\x00 NUL"),
        ValueError("\ud800 surrogate"),
        RuntimeError(),
        KeyError(("a", 1)),
        asyncio.CancelledError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
    ids=lambda e: type(e).__name__ + str(len(str(e))),
)
def test_whatever_is_raised_is_kept_and_the_answer_is_200(
    error: BaseException, probe: Probe
) -> None:
    with listening(Failing(1, error), "tests.failing", ["payment_confirmed"]):
        payment = make_payment()
        assert post(body_of(payment)).status_code == 200
    assert len(probe.of("payment_confirmed")) == 1
    row = SignalDelivery.objects.get(receiver="tests.failing")
    assert row.state == "pending"
    assert type(error).__name__ in row.last_error


def test_whose_order_it_is_is_masked_in_what_a_receiver_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = "no box for Rosa María Quispe <rosa.quispe@correo.example>, DNI 46718293"
    payment = make_payment(
        customer_first_name="Rosa María",
        customer_last_name="Quispe",
        customer_email="rosa.quispe@correo.example",
        customer_document_number="46718293",
    )
    with listening(Failing(1, LookupError(words)), "tests.failing", ["payment_confirmed"]):
        post(body_of(payment))
    error = SignalDelivery.objects.get(receiver="tests.failing").last_error
    for text in (error, caplog.text):
        assert "no box for R*** M*** Q***" in text
        for known in ("Rosa", "María", "Quispe", "46718293"):
            assert known.lower() not in text.lower()


def test_sys_exit_in_a_receiver_is_a_failure_like_any_other() -> None:
    after = Probe()
    with (
        listening(Failing(1, SystemExit(1)), "tests.exits", ["payment_confirmed"]),
        listening(after, "tests.after", ["payment_confirmed"]),
    ):
        payment = make_payment()
        assert post(body_of(payment)).status_code == 200
    assert len(after.heard) == 1


def test_an_error_whose_text_cannot_be_made(probe: Probe) -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    after = Probe()
    with (
        listening(Failing(1, Nasty()), "tests.nasty", ["payment_confirmed"]),
        listening(after, "tests.zz.after", ["payment_confirmed"]),
    ):
        payment = make_payment()
        assert post(body_of(payment)).status_code == 200
    assert len(probe.of("payment_confirmed")) == 1
    assert len(after.heard) == 1
    assert "Nasty" in SignalDelivery.objects.get(receiver="tests.nasty").last_error


def test_a_receiver_that_breaks_the_connection_disturbs_nobody(probe: Probe) -> None:
    def broken(sender: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM there_is_no_such_table")

    def closing(sender: Any, **kwargs: Any) -> None:
        connection.close()

    def half_done(sender: Any, payment: Payment, **kwargs: Any) -> None:
        with transaction.atomic():
            payment.description = "by a receiver"
            payment.save(update_fields=["description"])
            raise ValueError("rolled back")

    with (
        listening(broken, "tests.0.broken", ["payment_confirmed"]),
        listening(closing, "tests.0.closing", ["payment_confirmed"]),
        listening(half_done, "tests.0.half", ["payment_confirmed"]),
        listening(after := Probe(), "tests.9.after", ["payment_confirmed"]),
    ):
        payment = make_payment()
        assert post(body_of(payment)).status_code == 200
    assert len(after.heard) == len(probe.of("payment_confirmed")) == 1
    states = dict(SignalDelivery.objects.values_list("receiver", "state"))
    assert states == {
        "tests.0.broken": "pending",
        "tests.0.closing": "done",
        "tests.0.half": "pending",
        "tests.9.after": "done",
        "tests.probe": "done",
    }
    assert refresh(payment).description == ""


def test_a_failed_bookkeeping_is_still_a_200(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit was done: whatever goes wrong behind it must not say otherwise."""
    from django_pagoefectivo.services import delivery

    def away(row: Any) -> Any:
        raise RuntimeError("the database has just gone")

    with listening(probe := Probe(), "tests.probe", ["payment_confirmed"]):
        payment = make_payment()
        with monkeypatch.context() as patched:
            patched.setattr(delivery, "_mine", away)
            assert post(body_of(payment)).status_code == 200
        assert len(probe.heard) == 1
        # This process knows what it did, and only its death may have the call made again.
        with time_machine.travel(timezone.now() + timedelta(minutes=6)):
            assert deliver_due().delivered == 0
        assert len(probe.heard) == 1
        assert SignalDelivery.objects.get().state == "done"


def test_a_receiver_that_is_not_connected_is_kept_and_reported(clock: Any) -> None:
    with listening(Failing(1), "shop.invoices", ["payment_confirmed"]):
        notify(make_payment())
    clock.shift(timedelta(minutes=1))
    assert deliver_due().failed == 1
    row = SignalDelivery.objects.get()
    assert row.state == "pending"
    assert "shop.invoices" in row.last_error
    assert "dispatch_uid" in row.last_error
    out = StringIO()
    call_command("pagoefectivo_deliver", "--now", stdout=out)
    assert "0 delivered, 1 failed" in out.getvalue()
    assert "1 wait" in out.getvalue()
    with listening(probe := Probe(), "shop.invoices", ["payment_confirmed"]):
        clock.shift(timedelta(hours=3))
        assert deliver_due().delivered == 1
    assert len(probe.heard) == 1


def test_limit_and_now(clock: Any) -> None:
    failing = Failing(3)
    with listening(failing, "tests.failing", ["payment_confirmed"]):
        for _ in range(3):
            notify(make_payment())
        assert failing.calls == 3
        call_command("pagoefectivo_deliver", verbosity=0)
        assert failing.calls == 3
        call_command("pagoefectivo_deliver", "--now", "--limit", "2", verbosity=0)
        assert failing.calls == 5
    assert SignalDelivery.objects.filter(state="done").count() == 2


def test_nobody_listening_owes_nothing() -> None:
    notify(make_payment())
    assert SignalDelivery.objects.count() == 0


# -- names -------------------------------------------------------------------------------


def module_level(sender: Any, **kwargs: Any) -> None:
    calls.append("module_level")


calls: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls() -> Iterator[None]:
    calls.clear()
    yield
    for connected in list(payment_confirmed._connections):
        if "promises" in connected.name:
            payment_confirmed.disconnect(
                connected.reference(), connected.sender, connected.dispatch_uid
            )


def names() -> list[str]:
    return payment_confirmed.receiver_names(Payment)


def test_a_receiver_is_known_by_its_path_or_its_uid() -> None:
    payment_confirmed.connect(module_level)
    assert f"{__name__}.module_level" in names()
    payment_confirmed.disconnect(module_level)
    assert f"{__name__}.module_level" not in names()
    with listening(module_level, "the.uid", ["payment_confirmed"]):
        assert "the.uid" in names()
        notify(make_payment())
    assert calls == ["module_level"]
    assert SignalDelivery.objects.get().receiver == "the.uid"


def test_connecting_twice_is_once_and_the_decorator_works() -> None:
    connect_receiver(payment_confirmed)(module_level)
    payment_confirmed.connect(module_level)
    notify(make_payment())
    assert calls == ["module_level"]


def test_two_that_would_share_a_name_are_refused() -> None:
    def twin() -> Any:
        def receive(sender: Any, **kwargs: Any) -> None:
            calls.append("twin")

        return receive

    one, two = twin(), twin()
    payment_confirmed.connect(one)
    with pytest.raises(ValueError, match="dispatch_uid"):
        payment_confirmed.connect(two)
    notify(make_payment())
    assert calls == ["twin"]
    with listening(two, "tests.promises.two", ["payment_confirmed"]):
        notify(make_payment())
    assert calls == ["twin"] * 3


def test_a_uid_that_is_anothers_path_is_not_silently_dropped() -> None:
    def sneaky(sender: Any, **kwargs: Any) -> None:
        calls.append("sneaky")

    payment_confirmed.connect(module_level)
    try:
        payment_confirmed.connect(sneaky, dispatch_uid=f"{__name__}.module_level", weak=False)
    except ValueError:
        return
    try:
        notify(make_payment())
        assert sorted(calls) == ["module_level", "sneaky"]
    finally:
        payment_confirmed.disconnect(dispatch_uid=f"{__name__}.module_level")


def test_a_second_receiver_with_the_same_uid_is_ignored_as_django_does() -> None:
    def other(sender: Any, **kwargs: Any) -> None:
        calls.append("other")

    with listening(module_level, "the.uid", ["payment_confirmed"]):
        payment_confirmed.connect(other, dispatch_uid="the.uid")
        notify(make_payment())
    assert calls == ["module_level"]


def test_a_receiver_connected_for_two_senders_hears_payments() -> None:
    payment_confirmed.connect(module_level, sender=SignalDelivery)
    payment_confirmed.connect(module_level, sender=Payment)
    try:
        notify(make_payment())
        assert calls == ["module_level"]
    finally:
        payment_confirmed.disconnect(module_level, sender=SignalDelivery)
        payment_confirmed.disconnect(module_level, sender=Payment)


def test_a_name_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        payment_confirmed.connect(module_level, dispatch_uid="x" * 256)


def test_bound_methods_and_objects() -> None:
    class Service:
        def on_paid(self, sender: Any, **kwargs: Any) -> None:
            calls.append("method")

    service = Service()
    payment_confirmed.connect(service.on_paid)
    notify(make_payment())
    assert calls == ["method"]
    del service
    notify(make_payment())
    assert calls == ["method"]


def test_an_async_receiver(probe: Probe) -> None:
    async def listener(sender: Any, payment: Payment, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        await Payment.objects.filter(pk=payment.pk).aupdate(description="async")
        calls.append("async")

    async def failing(sender: Any, **kwargs: Any) -> None:
        raise ValueError("async trouble")

    with (
        listening(listener, "tests.async", ["payment_confirmed"]),
        listening(failing, "tests.async.failing", ["payment_confirmed"]),
    ):
        payment = make_payment()
        notify(payment)
    assert calls == ["async"]
    assert refresh(payment).description == "async"
    assert SignalDelivery.objects.get(state="pending").last_error == "ValueError: async trouble"


def test_an_object_with_an_async_call_is_awaited() -> None:
    class Listener:
        async def __call__(self, sender: Any, **kwargs: Any) -> None:
            calls.append("async object")

    with listening(Listener(), "tests.async.object", ["payment_confirmed"]):
        notify(make_payment())
    assert calls == ["async object"]


# -- what receivers get ------------------------------------------------------------------


def test_the_arguments_of_the_contract() -> None:
    spec = mock.create_autospec(documented)
    with listening(spec, "tests.spec", ["payment_confirmed"]):
        payment = make_payment()
        notify(payment)
    (call,) = spec.call_args_list
    assert call.kwargs["sender"] is Payment
    assert call.kwargs["payment"] == payment
    assert call.kwargs["payment"].status == "paid"
    assert call.kwargs["source"] == "webhook"
    assert call.kwargs["event"].payment_id == payment.pk
    assert call.kwargs["late"] is False


def test_they_run_outside_any_transaction_and_see_what_was_committed(probe: Probe) -> None:
    def look(heard: Heard) -> None:
        assert not heard.in_transaction
        assert refresh(payment).status == heard.status

    probe.then = look
    payment = make_payment()
    notify(payment)
    notify(payment, operation="2")
    assert SignalDelivery.objects.filter(state="pending").count() == 0
    assert probe.signals == ["payment_confirmed", "payment_flagged"]
    assert payment_flagged.receiver_names(Payment) == ["tests.probe"]


def test_one_receivers_changes_do_not_reach_the_next(probe: Probe) -> None:
    """Each is told what was committed, whatever another one did to its object."""

    def meddling(sender: Any, payment: Payment, **kwargs: Any) -> None:
        payment.status = "failed"
        payment.amount = -1

    with (
        listening(meddling, "tests.0.meddling", ["payment_confirmed"]),
        listening(after := Probe(), "tests.1.after", ["payment_confirmed"]),
    ):
        notify(make_payment())
    assert [h.status for h in after.heard] == ["paid"]

"""While PagoEfectivo does not answer, it is left alone, by all processes, and soon asked again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache, caches
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_pagoefectivo.exceptions import GatewayUnavailable
from django_pagoefectivo.models import Payment
from django_pagoefectivo.services import poll, sync_payment
from django_pagoefectivo.services.breaker import LIMIT, PAUSE, Breaker, Paused
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import refresh
from tests.servers import PAID, PagoEfectivo

from .kit import DOWN, known, make_due

pytestmark = pytest.mark.django_db(transaction=True)


def go_down(pe: PagoEfectivo) -> None:
    pe.fail_next("search", *[DOWN] * 100)


def test_a_pass_stops_early_and_says_so(
    pe: PagoEfectivo,
    configure: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure(SEARCH_BATCH_SIZE=2)
    payments = [known(pe, make_payment()) for _ in range(50)]
    go_down(pe)
    with pytest.raises(CommandError, match="50 payments could not be asked about") as caught:
        call_command("pagoefectivo_poll")
    assert caught.value.returncode == 1
    assert "not answered merchant default 3 times in a row" in str(caught.value)
    assert "0 asked in 3 calls, 0 changed" in capsys.readouterr().out
    (paused,) = [
        record
        for record in caplog.records
        if record.name == "django_pagoefectivo.polling" and "3 times in a row" in record.message
    ]
    assert paused.levelname == "WARNING"
    # Each question is asked twice.
    assert pe.counts["search"] == 2 * LIMIT
    due = Payment.objects.filter(next_poll_at__lte=timezone.now()).count()
    assert due == len(payments), "what got no answer stays due"


def test_the_next_pass_goes_on_where_it_stopped(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    configure(SEARCH_BATCH_SIZE=2)
    payments = [known(pe, make_payment(), PAID) for _ in range(20)]
    pe.fail_next("search", lambda *_: None, lambda *_: None, *[DOWN] * (2 * LIMIT))
    first = poll()
    assert (first.sync.asked, first.sync.failed) == (4, 16)
    with time_machine.travel(time.time() + PAUSE + 1):
        cache.delete("pagoefectivo:paused:default")
        assert poll().sync.asked == 16
    assert {refresh(payment).status for payment in payments} == {"paid"}


def test_one_merchant_does_not_stop_another(
    pe: PagoEfectivo, configure: Callable[..., None], settings: Any
) -> None:
    merchants = settings.PAGOEFECTIVO["MERCHANTS"]
    away = merchants["default"] | {"BASE_URL": "http://127.0.0.1:9/v1", "SERVICE_ID": "99"}
    configure(MERCHANTS=merchants | {"away": away}, SEARCH_BATCH_SIZE=1)
    for _ in range(10):
        make_payment(merchant="away")
    paid = known(pe, make_payment(), PAID)
    report = poll().sync
    assert (report.failed, report.asked) == (10, 1)
    assert refresh(paid).status == "paid"


def test_the_next_pass_does_not_ask_during_the_pause(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    configure(SEARCH_BATCH_SIZE=2)
    make_due(pe, 20)
    go_down(pe)
    poll()
    calls = pe.counts["search"]
    report = poll().sync
    assert (report.calls, report.failed) == (0, 20)
    assert pe.counts["search"] == calls


def test_a_merchant_with_a_cache_of_its_own_shares_it(
    pe: PagoEfectivo, configure: Callable[..., None], settings: Any
) -> None:
    """What the poller finds out a shopper's request must know, and the other way round."""
    own = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "own"}
    settings.CACHES = {**settings.CACHES, "own": own}
    configure(merchant={"CACHE": "own"})
    caches["own"].clear()
    payment = known(pe, make_payment())
    go_down(pe)
    for _ in range(LIMIT):
        with pytest.raises(GatewayUnavailable):
            sync_payment(payment)
    assert poll().sync.calls == 0


def test_a_shopper_does_not_wait_for_what_was_found_out(pe: PagoEfectivo) -> None:
    payment = known(pe, make_payment())
    go_down(pe)
    for _ in range(LIMIT):
        with pytest.raises(GatewayUnavailable):
            sync_payment(payment)
    calls = pe.counts["search"]
    with pytest.raises(Paused, match="more seconds") as caught:
        sync_payment(payment)
    assert caught.value.payment == payment
    assert pe.counts["search"] == calls


def test_an_answer_in_between_counts(pe: PagoEfectivo) -> None:
    payment = known(pe, make_payment())
    for _ in range(LIMIT + 2):
        pe.fail_next("search", DOWN, DOWN)
        with pytest.raises(GatewayUnavailable) as caught:
            sync_payment(payment)
        assert not isinstance(caught.value, Paused)
        sync_payment(payment)


def test_after_the_pause_one_failure_is_enough_to_wait_again() -> None:
    breaker = Breaker("default", "default")
    for _ in range(LIMIT):
        fail(breaker)
    assert 0 < breaker.seconds_left() <= PAUSE
    with time_machine.travel(timezone.now() + timedelta(seconds=PAUSE + 1)):
        assert breaker.seconds_left() == 0
        fail(breaker)
        assert breaker.seconds_left() > 0


def test_a_clock_that_was_set_back_does_not_make_the_pause_longer() -> None:
    breaker = Breaker("default", "default")
    for _ in range(LIMIT):
        fail(breaker)
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        assert breaker.seconds_left() == 0


def test_with_a_cache_that_is_away_every_question_is_asked(settings: Any) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "away": {"BACKEND": "tests.promises.kit.BrokenCache", "LOCATION": "x"},
    }
    breaker = Breaker("default", "away")
    for _ in range(LIMIT + 2):
        fail(breaker)
    with breaker.asking():
        pass


def fail(breaker: Breaker) -> None:
    with pytest.raises(GatewayUnavailable), breaker.asking():
        raise GatewayUnavailable("no answer")

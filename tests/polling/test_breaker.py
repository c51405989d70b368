"""While PagoEfectivo does not answer, it is left alone, by all processes, and soon asked again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_pagoefectivo.exceptions import GatewayUnavailable
from django_pagoefectivo.models import Payment
from django_pagoefectivo.services import poll, sync_payment
from django_pagoefectivo.services.breaker import LIMIT, PAUSE, Breaker, Paused
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import refresh
from tests.servers import NEVER, PAID, Code, PagoEfectivo, Reply

pytestmark = pytest.mark.django_db(transaction=True)
DOWN = Reply(503, b"down", "text/html")


def known(pe: PagoEfectivo, payment: Payment, status: int = 22) -> Payment:
    cip = str(payment.cip)
    pe.codes[cip] = Code(cip, payment.transaction_code, payment.amount, "PEN", NEVER, status)
    return payment


def go_down(pe: PagoEfectivo) -> None:
    pe.fail_next("search", *[DOWN] * 100)


def test_a_pass_stops_early_and_says_so(pe: PagoEfectivo, configure: Callable[..., None]) -> None:
    configure(SEARCH_BATCH_SIZE=2)
    payments = [known(pe, make_payment()) for _ in range(50)]
    go_down(pe)
    with pytest.raises(CommandError, match="not answered merchant default 3 times in a row"):
        call_command("pagoefectivo_poll", verbosity=0)
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

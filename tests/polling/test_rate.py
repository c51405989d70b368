"""``POLL_RATE``: so many status queries a minute and merchant, whoever asks."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.cache import cache, caches
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from django_pagoefectivo.conf import get_config
from django_pagoefectivo.conf.options import FASTEST_POLL
from django_pagoefectivo.models import Payment
from django_pagoefectivo.services import pace, poll, sync_payment, sync_payments
from django_pagoefectivo.services.bulk_acts import MANY_ACTS, Tally
from django_pagoefectivo.services.jobs import make_job, run
from django_pagoefectivo.services.pace import Pace
from tests.promises.kit import at_once
from tests.promises.test_crashes import Children
from tests.servers import PagoEfectivo

from . import settings_database_cache
from .kit import cips_asked, due, make_due, merchants_asked, with_merchants

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
AWAY = {
    "raising": {"BACKEND": "tests.gateways.caches.RaisingCache", "LOCATION": "x"},
    "silent": {"BACKEND": "tests.gateways.caches.SilentCache", "LOCATION": "x"},
}


@pytest.fixture
def limited(configure: Callable[..., None]) -> None:
    configure(SEARCH_BATCH_SIZE=2, POLL_RATE=3)


@contextmanager
def seconds_later(seconds: float) -> Iterator[None]:
    with time_machine.travel(time.time() + seconds):
        yield


def test_what_is_left_over_is_due_next_time(pe: PagoEfectivo, limited: None) -> None:
    payments = make_due(pe, 10)
    first = poll().sync
    assert (first.asked, first.calls, first.left) == (6, 3, 4)
    assert pe.counts["search"] == 3
    assert due() == 4
    for payment in payments[6:]:
        row = Payment.objects.get(pk=payment.pk)
        assert row.next_poll_at == payment.next_poll_at, "it is as late as it was"
    report = poll().sync
    assert (report.asked, report.calls, report.left, report.failed) == (0, 0, 4, 0)
    with seconds_later(61):
        assert poll().sync.asked == 4
    assert Counter(Counter(cips_asked(pe)).values()) == {1: 10}


def test_the_command_says_so_and_it_is_no_failure(
    pe: PagoEfectivo, limited: None, capsys: pytest.CaptureFixture[str]
) -> None:
    make_due(pe, 10)
    call_command("pagoefectivo_poll")
    assert "0 failed, 4 left for the next pass by POLL_RATE." in capsys.readouterr().out


def test_it_holds_for_each_merchant_by_itself(
    pe: PagoEfectivo, configure: Callable[..., None], settings: Any
) -> None:
    with_merchants(configure, settings, "pen", "usd", SEARCH_BATCH_SIZE=2, POLL_RATE=3)
    settings.PAGOEFECTIVO["MERCHANTS"]["usd"]["POLL_RATE"] = 5
    settings.PAGOEFECTIVO["MERCHANTS"]["pen"]["POLL_RATE"] = None
    for name in ("default", "pen", "usd"):
        make_due(pe, 20, name)
    report = poll().sync
    assert Counter(merchants_asked(pe)) == {"default": 3, "pen": 10, "usd": 5}
    assert (report.asked, report.left) == (36, 24)


def test_it_holds_for_pollers_at_once(pe: PagoEfectivo, limited: None) -> None:
    make_due(pe, 40)
    for result in at_once(*[poll] * 4):
        assert not isinstance(result, BaseException), repr(result)
    assert pe.counts["search"] == 3


@pytest.fixture
def shared_cache(settings: Any) -> Iterator[None]:
    """A cache that other processes see: a table of the test's database."""
    before = settings.CACHES
    settings.CACHES = settings_database_cache.CACHES
    call_command("createcachetable", verbosity=0)
    yield
    settings.CACHES = before
    with connection.schema_editor() as editor:
        editor.execute(f"DROP TABLE {settings_database_cache.CACHE_TABLE}")


def test_it_holds_for_processes_at_once(
    pe: PagoEfectivo, limited: None, shared_cache: None, settings: Any, tmp_path: Path
) -> None:
    make_due(pe, 40)
    environment = Children(tmp_path).environment | {
        "DJANGO_SETTINGS_MODULE": settings_database_cache.__name__,
        "CHANGED": json.dumps(
            {
                "MERCHANTS": settings.PAGOEFECTIVO["MERCHANTS"],
                "SEARCH_BATCH_SIZE": 2,
                "POLL_RATE": 3,
            }
        ),
    }
    command = [sys.executable, "-m", "tests.promises.child", "pagoefectivo_poll"]
    pollers = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [poller.wait(60) for poller in pollers] == [0, 0]
    assert pe.counts["search"] == 3
    assert sync_payments(Payment.objects.all()).calls == 0, "and for this one, too"


def test_it_holds_whoever_asks(pe: PagoEfectivo, limited: None) -> None:
    make_due(pe, 10)
    poll()
    report = sync_payments(Payment.objects.all())
    assert (report.asked, report.left) == (0, 10)
    tally = Tally()
    user = get_user_model().objects.create_user("ana")
    MANY_ACTS["sync"].work(list(Payment.objects.all()), tally, user, {})
    assert (tally.done, tally.failed) == (0, 10)
    assert tally.failures == [
        (None, "10 were not asked about: POLL_RATE allows no more for the moment.")
    ]
    assert pe.counts["search"] == 3


def test_one_that_somebody_waits_for_is_asked_about_and_counts(
    pe: PagoEfectivo, limited: None
) -> None:
    first, *_others = make_due(pe, 10)
    sync_payment(first)
    assert poll().sync.calls == 2
    sync_payment(first)
    assert pe.counts["search"] == 4


def test_a_bulk_job_waits_for_its_turn(
    pe: PagoEfectivo, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(SEARCH_BATCH_SIZE=5, POLL_RATE=2)
    make_due(pe, 20)
    user = get_user_model().objects.create_superuser("ana")
    job = make_job("sync", Payment.objects.all(), user=user)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        monkeypatch.setattr(pace, "time", SlowTime(clock))
        run(job.pk)
        waited = SlowTime.waited
    assert pe.counts["search"] == 4
    assert Counter(Counter(cips_asked(pe)).values()) == {1: 20}
    assert 60 <= waited < 70


class SlowTime:
    """Stands in for ``time`` where somebody waits: it passes only by waiting."""

    waited = 0.0

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        type(self).waited = 0.0

    def monotonic(self) -> float:
        return self.waited

    def sleep(self, seconds: float) -> None:
        type(self).waited += seconds
        self.clock.shift(seconds)


@pytest.mark.parametrize("kind", AWAY)
def test_a_cache_that_is_away_does_not_stop_polling(
    kind: str, pe: PagoEfectivo, configure: Callable[..., None], settings: Any
) -> None:
    settings.CACHES = {**settings.CACHES, "away": AWAY[kind]}
    configure(SEARCH_BATCH_SIZE=2, POLL_RATE=3, CACHE="away")
    make_due(pe, 20)
    assert poll().sync.asked == 20


def test_a_place_that_another_process_is_faster_to_take(
    configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(POLL_RATE=1)

    def too_late(key: str, *args: Any, **kwargs: Any) -> bool:
        cache.set(key, 1, 60)
        return False

    monkeypatch.setattr(caches["default"], "add", too_late)
    assert not Pace("default", get_config()).take()


def test_each_rate_fits_into_few_places() -> None:
    for rate in range(1, FASTEST_POLL + 1):
        places, seconds = pace._places(rate)
        assert 60 % seconds == 0, "else two bursts fit into one minute"
        assert rate - 60 < places * (60 // seconds) <= rate
        assert 1 <= places <= 120


@pytest.mark.parametrize("rate", [1, 7, 60, 121, 500])
def test_no_minute_has_more(rate: int, configure: Callable[..., None]) -> None:
    """Somebody tries again and again for two minutes: any minute of it is looked at."""
    configure(POLL_RATE=rate)
    one = Pace("default", get_config())
    taken: deque[float] = deque()
    most = total = 0
    with time_machine.travel(timezone.now(), tick=False) as clock:
        now = 0.0
        while now < 125:
            while one.take():
                taken.append(now)
                total += 1
            while taken[0] <= now - 60:
                taken.popleft()
            most = max(most, len(taken))
            clock.shift(0.5)
            now += 0.5
    assert most <= rate
    assert total >= 2 * rate - 2, "what is allowed can be had"


def test_without_a_rate_the_cache_is_not_asked(
    configure: Callable[..., None], settings: Any
) -> None:
    settings.CACHES = {**settings.CACHES, "away": AWAY["raising"]}
    configure(CACHE="away")
    assert Pace("default", get_config()).take()

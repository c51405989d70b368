"""Merchants take turns: nobody waits for another one's hundred thousand payments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest

from django_pagoefectivo.services import poll, polling_claims
from django_pagoefectivo.services.breaker import LIMIT
from tests.promises.kit import refresh
from tests.servers import Call, PagoEfectivo

from .kit import DOWN, cips_asked, due, make_due, merchants_asked, with_merchants

pytestmark = pytest.mark.django_db(transaction=True)


def turns(pe: PagoEfectivo) -> list[tuple[str, int]]:
    return [(name, len(list(calls))) for name, calls in groupby(merchants_asked(pe))]


def test_a_large_merchant_does_not_keep_others_waiting(
    pe: PagoEfectivo, configure: Callable[..., None], settings: Any
) -> None:
    with_merchants(configure, settings, "pen", "usd", SEARCH_BATCH_SIZE=2)
    make_due(pe, 100, since=90)
    make_due(pe, 30, "pen", since=30)
    make_due(pe, 3, "usd", since=10)
    report = poll().sync
    assert (report.asked, report.calls, report.failed) == (133, 67, 0)
    assert turns(pe) == [
        ("default", 10),
        ("pen", 10),
        ("usd", 2),
        ("default", 10),
        ("pen", 5),
        ("default", 30),
    ]
    assert max(Counter(cips_asked(pe)).values()) == 1
    assert due() == 0


class Clock:
    """Stands in for ``time`` where turns are measured."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_a_slow_merchant_gets_few_calls_in_a_turn(
    pe: PagoEfectivo,
    configure: Callable[..., None],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_merchants(configure, settings, "quick", SEARCH_BATCH_SIZE=1)
    slow = {str(payment.cip) for payment in make_due(pe, 9, since=90)}
    make_due(pe, 25, "quick", since=30)
    clock = Clock()
    monkeypatch.setattr(polling_claims, "time", clock)

    def take_long(call: Call) -> None:
        if str(call.data["data"][0]["cip"]) in slow:
            clock.now += 15

    pe.gates["search"] = take_long
    assert poll().sync.asked == 34
    assert turns(pe) == [
        ("default", 3),
        ("quick", 10),
        ("default", 3),
        ("quick", 10),
        ("default", 3),
        ("quick", 5),
    ]
    assert max(Counter(cips_asked(pe)).values()) == 1


def test_a_merchant_that_is_not_answered_costs_the_others_nothing(
    pe: PagoEfectivo, configure: Callable[..., None], settings: Any
) -> None:
    with_merchants(configure, settings, "away", "usd", SEARCH_BATCH_SIZE=2)
    away = make_due(pe, 50, "away", since=90)
    make_due(pe, 50, since=30)
    make_due(pe, 50, "usd", since=10)
    silent = {str(payment.cip) for payment in away}

    def answer(server: PagoEfectivo, call: Call) -> Any:
        return DOWN if str(call.data["data"][0]["cip"]) in silent else None

    pe.fail_next("search", *[answer] * 200)
    report = poll().sync
    assert (report.asked, report.failed) == (100, 50)
    # Each question is asked twice.
    assert Counter(merchants_asked(pe)) == {"away": 2 * LIMIT, "default": 25, "usd": 25}
    assert due() == 50
    for payment in away:
        assert refresh(payment).next_poll_at == payment.next_poll_at, "it is as late as it was"


def test_a_merchant_that_was_removed_is_counted(pe: PagoEfectivo) -> None:
    make_due(pe, 3, "gone")
    make_due(pe, 2)
    report = poll().sync
    assert (report.asked, report.failed) == (2, 3)
    assert 'no merchant "gone"' in report.errors[0]
    assert due() == 3

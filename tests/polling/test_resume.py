"""A poller that dies, and two that meet: nothing is lost, and nothing is asked twice in vain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_pagoefectivo.gateways.cip import CipGateway
from django_pagoefectivo.models import Payment
from django_pagoefectivo.services import poll, polling_claims
from django_pagoefectivo.services.polling_claims import LEASE
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import at_once, body_of, post, refresh
from tests.promises.test_crashes import Children
from tests.servers import PAID, Call, PagoEfectivo

from .kit import DOWN, cips_asked, due, known, make_due

pytestmark = pytest.mark.django_db(transaction=True)


def after_the_lease() -> Any:
    return time_machine.travel(time.time() + LEASE.total_seconds() + 2)


def test_killed_in_the_middle(
    pe: PagoEfectivo, configure: Callable[..., None], settings: Any, tmp_path: Path
) -> None:
    configure(SEARCH_BATCH_SIZE=2)
    payments = make_due(pe, 60)
    found = known(pe, payments[3], PAID)
    poller: list[subprocess.Popen[bytes]] = []

    def kill(call: Call) -> None:
        if pe.counts["search"] == 4:
            os.kill(poller[0].pid, signal.SIGKILL)
            poller[0].wait(30)

    pe.gates["search"] = kill
    children = Children(tmp_path)
    changed = {"MERCHANTS": settings.PAGOEFECTIVO["MERCHANTS"], "SEARCH_BATCH_SIZE": 2}
    poller.append(
        subprocess.Popen(
            [sys.executable, "-m", "tests.promises.child", "pagoefectivo_poll"],
            env=children.environment | {"CHANGED": json.dumps(changed), "RECEIVERS": "a:ok"},
        )
    )
    assert poller[0].wait(60) == -signal.SIGKILL
    pe.gates.clear()
    before = cips_asked(pe)
    assert len(before) == 8
    assert refresh(found).status == "paid", "what was answered is applied"
    assert children.told == {"a": 1}
    # At once: all but the stretch that the dead one had claimed.
    assert poll().sync.asked == 40
    with after_the_lease():
        # The batch under way, whose answer nobody heard, and the rest of the stretch.
        assert poll().sync.asked == 14
        assert due() == 0
    asked = Counter(cips_asked(pe))
    assert {cip for cip, times in asked.items() if times > 1} == set(before[6:])
    assert set(asked) == {str(payment.cip) for payment in payments}


def test_two_pollers_at_once_share_the_work(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    configure(SEARCH_BATCH_SIZE=5)
    make_due(pe, 300)
    reports = at_once(*[poll] * 3)
    for report in reports:
        assert not isinstance(report, BaseException), repr(report)
    assert sum(report.sync.asked for report in reports) == 300
    assert Counter(Counter(cips_asked(pe)).values()) == {1: 300}
    assert pe.counts["search"] == 60
    assert due() == 0


def test_what_another_one_has_begun_is_left_to_it(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    configure(SEARCH_BATCH_SIZE=2)
    make_due(pe, 30)
    other: list[int] = []

    def meanwhile(call: Call) -> None:
        pe.gates.clear()
        (report,) = at_once(poll)
        other.append(report.sync.asked)

    pe.gates["search"] = meanwhile
    assert poll().sync.asked == 20
    assert other == [10]
    assert Counter(Counter(cips_asked(pe)).values()) == {1: 30}


def test_a_stretch_that_is_half_taken(
    pe: PagoEfectivo, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another poller was faster to claim some of what this one has just read."""
    configure(SEARCH_BATCH_SIZE=2)
    payments = make_due(pe, 10)
    taken = payments[4:8]
    new_lease = polling_claims._new_lease

    def faster() -> Any:
        Payment.objects.filter(pk__in=[each.pk for each in taken]).update(next_poll_at=new_lease())
        return new_lease()

    monkeypatch.setattr(polling_claims, "_new_lease", faster)
    assert poll().sync.asked == 6
    assert not {str(each.cip) for each in taken} & set(cips_asked(pe))


def test_everything_goes_on_where_it_was_interrupted(
    pe: PagoEfectivo, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(SEARCH_BATCH_SIZE=2)
    for _ in range(20):
        known(pe, make_payment(next_poll_at=timedelta(hours=3)))
    assert poll().sync.asked == 0
    states, calls = CipGateway.states, 0

    def break_off(self: Any, refs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise KeyboardInterrupt
        return states(self, refs)

    monkeypatch.setattr(CipGateway, "states", break_off)
    with pytest.raises(KeyboardInterrupt):
        poll(everything=True)
    assert due() == 14, "nobody waits for the claims of one that could give them back"
    monkeypatch.undo()
    assert poll().sync.asked == 14
    assert Counter(Counter(cips_asked(pe)).values()) == {1: 20}


def test_what_is_said_meanwhile_stays(pe: PagoEfectivo) -> None:
    """A notification that wants to be confirmed soon, while the poller just asks."""
    (payment,) = make_due(pe, 1)
    soon = timezone.now() + timedelta(minutes=1)
    pe.after["search"] = lambda _: at_once(
        lambda: Payment.objects.filter(pk=payment.pk).update(next_poll_at=soon)
    )
    poll()
    assert refresh(payment).next_poll_at == soon


def test_a_notification_during_the_question_wins(pe: PagoEfectivo) -> None:
    (payment,) = make_due(pe, 1)
    pe.after["search"] = lambda _: at_once(lambda: post(body_of(payment)))
    poll()
    row = refresh(payment)
    assert (row.status, row.next_poll_at) == ("paid", None)


def test_what_got_no_answer_is_due_as_it_was(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    configure(SEARCH_BATCH_SIZE=2)
    payments = make_due(pe, 6)
    # A question that is not answered is put once more.
    pe.fail_next("search", DOWN, DOWN)
    report = poll().sync
    assert (report.asked, report.failed) == (4, 2)
    for payment in payments[:2]:
        assert refresh(payment).next_poll_at == payment.next_poll_at
    assert poll().sync.asked == 2

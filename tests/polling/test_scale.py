"""Many open payments: calls, statements and memory. ``POLLED`` says how many."""

from __future__ import annotations

import os
import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_pagoefectivo.models import Payment
from django_pagoefectivo.models.payment import order_key_for
from django_pagoefectivo.services import poll, polling_claims
from tests.promises.kit import is_counted, kinds, statements
from tests.servers import NEVER, Call, Code, PagoEfectivo

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
POLLED = int(os.environ.get("POLLED", "5000"))


def make_many(pe: PagoEfectivo, count: int) -> None:
    now = timezone.now()
    for start in range(0, count, 1000):
        rows = []
        for number in range(start, min(start + 1000, count)):
            key = order_key_for("default", f"M-{number}")
            cip = str(40_000_000 + number)
            rows.append(
                Payment(
                    order_reference=f"M-{number}",
                    transaction_code=f"M-{number}",
                    order_key=key,
                    open_key=key,
                    amount=Decimal("22.05"),
                    currency="PEN",
                    cip=cip,
                    expires_at=now + timedelta(hours=24),
                    customer_email="rosa@correo.example",
                    status="pending",
                    next_poll_at=now,
                )
            )
            pe.codes[cip] = Code(cip, f"M-{number}", Decimal("22.05"), "PEN", NEVER)
        Payment.objects.bulk_create(rows)


@pytest.mark.once
def test_many_unchanged_payments(pe: PagoEfectivo, monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine that is busy with other things must not make turns shorter.
    monkeypatch.setattr(polling_claims, "TURN", 3600.0)
    make_many(pe, POLLED)
    calls = 0
    peaks: list[int] = []
    tenth = POLLED // 50 // 10

    def count(call: Call) -> None:
        nonlocal calls
        calls += 1
        # The stand-in remembers every call, and that is not the poller's memory.
        pe.calls.clear()
        if calls % tenth == 0:
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()

    pe.gates["search"] = count
    made = 0

    def run(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal made
        # Counted and not kept: the texts would look like memory that the poller needs.
        made += is_counted(sql)
        return execute(sql, *rest)

    tracemalloc.start()
    try:
        with connection.execute_wrapper(run):
            report: Any = poll().sync
    finally:
        tracemalloc.stop()
    assert (report.asked, report.changed, report.failed) == (POLLED, 0, 0)
    assert report.calls == calls == POLLED // 50
    # What has to be asked about (4); for ten calls one read, one claim and their exchanges; a
    # plan after each; the read that finds nothing more.
    assert made == 4 + 3 * (calls // 10) + calls + 1
    assert made <= 2 * calls
    # The first tenth has what is loaded once.
    assert len(peaks) == 10
    assert max(peaks[1:]) < peaks[0] * 1.1, f"memory grows: {peaks}"
    print(f"{POLLED} payments, {calls} calls, {made} statements, peak {max(peaks) >> 10} KiB")  # noqa: T201
    assert poll().sync.asked == 0


def test_slow_calls_cost_no_more_statements(
    pe: PagoEfectivo, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns that are cut short read, claim and give back more often, and still not too often."""
    monkeypatch.setattr(polling_claims, "TURN", 0.0)
    configure(SEARCH_BATCH_SIZE=10)
    make_many(pe, 1000)
    with statements() as made:
        report = poll().sync
    assert (report.asked, report.calls) == (1000, 100)
    assert len(made) <= 2 * report.calls, Counter(kinds(made))

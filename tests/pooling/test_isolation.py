"""The races of the promises once more, at each isolation level that a shop may have chosen."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from django_pagoefectivo.exceptions import InvalidTransition
from django_pagoefectivo.models import ApiExchange, JobState, Payment, TimelineEntry, WebhookEvent
from django_pagoefectivo.services import cancel_payment, idempotency, jobs, staff
from django_pagoefectivo.services.privacy import forget_customers
from django_pagoefectivo.services.pruning import prune
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import Probe, at_once, body_of, post, refresh
from tests.promises.test_races import (
    create,
    test_32_identical_notifications,
    test_32_wrong_amounts_at_once,
    test_a_second_operation_in_16_wordings_at_once_is_flagged_once,
    test_creates_at_once_while_the_outcome_is_unknown,
    test_creates_of_one_order_at_once,
    test_deliverers_at_once_call_each_receiver_once,
    test_everything_at_one_payment,
    test_missing_codes_are_flagged_once_by_pollers_at_once,
    test_overdue_gives_way_to_one_only,
    test_pollers_at_once_change_a_payment_once,
    test_the_same_operation_in_16_wordings_at_once,
    test_two_open_codes_of_one_order_paid_at_once,
)
from tests.servers import PagoEfectivo

from .ways import connected

__all__ = [
    "test_32_identical_notifications",
    "test_32_wrong_amounts_at_once",
    "test_a_second_operation_in_16_wordings_at_once_is_flagged_once",
    "test_creates_at_once_while_the_outcome_is_unknown",
    "test_creates_of_one_order_at_once",
    "test_deliverers_at_once_call_each_receiver_once",
    "test_everything_at_one_payment",
    "test_missing_codes_are_flagged_once_by_pollers_at_once",
    "test_overdue_gives_way_to_one_only",
    "test_pollers_at_once_change_a_payment_once",
    "test_the_same_operation_in_16_wordings_at_once",
    "test_two_open_codes_of_one_order_paid_at_once",
]

#: What each database offers above READ COMMITTED, where the other tests are. With "all of it"
#: also statements that are alone in their transaction; "snapshots" are newer MariaDB's default.
LEVELS = {
    "postgresql": ["repeatable read", "serializable", "all of it serializable"],
    "mysql": ["repeatable read", "snapshots of repeatable read", "serializable"],
}
_SNAPSHOTS = "SET SESSION innodb_snapshot_isolation = ON"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor not in LEVELS, reason="SQLite has one level, the strictest"
    ),
]


def _options(level: str) -> dict[str, Any]:
    if level == "snapshots of repeatable read":
        return {"isolation_level": "repeatable read", "init_command": _SNAPSHOTS}
    if connection.vendor == "mysql":
        return {"isolation_level": level}
    if level == "all of it serializable":
        return {"options": "-c default_transaction_isolation=serializable"}
    from psycopg import IsolationLevel

    return {"isolation_level": IsolationLevel[level.upper().replace(" ", "_")]}


@pytest.fixture(autouse=True, params=LEVELS.get(connection.vendor, []))
def level(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """The isolation level of every connection."""
    with connected(options=_options(request.param)):
        yield request.param.removeprefix("all of it ").removeprefix("snapshots of ")


def test_the_level_is_the_one_that_is_meant(level: str) -> None:
    asked = {"postgresql": "SHOW transaction_isolation", "mysql": "SELECT @@tx_isolation"}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(asked[connection.vendor])
        assert cursor.fetchone()[0].lower().replace("-", " ") == level


def test_a_cancellation_that_races_with_a_notification_is_not_lost(
    pe: PagoEfectivo, probe: Probe
) -> None:
    """What PagoEfectivo has done is written down here, whatever else is being written."""
    for number in range(10):
        payment = create(order_reference=f"N-{number}")
        answer, cancelled = at_once(
            partial(post, body_of(payment)), partial(cancel_payment, refresh(payment))
        )
        assert answer.status_code == 200
        if isinstance(cancelled, Payment):
            assert pe.codes[str(payment.cip)].status == 25
            assert ApiExchange.objects.filter(payment=payment, operation="cancel").count() == 1
        assert refresh(payment).status == "paid"


def test_prunes_at_once() -> None:
    long_ago = timezone.now() - timedelta(days=400)
    rows = [
        ApiExchange(merchant="default", operation="create", method="POST", url="/", request="")
        for _ in range(300)
    ]
    ApiExchange.objects.bulk_create(rows)
    ApiExchange.objects.update(created_at=long_ago)
    reports = at_once(*[prune] * 4)
    assert sum(report.exchanges for report in reports) == 300, reports
    assert not ApiExchange.objects.exists()


def test_customers_are_forgotten_once_by_two_at_once() -> None:
    for _ in range(60):
        make_payment("expired", customer_email="ana@shop.example")
    reports = at_once(*[lambda: forget_customers(Payment.objects.all())] * 3)
    assert sum(report.forgotten for report in reports) == 60, reports
    assert TimelineEntry.objects.filter(kind="note").count() == 60


def test_a_job_is_worked_on_by_one_and_can_be_stopped_by_another() -> None:
    for _ in range(40):
        make_payment("paid")
    chief = User.objects.create_superuser("chief", "", "x")
    job = jobs.make_job("reconcile", Payment.objects.all(), user=chief)
    results = at_once(*[partial(jobs.run, job.pk)] * 3, partial(jobs.stop, job))
    for result in results:
        assert not isinstance(result, BaseException), repr(result)
    if results[3]:
        assert jobs.resume(job)
    done = jobs.run(job.pk)
    assert (done.state, done.done, done.failed) == (JobState.DONE, 40, 0)
    assert Payment.objects.filter(reconciled_at=None).count() == 0
    assert TimelineEntry.objects.count() == 40


def test_staff_deal_with_an_unmatched_event_once(pe: PagoEfectivo) -> None:
    """One dismisses it, another links it, at the same instant, many times."""
    people = [User.objects.create_superuser(f"chief-{number}", "", "x") for number in range(4)]
    for number in range(10):
        payment = make_payment()
        operation = f"778{number}"
        post(body_of(payment, cip=f"9{number}", operation=operation))
        event = WebhookEvent.objects.get(operation_number=operation)
        assert event.outcome == "unmatched"
        results = at_once(
            *[partial(staff.dismiss_event, event, user=one, note="seen") for one in people],
            partial(staff.link_event, event, payment, user=people[0], note="It is this one."),
        )
        faults = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(fault, InvalidTransition) for fault in faults), results
        assert len(faults) == len(results) - 1, results


def test_a_key_at_once_in_many_requests(pe: PagoEfectivo) -> None:
    """The work is done once, and everybody gets its answer."""
    for number in range(10):
        done: list[int] = []

        def work(token: uuid.UUID, left: Payment | None) -> idempotency.Answer:
            done.append(1)  # noqa: B023
            return idempotency.Answer(201, token, {"number": 1})

        keyed = idempotency.Keyed("user-1", f"key-{number}", b"{}")
        results = at_once(*[partial(idempotency.answer_once, keyed, work)] * 6)
        assert [type(result) for result in results] == [tuple] * 6, results
        assert len({answer.token for answer, _ in results}) == len(done) == 1

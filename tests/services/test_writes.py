"""What belongs together is written as a whole or not at all, on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pagoefectivo.models import Payment, SignalDelivery, TimelineEntry, WebhookEvent
from django_pagoefectivo.services.compiled import no_other_row
from django_pagoefectivo.services.transactions import StateChanged
from django_pagoefectivo.services.writes import AT_ONCE, Together, Writes
from django_pagoefectivo.testing import make_payment

pytestmark = pytest.mark.django_db(transaction=True)
PAID = {"status": "paid", "open_key": None, "paid_amount": Decimal("22.05"), "next_poll_at": None}


def event_of(payment: Payment, **fields: Any) -> WebhookEvent:
    return WebhookEvent(
        **{
            "merchant": "default",
            "digest": "a" * 64,
            "body": b"\x00\xff{'}%s",
            "address": "2001:db8::1",
            "amount": Decimal("22.05"),
            "payment": payment,
            "outcome": "applied",
            "error": "ñ ' % \\",
            **fields,
        }
    )


def rows_of(payment: Payment, event: WebhookEvent) -> list[Any]:
    return [
        event,
        TimelineEntry(payment=payment, event=event, kind="note", source="webhook", note="%s ñ"),
        SignalDelivery(payment=payment, event=event, signal="s", receiver="r", extra={"ñ": None}),
        SignalDelivery(payment=payment, event=event, signal="s", receiver="q"),
    ]


def put(writes: Writes, payment: Payment, rows: list[Any]) -> None:
    writes.update(Payment, PAID, {"pk": payment.pk, "status": "pending"})
    for row in rows:
        writes.insert([row])


def kept() -> tuple[str, int, int, int]:
    return (
        Payment.objects.get().status,
        WebhookEvent.objects.count(),
        TimelineEntry.objects.count(),
        SignalDelivery.objects.count(),
    )


def test_all_of_it_is_there_and_refers_to_each_other() -> None:
    payment = make_payment()
    event = event_of(payment)
    rows = rows_of(payment, event)
    writes = Together("default")
    put(writes, payment, rows)
    assert kept() == ("pending", 0, 0, 0), "nothing is written before it is run"
    with CaptureQueriesContext(connection) as seen:
        writes.run()
    assert kept() == ("paid", 1, 1, 2)
    for row in rows:
        found = type(row).objects.get(pk=row.pk)
        for field in row._meta.concrete_fields:
            ours, theirs = getattr(row, field.attname), getattr(found, field.attname)
            assert ours == (bytes(theirs) if isinstance(theirs, memoryview) else theirs), field
    assert {row.event_id for row in rows[1:]} == {event.pk}
    if connection.vendor == "postgresql":
        assert len(seen) == 1


def test_rows_alone() -> None:
    payment = make_payment()
    writes = Together("default")
    writes.insert([event_of(payment)])
    writes.run()
    assert kept() == ("pending", 1, 0, 0)


def test_a_change_alone() -> None:
    payment = make_payment()
    writes = Together("default")
    writes.update(Payment, PAID, {"pk": payment.pk, "status": "pending"})
    writes.run()
    assert kept() == ("paid", 0, 0, 0)


def test_nothing() -> None:
    with CaptureQueriesContext(connection) as seen:
        Together("default").run()
    assert not [query for query in seen if "pagoefectivo" in query["sql"]]


def test_nothing_of_it_where_the_payment_has_moved() -> None:
    payment = make_payment("expired")
    writes = Together("default")
    put(writes, payment, rows_of(payment, event_of(payment)))
    with pytest.raises(StateChanged):
        writes.run()
    assert kept() == ("expired", 0, 0, 0)


def test_nothing_of_it_where_a_row_is_refused() -> None:
    payment = make_payment()
    event_of(payment).save()
    writes = Together("default")
    put(writes, payment, rows_of(payment, event_of(payment)))
    with pytest.raises(IntegrityError):
        writes.run()
    assert kept() == ("pending", 1, 0, 0)


def test_an_outer_transaction_goes_on_after_a_refusal() -> None:
    payment = make_payment()
    event_of(payment).save()
    with transaction.atomic():
        Payment.objects.update(description="outer")
        writes = Together("default")
        put(writes, payment, rows_of(payment, event_of(payment)))
        with pytest.raises(IntegrityError):
            writes.run()
        event_of(payment, digest="b" * 64).save()
    assert kept() == ("pending", 2, 0, 0)
    assert Payment.objects.get().description == "outer"


@pytest.mark.skipif(
    "connection.vendor == 'mysql'", reason="MariaDB looks at no table in a condition on it"
)
@pytest.mark.parametrize("is_alone", [True, False])
def test_only_if_there_is_no_other(is_alone: bool) -> None:
    payment = make_payment(order_reference="A-1")
    make_payment("expired", order_reference="A-2" if is_alone else "A-1")
    writes = Together("default")
    put(writes, payment, rows_of(payment, event_of(payment)))
    condition = no_other_row(connection, payment, {"order_key": payment.order_key})
    if is_alone:
        writes.run(only_if=condition)
    else:
        with pytest.raises(StateChanged):
            writes.run(only_if=condition)
    assert Payment.objects.get(pk=payment.pk).status == ("paid" if is_alone else "pending")
    assert SignalDelivery.objects.count() == (2 if is_alone else 0)


def test_what_follows_is_done_after_the_commit_and_may_raise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    payment = make_payment()
    done: list[tuple[str, bool]] = []

    def note() -> None:
        done.append((Payment.objects.get().status, connection.in_atomic_block))

    def fail() -> None:
        raise ValueError("what follows is not part of it")

    writes = Together("default")
    put(writes, payment, [])
    writes.then(fail)
    writes.then(note)
    writes.run()
    assert done == [("paid", False)]
    assert "what follows is not part of it" in caplog.text


def test_what_follows_waits_for_an_outer_commit() -> None:
    payment = make_payment()
    done: list[bool] = []
    with transaction.atomic():
        writes = Together("default")
        put(writes, payment, [])
        writes.then(lambda: done.append(connection.in_atomic_block))
        writes.run()
        assert done == []
    assert done == [False]


def test_there_is_one_change() -> None:
    payment = make_payment()
    writes = Together("default")
    put(writes, payment, [])
    with pytest.raises(TypeError, match="one update"):
        put(writes, payment, [])


@pytest.mark.parametrize("changed", [{}, {"status": "expired"}])
def test_at_once_each_statement_is_written_as_it_comes(changed: dict[str, Any]) -> None:
    payment = make_payment(**changed)

    def write() -> None:
        with transaction.atomic():
            put(AT_ONCE, payment, rows_of(payment, event_of(payment)))

    if changed:
        with pytest.raises(StateChanged):
            write()
        assert kept() == ("expired", 0, 0, 0)
    else:
        write()
        assert kept() == ("paid", 1, 1, 2)


@pytest.mark.parametrize("make", [lambda: AT_ONCE, lambda: Together("default")])
def test_several_rows_of_one_kind_get_their_keys(make: Callable[[], Any]) -> None:
    payment = make_payment()
    now = timezone.now()
    rows = [
        SignalDelivery(payment=payment, signal="s", receiver=f"r{n}", due_at=now + timedelta(n))
        for n in range(3)
    ]
    writes = make()
    writes.insert(rows)
    if isinstance(writes, Together):
        writes.run()
    found = SignalDelivery.objects.order_by("receiver").values_list("pk", "due_at")
    assert list(found) == [(row.pk, row.due_at) for row in rows]

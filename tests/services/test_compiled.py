"""Statements that are compiled once: the same rows as the ORM's own, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import Exists, Model, OuterRef
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pagoefectivo.models import Payment, SignalDelivery, TimelineEntry, WebhookEvent
from django_pagoefectivo.models.payment import PaymentQuerySet
from django_pagoefectivo.services import compiled
from django_pagoefectivo.services.compiled import Finder, insert, update_if
from django_pagoefectivo.testing import make_payment

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)


def _by_name(*, since: datetime, **values: Any) -> PaymentQuerySet:
    later = Payment.objects.filter(order_key=OuterRef("order_key"), created_at__gt=since)
    return Payment.objects.filter(**values).annotate(is_new=Exists(later)).order_by("pk")


def test_it_finds_what_the_orm_finds() -> None:
    payments = [
        make_payment(created_at=NOON + timedelta(days=days), metadata={"days": days})
        for days in (-1, 1)
    ]
    finder = Finder(Payment, _by_name)
    for payment, is_new in zip(payments, (False, True), strict=True):
        (found,) = finder.find({"cip": payment.cip or "", "since": NOON})
        expected = Payment.objects.get(pk=payment.pk)
        for field in Payment._meta.concrete_fields:
            assert getattr(found, field.attname) == getattr(expected, field.attname), field
        assert bool(found.__dict__["is_new"]) is is_new
        assert not found._state.adding
        assert found._state.db == expected._state.db
    assert finder.find({"cip": "1", "since": NOON}) == []


def test_it_is_built_once_for_each_shape() -> None:
    built: list[set[str]] = []

    def build(**values: Any) -> PaymentQuerySet:
        built.append(set(values))
        return _by_name(**values)

    payment = make_payment()
    finder = Finder(Payment, build)
    for _ in range(3):
        assert finder.find({"cip": payment.cip or "", "since": NOON}) == [payment]
        code = payment.transaction_code
        assert finder.find({"transaction_code": code, "since": NOON}) == [payment]
        assert finder.find({"transaction_code": "another", "since": NOON}) == []
    assert built == [{"cip", "since"}, {"transaction_code", "since"}]


def test_values_are_never_part_of_the_statement() -> None:
    make_payment()
    finder = Finder(Payment, _by_name)
    for text in ("' OR 1=1 --", '"; --', "%s", "\\", "ñ"):
        assert finder.find({"cip": text, "since": NOON}) == []


def test_a_query_that_changes_a_value_is_refused() -> None:
    """What was computed from the stand-in would be kept for all later values."""

    def build(*, since: datetime) -> PaymentQuerySet:
        return Payment.objects.filter(created_at__gt=since - timedelta(hours=1))

    with pytest.raises(TypeError, match="does not use since as it is"):
        Finder(Payment, build).find({"since": NOON})


def _rows(payment: Payment) -> list[Model]:
    event = WebhookEvent(
        merchant="default",
        digest="a" * 64,
        body=b"\x00\xff{'}%s",
        address="2001:db8::1",
        received_at=NOON,
        amount=Decimal("22.05"),
        paid_at=None,
        payment=payment,
        outcome="applied",
        error="ñ ' % \\",
    )
    return [
        event,
        WebhookEvent(merchant="default", digest=None, body=b"", outcome="rejected"),
        SignalDelivery(payment=payment, signal="s", receiver="r", extra={"late": True, "ñ": None}),
        TimelineEntry(payment=payment, kind="note", source="staff", note="%s ñ"),
    ]


@pytest.mark.parametrize("number", range(4))
def test_inserting_keeps_what_saving_keeps(number: int) -> None:
    payment = make_payment()
    row = _rows(payment)[number]
    insert(row)
    assert row.pk
    assert not row._state.adding
    kept = type(row)._default_manager.get(pk=row.pk)
    for field in row._meta.concrete_fields:
        ours, theirs = getattr(row, field.attname), getattr(kept, field.attname)
        if isinstance(theirs, memoryview):
            theirs = bytes(theirs)
        assert ours == theirs, field
    row.save()
    assert type(row)._default_manager.count() == 1


def test_each_insert_is_one_statement(django_assert_num_queries: Any) -> None:
    rows = _rows(make_payment())
    for row in rows[1:]:
        with django_assert_num_queries(1):
            insert(row)


def test_a_row_is_changed_only_as_expected() -> None:
    payment, other = make_payment(), make_payment()
    changes = {"status": "paid", "open_key": None, "paid_at": NOON, "paid_amount": Decimal("1.50")}
    expected = {"pk": payment.pk, "status": "pending", "updated_at": payment.updated_at}
    stale = {**expected, "updated_at": timezone.now() + timedelta(seconds=1)}
    assert not update_if(Payment, changes, stale)
    assert Payment.objects.get(pk=payment.pk).status == "pending"
    assert update_if(Payment, changes, expected)
    found = Payment.objects.get(pk=payment.pk)
    assert {name: getattr(found, name) for name in changes} == changes
    assert not update_if(Payment, changes, expected)
    assert Payment.objects.get(pk=other.pk).status == "pending"


def test_a_row_that_is_like_what_must_not_be_stays() -> None:
    payment = make_payment(description="a")
    expected, unless = {"pk": payment.pk}, {"description": "a"}
    assert not update_if(Payment, {"description": "b"}, expected, unless=unless)
    assert Payment.objects.get().description == "a"
    assert update_if(Payment, {"description": "b"}, expected, unless={"description": "c"})
    assert Payment.objects.get().description == "b"


def test_writing_the_same_counts_as_written() -> None:
    """MariaDB tells by default how many rows differ now, not how many were found."""
    payment = make_payment()
    for _ in range(2):
        assert update_if(Payment, {"description": "x"}, {"pk": payment.pk, "status": "pending"})


def test_numbers_grow_by_one() -> None:
    event = _rows(make_payment())[0]
    insert(event)
    for times in (2, 3):
        changes = {"last_received_at": NOON}
        assert update_if(WebhookEvent, changes, {"pk": event.pk}, add_one=("times_received",))
        found = WebhookEvent.objects.get(pk=event.pk)
        assert (found.times_received, found.last_received_at) == (times, NOON)


def test_a_text_that_looks_like_sql_is_only_text() -> None:
    from django.db import connection

    payment = make_payment()
    with CaptureQueriesContext(connection):
        text = "x'; DROP TABLE pagoefectivo_payment; -- %s"
        assert update_if(Payment, {"description": text}, {"pk": payment.pk, "status": "pending"})
    assert Payment.objects.get(pk=payment.pk).description == text


@pytest.mark.skipif(connection.vendor == "postgresql", reason="PostgreSQL always returns columns")
def test_a_row_has_its_key_where_an_insert_returns_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As MySQL, of which MariaDB is the only one that returns columns.
    monkeypatch.setattr(connection.features, "can_return_columns_from_insert", False)
    compiled._insert_of.cache_clear()
    try:
        payment = make_payment()
        first, second = (WebhookEvent(merchant="default", body=b"", payment=payment) for _ in "12")
        insert(first)
        insert(second)
    finally:
        compiled._insert_of.cache_clear()
    assert first.pk != second.pk
    assert list(WebhookEvent.objects.order_by("pk")) == [first, second]

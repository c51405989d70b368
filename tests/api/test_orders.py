"""The link between a shop's own orders and their payments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Count, Q
from django.utils import timezone

from django_pagoefectivo.models import Payment
from django_pagoefectivo.orders import PayableMixin
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import statements
from tests.servers import PagoEfectivo
from tests.shop.models import Booking, Donation

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[Booking, Donation])
def order(request: pytest.FixtureRequest) -> PayableMixin:
    model: type[PayableMixin] = request.param
    return model._default_manager.create()


def test_payments_of_an_order(order: Any) -> None:
    assert (order.latest_payment, order.open_payment, order.paid_payment) == (None, None, None)
    assert not order.is_paid
    expired = make_payment("expired", order=order, created_at=timezone.now() - timedelta(days=1))
    waiting = make_payment(order=order)
    make_payment(order=type(order).objects.create())
    assert list(order.payments.all()) == [waiting, expired]
    assert order.latest_payment == order.open_payment == waiting
    assert not order.is_paid
    assert list(Payment.objects.for_order(order)) == [waiting, expired]
    assert waiting.order == order


def test_the_payment_that_paid(order: Any) -> None:
    twice = make_payment("paid", order=order, confirmed_key=None)
    first = make_payment("paid", order=order, created_at=timezone.now() - timedelta(days=1))
    assert order.latest_payment == twice
    assert order.paid_payment == first
    assert order.is_paid
    assert order.open_payment is None
    Payment.objects.update(status="refunded")
    assert not order.is_paid


def test_what_cannot_be_paid_now_is_not_open(order: Any) -> None:
    make_payment(order=order, expires_at=timezone.now() - timedelta(minutes=1))
    make_payment("created", order=order, open_key=None)
    assert order.open_payment is None
    being_made = make_payment("created", order=order)
    assert order.open_payment == being_made


def test_a_list_of_orders_costs_two_statements() -> None:
    for _ in range(10):
        booking = Booking.objects.create()
        make_payment("paid", order=booking)
        make_payment(order=booking)
    with statements() as made:
        orders = list(Booking.objects.prefetch_related("payments"))
        assert all(
            order.is_paid and order.open_payment and order.latest_payment for order in orders
        )
    assert len([sql for sql in made if "django_content_type" not in sql]) == 2


def test_one_order_costs_one_statement_for_each_question(order: Any) -> None:
    make_payment(order=order)
    assert order.open_payment
    with statements() as made:
        assert order.open_payment
    assert len(made) == 1


def test_orders_are_found_by_their_payments() -> None:
    order, unpaid = Booking.objects.create(), Booking.objects.create()
    make_payment("paid", order=order)
    assert list(Booking.objects.filter(payments__status="paid")) == [order]
    paid = Count("payments", filter=Q(payments__status="paid"))
    counts = dict(Booking.objects.annotate(paid=paid).values_list("pk", "paid"))
    assert counts == {order.pk: 1, unpaid.pk: 0}


def test_a_deleted_order_leaves_its_payments(order: Any) -> None:
    payment = make_payment("paid", order=order)
    order.delete()
    payment.refresh_from_db()
    assert payment.status == "paid"
    assert payment.order is None
    other = type(order).objects.create()
    make_payment("paid", order=other)
    type(order).objects.all().delete()
    assert Payment.objects.count() == 2


def test_an_order_without_terms_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match=r"Donation\.payment_terms must return"):
        Donation.objects.create().create_payment()


@pytest.mark.django_db(transaction=True)
def test_one_line_asks_for_a_code(pe: PagoEfectivo) -> None:
    booking = Booking.objects.create(number="B-1")
    payment = booking.create_payment(description="Two nights")
    assert (payment.status, payment.order, payment.description) == (
        "pending",
        booking,
        "Two nights",
    )
    assert booking.create_payment() == payment
    assert booking.open_payment == payment
    assert len(pe.codes) == 1

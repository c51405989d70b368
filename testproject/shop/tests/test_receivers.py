"""What the shop does when it hears about payments."""

# Run by Django's test runner, which explains a failing assertEqual and no bare assert.
# ruff: noqa: PT009

from __future__ import annotations

from django_pagoefectivo.models import Payment, SignalDelivery
from shop import orders, receivers
from shop.models import Order

from .helpers import ShopTestCase


class PaidTests(ShopTestCase):
    """``payment_confirmed``."""

    def test_a_paid_notification_marks_the_order_paid(self) -> None:
        """Its goods stay off the shelf."""
        order = self.an_order()
        self.assertEqual(self.notify(self.a_payment(order)), "applied")
        order = self.assert_order(order, "paid", holds_stock=True)
        self.assertIsNotNone(order.paid_at)
        self.assertEqual(self.stock(self.scarf), 3)
        self.assertEqual(order.staff_note, "")

    def test_the_same_notification_twice_pays_once(self) -> None:
        """The second one is told apart before it comes to the shop."""
        order = self.an_order()
        payment = self.a_payment(order)
        self.assertEqual([self.notify(payment) for _ in range(2)], ["applied", "duplicate"])
        self.assertEqual(order.history.filter(text__startswith="Paid").count(), 1)
        deliveries = SignalDelivery.objects.filter(signal="payment_confirmed")
        self.assertEqual(
            list(deliveries.values_list("receiver", "state", "attempts")),
            [("shop.mark_order_paid", "done", 1)],
        )

    def test_the_receiver_called_twice_pays_once(self) -> None:
        """As it would be if the process died before the success was noted."""
        order = self.an_order()
        payment = self.a_payment(order)
        self.notify(payment)
        paid_at = Order.objects.get(pk=order.pk).paid_at
        receivers.mark_order_paid(payment=Payment.objects.get(), late=False)
        order = self.assert_order(order, "paid", holds_stock=True)
        self.assertEqual(order.paid_at, paid_at)
        self.assertEqual(order.history.filter(text__startswith="Paid").count(), 1)

    def test_another_amount_pays_nothing(self) -> None:
        """The order waits for staff instead."""
        order = self.an_order()
        self.assertEqual(self.notify(self.a_payment(order), amount=1.00), "mismatch")
        order = self.assert_order(order, "placed", holds_stock=True)
        self.assertIn("another amount", order.staff_note)

    def test_a_payment_of_something_else_is_left_alone(self) -> None:
        """The receivers hear of every payment in the project."""
        order = self.an_order()
        payment = self.a_payment(order)
        Payment.objects.update(order_content_type=None, order_object_id="")
        self.assertEqual(self.notify(payment), "applied")
        self.assert_order(order, "placed", holds_stock=True)


class GivenUpTests(ShopTestCase):
    """``payment_expired``, ``payment_cancelled`` and ``payment_failed``."""

    def test_expiry_puts_the_goods_back_once(self) -> None:
        """Also if the receiver is called again."""
        order = self.an_order((self.scarf, 2), (self.hat, 1))
        payment = self.a_payment(order)
        self.notify(payment, "cip.expired")
        self.assert_order(order, "expired", holds_stock=False)
        receivers.put_stock_back_after_expiry(payment=Payment.objects.get())
        self.assertEqual((self.stock(self.scarf), self.stock(self.hat)), (5, 4))

    def test_an_old_code_that_expires_leaves_a_newer_one_alone(self) -> None:
        """The order still waits for the newer one."""
        order = self.an_order()
        old = self.a_payment(order, "expired")
        self.a_payment(order)
        receivers.put_stock_back_after_expiry(payment=old)
        self.assert_order(order, "placed", holds_stock=True)

    def test_a_cancelled_code_cancels_the_order(self) -> None:
        """Staff deleted it in PagoEfectivo's or in our admin."""
        order = self.an_order()
        receivers.put_stock_back_after_cancel(payment=self.a_payment(order, "cancelled"))
        self.assert_order(order, "cancelled", holds_stock=False)
        self.assertEqual(self.stock(self.scarf), 5)

    def test_a_paid_order_survives_the_end_of_its_other_codes(self) -> None:
        """They are cancelled at PagoEfectivo when one is paid."""
        order = self.an_order()
        self.notify(self.a_payment(order))
        for receiver in (
            receivers.put_stock_back_after_expiry,
            receivers.put_stock_back_after_cancel,
            receivers.put_stock_back_after_failure,
        ):
            receiver(payment=self.a_payment(order, "cancelled"))
        self.assert_order(order, "paid", holds_stock=True)

    def test_an_extended_code_takes_the_goods_again(self) -> None:
        """Or, if they are gone, tells staff."""
        order = self.an_order((self.scarf, 3))
        orders.release_order(order, status=Order.Status.EXPIRED, reason="Over.")
        payment = self.a_payment(order)
        receivers.wait_again(payment=payment)
        self.assert_order(order, "placed", holds_stock=True)
        self.assertEqual(self.stock(self.scarf), 2)
        orders.release_order(order, status=Order.Status.EXPIRED, reason="Over.")
        self.an_order((self.scarf, 4))
        receivers.wait_again(payment=payment)
        order = self.assert_order(order, "expired", holds_stock=False)
        self.assertIn("Scarf is sold out", order.staff_note)


class LateTests(ShopTestCase):
    """``payment_confirmed`` with ``late=True``, and refunds."""

    def test_a_late_payment_takes_the_goods_again(self) -> None:
        """They are still on the shelf."""
        order = self.an_order()
        payment = self.a_payment(order)
        self.notify(payment, "cip.expired")
        self.assertEqual(self.stock(self.scarf), 5)
        self.assertEqual(self.notify(payment), "applied")
        order = self.assert_order(order, "paid", holds_stock=True)
        self.assertEqual(self.stock(self.scarf), 3)
        self.assertIn("late", order.history.get(text__startswith="Paid").text)

    def test_a_late_payment_for_what_is_sold_is_for_staff(self) -> None:
        """The order is paid, and nothing of it is taken from the shelf by half."""
        order = self.an_order((self.hat, 1), (self.scarf, 3))
        payment = self.a_payment(order)
        self.notify(payment, "cip.expired")
        self.an_order((self.hat, 4))
        self.notify(payment)
        order = self.assert_order(order, "paid", holds_stock=False)
        self.assertIn("Hat has been sold", order.staff_note)
        self.assertEqual((self.stock(self.hat), self.stock(self.scarf)), (0, 5))
        orders.dealt_with(order, by="rosa")
        self.assertEqual(self.assert_order(order, "paid", holds_stock=False).staff_note, "")

    def test_a_refund_marks_the_order_refunded(self) -> None:
        """Staff decide about the goods."""
        order = self.an_order()
        payment = self.a_payment(order)
        self.notify(payment)
        self.notify(payment, "cip.refunded")
        order = self.assert_order(order, "refunded", holds_stock=True)
        self.assertIn("Refunded", order.staff_note)

    def test_news_of_a_payment_that_was_refunded_since_pays_nothing(self) -> None:
        """The receiver failed at first, and its next try came after the refund."""
        order = self.an_order()
        payment = self.a_payment(order, "refunded")
        receivers.mark_order_refunded(payment=payment)
        receivers.mark_order_paid(payment=payment, late=False)
        self.assert_order(order, "refunded", holds_stock=True)

    def test_the_refund_of_a_second_payment_leaves_the_order_paid(self) -> None:
        """An order paid with two codes gets one of the two sums back."""
        order = self.an_order()
        first, second = self.a_payment(order), self.a_payment(order, "cancelled")
        self.notify(first)
        self.notify(second)
        order = self.assert_order(order, "paid", holds_stock=True)
        self.assertIn("paid twice", order.staff_note)
        self.notify(second, "cip.refunded")
        self.assert_order(order, "paid", holds_stock=True)

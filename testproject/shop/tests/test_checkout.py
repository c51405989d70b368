"""The checkout and what comes after, against the sandbox over real HTTP."""

# Run by Django's test runner, which explains a failing assertEqual and no bare assert.
# ruff: noqa: PT009

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import LiveServerTestCase
from django.urls import reverse
from django.utils import timezone

from django_pagoefectivo.models import Payment
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.control import ApiFault, NotificationFault
from django_pagoefectivo.services import cancel_payment, poll
from shop.models import Order

from .helpers import BaseShopTestCase

CONTACT = {
    "first_name": "Rosa",
    "last_name": "Quispe",
    "email": "rosa@example.com",
    "phone": "987 654 321",
}


class CheckoutTestCase(BaseShopTestCase, LiveServerTestCase):
    """A shop whose PagoEfectivo is the sandbox on the test's own server."""

    def setUp(self) -> None:
        """Point both at the server, and put a scarf into the cart."""
        super().setUp()
        # A token is for one sandbox, and each test has a new one.
        cache.clear()
        default = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
        self.enterContext(
            self.settings(
                PAGOEFECTIVO={
                    **settings.PAGOEFECTIVO,
                    "MERCHANTS": {
                        "default": {**default, "BASE_URL": f"{self.live_server_url}/sandbox/v1"}
                    },
                    "SITE_URL": self.live_server_url,
                    "TIMEOUT": (1, 5),
                }
            )
        )
        self.client.post(reverse("shop:change-cart", args=("scarf",)))

    def check_out(self, **changed: Any) -> Any:
        """Send the checkout form and follow to what comes next."""
        return self.client.post(reverse("shop:checkout"), {**CONTACT, **changed}, follow=True)

    def pay_again(self, order: Order, **data: str) -> str:
        """Press the button of the order's page; the page that follows."""
        url = reverse("shop:pay-again", args=(order.token,))
        return self.client.post(url, data, follow=True).content.decode()


class CheckoutTests(CheckoutTestCase):
    """All goes well."""

    def test_the_order_gets_a_code(self) -> None:
        """And PagoEfectivo is told who pays for what."""
        rosa = get_user_model().objects.create_user("rosa")
        self.client.force_login(rosa)
        response = self.check_out()
        order = Order.objects.get()
        self.assertRedirects(response, order.get_absolute_url())
        self.assert_order(order, "placed", holds_stock=True)
        self.assertEqual(order.user, rosa)
        self.assertEqual(self.stock(self.scarf), 4)
        payment = order.payments.get()
        self.assertContains(response, payment.cip)
        code = control.code(payment.cip)
        self.assertEqual((code.amount, code.currency), (order.total, "PEN"))
        self.assertEqual(code.details["userPhone"], "987654321")
        self.assertEqual(payment.user, rosa)
        self.assertEqual(len(self.client.session["cart"]), 0)

    def test_a_form_sent_twice_is_one_order_with_one_code(self) -> None:
        """The second one leads to the same page."""
        self.client.get(reverse("shop:checkout"))
        session = dict(self.client.session)
        first = self.check_out()
        later = self.client.session
        later.update(session)
        later.save()
        second = self.check_out()
        self.assertEqual(first.redirect_chain, second.redirect_chain)
        self.assertEqual(Order.objects.count(), 1)
        self.assertEqual(control.calls("create").count(), 1)
        self.assertEqual(self.stock(self.scarf), 4)

    def test_what_pagoefectivo_cannot_take_is_an_error_of_its_field(self) -> None:
        """Nothing is ordered, and the cart is as it was."""
        response = self.check_out(phone="a friend's")
        self.assertContains(response, "must be 1 to 15 digits")
        self.assertIn("phone", response.context["form"].errors)
        self.assertFalse(Order.objects.exists())
        self.assertFalse(Payment.objects.exists())
        self.assertEqual(self.stock(self.scarf), 5)
        self.assertEqual(len(self.client.session["cart"]), 1)

    def test_dollars_are_asked_for_in_dollars(self) -> None:
        """One merchant takes both currencies here."""
        self.client.post(reverse("shop:change-cart", args=("scarf",)), {"quantity": 0})
        self.client.post(reverse("shop:change-cart", args=("print",)))
        self.assertContains(self.check_out(), "US$ 22.00")
        self.assertEqual(control.code(str(Payment.objects.get().cip)).currency, "USD")


class AfterwardsTests(CheckoutTestCase):
    """The shopper pays, or does not."""

    def setUp(self) -> None:
        """An order with its code."""
        super().setUp()
        self.check_out()
        self.order = Order.objects.get()
        self.payment = self.order.payments.get()

    def test_paid_twice_at_the_same_instant_is_paid_once(self) -> None:
        """Two connections, two threads, one order."""
        sent = control.pay(self.payment.cip, fault=NotificationFault.TWICE_AT_ONCE)
        self.assertEqual([one.statuses for one in sent], [(200,), (200,)])
        order = self.assert_order(self.order, "paid", holds_stock=True)
        self.assertEqual(order.history.filter(text__startswith="Paid").count(), 1)
        page = self.client.get(order.get_absolute_url())
        self.assertContains(page, "Your payment has arrived")
        self.assertNotContains(page, "new payment code")

    def test_the_poller_finds_out_what_nobody_told(self) -> None:
        """The notification never comes."""
        control.pay(self.payment.cip, fault=NotificationFault.NEVER)
        poll(everything=True)
        self.assert_order(self.order, "paid", holds_stock=True)

    def test_the_poller_expires_what_nobody_paid(self) -> None:
        """PagoEfectivo need not have said so."""
        long_ago = timezone.now() - timedelta(days=3)
        Payment.objects.update(expires_at=long_ago)
        control.SandboxCode.objects.update(date_expiry=long_ago)
        poll(everything=True)
        self.assert_order(self.order, "expired", holds_stock=False)
        self.assertEqual(self.stock(self.scarf), 5)

    def test_after_expiry_a_new_code_can_be_had(self) -> None:
        """The goods go back to the shelf and are taken again."""
        control.expire(self.payment.cip, notify=True)
        self.assert_order(self.order, "expired", holds_stock=False)
        self.assertEqual(self.stock(self.scarf), 5)
        self.pay_again(self.order)
        self.assert_order(self.order, "placed", holds_stock=True)
        self.assertEqual(self.stock(self.scarf), 4)
        newer = self.order.payments.first()
        self.assertNotEqual(newer.cip, self.payment.cip)
        control.pay(newer.cip)
        self.assert_order(self.order, "paid", holds_stock=True)

    def test_no_new_code_for_what_is_sold_meanwhile(self) -> None:
        """The shopper is told."""
        control.expire(self.payment.cip, notify=True)
        self.an_order((self.scarf, 5))
        self.assertIn("Scarf is sold out", self.pay_again(self.order))
        self.assert_order(self.order, "expired", holds_stock=False)
        self.assertEqual(control.calls("create").count(), 1)

    def test_no_second_code_beside_one_that_can_be_paid(self) -> None:
        """Nor for a paid order."""
        self.pay_again(self.order)
        control.pay(self.payment.cip)
        self.pay_again(self.order)
        self.assertEqual(control.calls("create").count(), 1)

    def test_a_code_that_staff_cancel_cancels_the_order(self) -> None:
        """At PagoEfectivo too."""
        cancel_payment(self.payment)
        self.assert_order(self.order, "cancelled", holds_stock=False)
        self.assertEqual(control.code(self.payment.cip).status_at().label, "Eliminado.")


class TroubleTests(CheckoutTestCase):
    """No code comes."""

    def setUp(self) -> None:
        """What is logged about it is expected here."""
        super().setUp()
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def test_pagoefectivo_out_of_reach(self) -> None:
        """Nothing was charged; trying again is safe."""
        with self.settings(PAGOEFECTIVO=_unreachable()):
            response = self.check_out()
        self.assertContains(response, "cannot be reached")
        order = self.assert_order(Order.objects.get(), "cancelled", holds_stock=False)
        self.assertEqual(self.stock(self.scarf), 5)
        self.assertContains(response, "Get a new payment code")
        self.pay_again(order)
        self.assert_order(order, "placed", holds_stock=True)
        self.assertEqual(order.payments.filter(status="pending").count(), 1)

    def test_pagoefectivo_says_no(self) -> None:
        """The shopper hears of it without the API's words."""
        control.arm(ApiFault.OVER_LIMIT)
        response = self.check_out()
        self.assertContains(response, "did not accept this order")
        self.assertNotContains(response, "code 511")
        self.assertNotContains(response, "PagoEfectivo refused the create call")
        self.assert_order(Order.objects.get(), "cancelled", holds_stock=False)

    def test_an_outcome_that_is_unknown_is_not_repeated_blindly(self) -> None:
        """The connection breaks after the code was made; its notification finds the order."""
        control.arm(ApiFault.CUT_AFTER)
        response = self.check_out()
        self.assertContains(response, "cannot tell yet")
        order = self.assert_order(Order.objects.get(), "placed", holds_stock=True)
        self.assertIn("unknown", order.staff_note)
        self.assertIn("cannot tell yet", self.pay_again(order))
        self.assertEqual(control.calls("create").count(), 1)
        [code] = control.SandboxCode.objects.all()
        control.pay(code.cip, fault=NotificationFault.NEWER_FORM)
        self.assert_order(order, "paid", holds_stock=True)

    def test_a_shopper_may_choose_another_code(self) -> None:
        """It is paid, and the lost one lets the order be."""
        control.arm(ApiFault.CUT_AFTER)
        response = self.check_out()
        order = Order.objects.get()
        self.assertContains(response, "Ask for another code")
        self.pay_again(order, supersede="yes")
        self.assertEqual(control.calls("create").count(), 2)
        newer = order.payments.get(status="pending")
        control.expire(newer.cip, notify=True)
        self.assert_order(order, "expired", holds_stock=False)
        self.pay_again(order)
        control.pay(order.payments.get(status="pending").cip)
        self.assert_order(order, "paid", holds_stock=True)


def _unreachable() -> dict[str, Any]:
    """The settings with a PagoEfectivo that nobody listens at."""
    default = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
    return {
        **settings.PAGOEFECTIVO,
        "MERCHANTS": {"default": {**default, "BASE_URL": "http://127.0.0.1:9/v1"}},
    }

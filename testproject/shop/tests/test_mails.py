"""How to pay, by mail."""

# Run by Django's test runner, which explains a failing assertEqual and no bare assert.
# ruff: noqa: PT009

from __future__ import annotations

from unittest.mock import patch

from django.core import mail
from django.urls import reverse

from django_pagoefectivo.models import Payment, SignalDelivery
from django_pagoefectivo.templatetags.pagoefectivo import cip_format
from shop import receivers
from shop.models import Order

from .helpers import ShopTestCase
from .test_checkout import CheckoutTestCase


class CheckoutMailTests(CheckoutTestCase):
    """The mail that follows the checkout."""

    def test_the_shopper_is_sent_the_code(self) -> None:
        """As text and as HTML, once, with a link to the payment page."""
        self.check_out()
        payment = Payment.objects.get()
        (message,) = mail.outbox
        self.assertEqual(message.to, ["rosa@example.com"])
        self.assertIn(Order.objects.get().number, message.subject)
        html = self.html_of(message)
        link = self.live_server_url + payment.get_absolute_url()
        for body in (message.body, html):
            self.assertIn(cip_format(payment.cip), body)
            self.assertIn(link, body)
        self.assertIn("<ol", html)
        self.assertNotIn("&lt;", html)

    def test_in_the_language_the_shopper_ordered_in(self) -> None:
        """Also where the receiver runs without a request."""
        self.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "es-PE"
        self.check_out()
        receivers.mail_instructions(payment=Payment.objects.get())
        self.assertEqual(len(mail.outbox), 2)
        for message in mail.outbox:
            self.assertIn("Paga antes de", message.body)

    def test_a_mail_server_that_is_away_costs_no_order(self) -> None:
        """The mail is owed and sent later; the code is on the page meanwhile."""
        send = "shop.mails.EmailMultiAlternatives.send"
        with (
            patch(send, side_effect=ConnectionRefusedError),
            self.assertLogs("django_pagoefectivo", "WARNING"),
        ):
            response = self.check_out()
        self.assertContains(response, "with this code")
        owed = SignalDelivery.objects.get(receiver="shop.mail_instructions")
        self.assertEqual(owed.state, "pending")
        self.assertEqual(mail.outbox, [])


class OtherMailTests(ShopTestCase):
    """What is not the shop's to write about."""

    def test_a_payment_of_something_else_is_left_alone(self) -> None:
        """The receivers hear of every payment in the project."""
        payment = self.a_payment(self.an_order())
        Payment.objects.update(order_content_type=None, order_object_id="")
        receivers.mail_instructions(payment=Payment.objects.get(pk=payment.pk))
        self.assertEqual(mail.outbox, [])

    def test_names_are_text(self) -> None:
        """A shopper cannot write HTML into the shop's mail."""
        order = self.an_order()
        Order.objects.filter(pk=order.pk).update(first_name="<b>Rosa</b>")
        receivers.mail_instructions(payment=Payment.objects.get(pk=self.a_payment(order).pk))
        html = self.html_of(mail.outbox[0])
        self.assertIn("&lt;b&gt;Rosa", html)
        self.assertIn("Hello <b>Rosa</b>", mail.outbox[0].body)
        self.assertIn(reverse("pagoefectivo:payment", args=[Payment.objects.get().token]), html)

"""What the shop writes to its shoppers."""

from __future__ import annotations

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation

from django_pagoefectivo.models import Payment
from django_pagoefectivo.pages.mail import render_instructions

from .models import Order


def send_instructions(order: Order, payment: Payment) -> None:
    """How to pay, in the language the shopper ordered in. Raises if the mail server does."""
    with translation.override(payment.metadata.get("language")):
        context = {
            "order": order,
            "text": render_instructions(payment, "text"),
            "html": render_instructions(payment, "html"),
        }
    mail = EmailMultiAlternatives(
        subject=f"Qhatu: how to pay order {order.number}",
        body=render_to_string("shop/mail/instructions.txt", context),
        to=[order.email],
    )
    mail.attach_alternative(render_to_string("shop/mail/instructions.html", context), "text/html")
    mail.send()

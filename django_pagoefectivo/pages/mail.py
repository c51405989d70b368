"""The instructions for a shop's own mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from ..conf import get_config
from ..models import Payment
from ..services.addresses import absolute
from .card import live_context
from .formats import format_money
from .links import hosted_url

if TYPE_CHECKING:
    from django.http import HttpRequest

TEMPLATES = {
    "html": "django_pagoefectivo/email/instructions.html",
    "text": "django_pagoefectivo/email/instructions.txt",
}


def render_instructions(
    payment: Payment,
    format: Literal["html", "text"] = "html",  # noqa: A002
    *,
    request: HttpRequest | None = None,
) -> SafeString:
    """How to pay ``payment``, to put into a mail, in the active language.

    ``"html"`` is a fragment with its styles in it, as mail readers want them, and no image;
    ``"text"`` is plain text. The link to the payment page needs ``SITE_URL`` or ``request``.
    """
    try:
        template = TEMPLATES[format]
    except KeyError:
        raise ValueError(f'format is {format!r}; it must be "html" or "text".') from None
    now = timezone.now()
    options = get_config().options_of(payment.merchant)
    context = {
        **live_context(payment, now),
        "amount": format_money(payment.amount, payment.currency),
        "hosted_url": hosted_url(payment),
        "page_url": absolute(payment.get_absolute_url(), options, request),
    }
    return render_to_string(template, context)

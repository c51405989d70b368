"""``{% load pagoefectivo %}``: the card, its parts, and how money and codes are written."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ..models import Payment
from ..pages import card
from ..pages.formats import format_cip, format_lima, format_money
from ..pages.links import hosted_url

register = template.Library()

TEMPLATES = "django_pagoefectivo"


@register.inclusion_tag(f"{TEMPLATES}/instructions.html", takes_context=True)
def pagoefectivo_instructions(
    context: template.Context,
    payment: Payment,
    level: int = 2,
    media: bool = True,
    notice: str = "",
) -> dict[str, Any]:
    """The whole card: what the shopper must know in the payment's present state.

    ``level`` is that of its heading. ``media=False`` leaves out the stylesheet and the
    script where ``{% pagoefectivo_media %}`` is in the page's head.
    """
    return card.card_context(
        payment,
        context.get("request"),
        {"level": level, "sublevel": level + 1, "media": media, "notice": notice},
    )


@register.inclusion_tag(f"{TEMPLATES}/media.html")
def pagoefectivo_media() -> dict[str, Any]:
    """The links to the stylesheet and the script."""
    return {}


@register.inclusion_tag(f"{TEMPLATES}/parts/cip.html")
def pagoefectivo_cip(payment: Payment, copy: bool = True) -> dict[str, Any]:
    """The code in large, grouped digits, with a button that copies it."""
    return {**card.live_context(payment), **card.cip_context(payment), "copy": copy}


@register.simple_tag
def pagoefectivo_qr(payment: Payment) -> SafeString | str:
    """The hosted page as a QR code, while there is something to pay."""
    url = hosted_url(payment) if payment.is_open else ""
    return card.qr_svg(url, _("QR code of the payment page at PagoEfectivo")) if url else ""


@register.inclusion_tag(f"{TEMPLATES}/parts/expiry.html")
def pagoefectivo_expiry(payment: Payment) -> dict[str, Any]:
    """The deadline in Lima time; the script adds a countdown and the shopper's own time."""
    return card.expiry_context(payment)


@register.inclusion_tag(f"{TEMPLATES}/parts/status.html")
def pagoefectivo_status(payment: Payment) -> dict[str, Any]:
    """The payment's state in words that change by themselves."""
    return card.live_context(payment)


@register.inclusion_tag(f"{TEMPLATES}/parts/button.html")
def pagoefectivo_button(payment: Payment, text: str = "") -> dict[str, Any]:
    """A link to the payment page that looks like a button."""
    return {**card.live_context(payment), "text": text}


@register.filter
def cip_format(cip: object) -> str:
    """``{{ payment.cip|cip_format }}``: ``1154 6901``."""
    return format_cip(cip)


@register.filter
def money(amount: object, currency: str = "PEN") -> str:
    """``{{ payment.amount|money:payment.currency }}``: ``S/ 22.05``."""
    return format_money(amount, currency)


@register.filter
def lima(moment: Any) -> str:
    """``{{ payment.paid_at|lima }}``: day and time in Lima."""
    return format_lima(moment) if moment else ""

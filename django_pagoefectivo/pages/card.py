"""What the templates of the card and of its parts are given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import segno
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, get_language_bidi

from ..models import Attention, Payment, Status
from .formats import cip_groups, in_lima
from .links import hosted_url, shop_url
from .state import PageState, next_poll, page_state, state_label

if TYPE_CHECKING:
    from django.http import HttpRequest

#: After so many seconds without an answer the page stops saying "a moment".
SLOW_AFTER = 120

#: The size of the QR code in CSS pixels where no stylesheet says otherwise.
QR_SIZE = 176

_TONES = {
    PageState.PREPARING: "calm",
    PageState.WAITING: "calm",
    PageState.OVERDUE: "warn",
    PageState.CHECKING: "warn",
    PageState.CONFIRMING: "calm",
    PageState.PAID: "good",
    PageState.EXPIRED: "warn",
    PageState.CANCELLED: "warn",
    PageState.REFUNDED: "mute",
    PageState.FAILED: "bad",
}


def status_url(payment: Payment) -> str:
    """Path of the JSON that tells the payment's state."""
    return reverse("pagoefectivo:payment-status", kwargs={"token": payment.token})


def payment_age(payment: Payment, now: datetime) -> float:
    """Seconds since the payment was made here."""
    return max(0.0, (now - payment.created_at).total_seconds())


def state_of(payment: Payment, now: datetime) -> PageState:
    """What the shopper is told about ``payment`` at ``now``."""
    return page_state(
        payment.status,
        payment.attention,
        payment.expires_at,
        now,
        being_checked=payment.is_being_checked,
    )


def live_context(payment: Payment, now: datetime | None = None) -> dict[str, Any]:
    """What every live part needs: the state, its words and where to ask."""
    now = now or timezone.now()
    state = state_of(payment, now)
    return {
        "payment": payment,
        "state": state.value,
        "tone": _TONES[state],
        "label": state_label(payment.status, state),
        "payable": state is PageState.WAITING,
        "final": payment.is_final,
        "next_poll": next_poll(payment.status, 0, being_checked=payment.is_being_checked),
        "expires_at": in_lima(payment.expires_at).isoformat(timespec="seconds"),
        "status_url": status_url(payment),
        "page_url": payment.get_absolute_url(),
        "language": get_language() or "en",
        "rtl": get_language_bidi(),
    }


def cip_context(payment: Payment) -> dict[str, Any]:
    """The code, in groups to read and with spaces to hear."""
    return {"cip": payment.cip or "", "groups": cip_groups(payment.cip)}


def expiry_context(payment: Payment, now: datetime | None = None) -> dict[str, Any]:
    """The deadline and, for the countdown of a wrong clock, the server's time."""
    now = now or timezone.now()
    return {
        "expires_at": in_lima(payment.expires_at).isoformat(timespec="seconds"),
        "moment": payment.expires_at,
        "now": int(now.timestamp() * 1000),
        "counts": payment.status == Status.PENDING,
    }


def card_context(
    payment: Payment,
    request: HttpRequest | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything the card shows. Nothing of the customer's data is in it but ``payment``."""
    now = timezone.now()
    age = payment_age(payment, now)
    return {
        **live_context(payment, now),
        "request": request,
        "hosted_url": hosted_url(payment),
        "shop_url": shop_url(payment, request),
        "slow": payment.status == Status.CREATED and age >= SLOW_AFTER,
        "late": payment.attention == Attention.LATE_PAYMENT,
        "duplicate": payment.attention == Attention.DUPLICATE_PAYMENT,
        "level": 2,
        "media": True,
        "notice": "",
        **(extra or {}),
    }


def qr_svg(url: str, label: str) -> SafeString:
    """``url`` as an inline SVG named ``label``; dark on white in every colour scheme."""
    # Two elements, so that the size is an attribute and the drawing scales to it: a style
    # attribute would be refused by a strict Content-Security-Policy.
    return format_html(
        '<svg class="pe-qr" width="{0}" height="{0}" role="img" aria-label="{1}">{2}</svg>',
        QR_SIZE,
        label,
        _drawing(url),
    )


@lru_cache(maxsize=256)
def _drawing(url: str) -> SafeString:
    code = segno.make(url, error="m", micro=False)
    # Numbers and fixed names only; the address is in the pattern and not in the text.
    return mark_safe(  # noqa: S308
        code.svg_inline(omitsize=True, light="#fff", svgclass=None, lineclass=None)
    )

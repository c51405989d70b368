"""The three addresses a shopper's browser asks for. The token in them is the credential."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.core.cache import caches
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from ..conf import get_config
from ..exceptions import PagoEfectivoError
from ..logs import logger_for
from ..models import Payment
from ..services import sync_payment
from ..services.sync import can_sync
from .card import payment_age, state_of
from .formats import in_lima
from .state import next_poll, state_label

logger = logger_for(__name__)

#: However often the browser comes back, PagoEfectivo is asked about a payment at most once
#: in this time.
ASK_AGAIN_AFTER = timedelta(seconds=15)

PRIVATE_HEADERS = {
    # The address is a key to the page: it must not travel on to another site.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}

View = Callable[[HttpRequest, UUID], HttpResponseBase]


def shoppers_view(view: View) -> View:
    """A view for whoever has the token: read only, no login, kept by nobody on the way.

    It is exempt from ATOMIC_REQUESTS: a poll should be one statement and not three, and
    asking PagoEfectivo commits what it says in transactions of its own.
    """

    @wraps(view)
    def private(request: HttpRequest, token: UUID) -> HttpResponseBase:
        response = view(request, token)
        for name, value in PRIVATE_HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    safe: View = require_safe(private)
    return transaction.non_atomic_requests(login_not_required(safe))


@shoppers_view
def payment_page(request: HttpRequest, token: UUID) -> HttpResponseBase:
    """The payment page as the database has it."""
    payment = get_object_or_404(Payment, token=token)
    return _page(request, payment)


@shoppers_view
def payment_status(request: HttpRequest, token: UUID) -> HttpResponseBase:
    """The payment's state as JSON, for the page that waits for it: one small query.

    ``watched`` in the query says how many seconds the page has been looked at, and sets
    nothing but the pace.
    """
    payment = (
        Payment.objects.filter(token=token)
        .only("status", "attention", "expires_at", "created_at", "checking_since")
        .first()
    )
    if payment is None:
        return JsonResponse({"detail": "unknown token"}, status=404)
    now = timezone.now()
    state = state_of(payment, now)
    response = JsonResponse(
        {
            "status": payment.status,
            "status_display": state_label(payment.status, state),
            "paid": payment.is_paid,
            "final": payment.is_final,
            "expires_at": in_lima(payment.expires_at).isoformat(timespec="seconds"),
            "next_poll": next_poll(
                payment.status,
                _watched(request, payment_age(payment, now)),
                being_checked=payment.is_being_checked,
            ),
        }
    )
    # The pace takes few values, so it can be part of what the tag stands for, and a 304
    # still means that every byte is the same.
    response.headers["ETag"] = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    response.headers["Cache-Control"] = "private, no-cache"
    conditional = get_conditional_response(
        request, etag=response.headers["ETag"], response=response
    )
    return conditional or response


@shoppers_view
def payment_return(request: HttpRequest, token: UUID) -> HttpResponseBase:
    """Where the browser comes back from PagoEfectivo.

    What it says on the way back is not read: anybody can write an address. PagoEfectivo is
    asked instead, and the page shows what the server knows then.
    """
    payment = get_object_or_404(Payment, token=token)
    notice = "unconfirmed"
    if request.method == "GET" and _may_ask(payment):
        try:
            payment = sync_payment(payment)
        except PagoEfectivoError as error:
            logger.warning("PagoEfectivo could not be asked about %r: %s", payment, error)
            notice = "unavailable"
    return _page(request, payment, notice=notice)


def _page(request: HttpRequest, payment: Payment, notice: str = "") -> HttpResponse:
    state = state_of(payment, timezone.now())
    # The title says it too: a phone's list of open pages shows nothing else.
    context = {
        "payment": payment,
        "notice": notice,
        "label": state_label(payment.status, state),
    }
    return render(request, "django_pagoefectivo/payment.html", context)


def _may_ask(payment: Payment) -> bool:
    """Whether asking could tell something new, and has not just been done."""
    if payment.is_final or not can_sync(payment):
        return False
    try:
        return caches[get_config().options_of(payment.merchant).cache].add(
            f"pagoefectivo:asked:{payment.token}", 1, ASK_AGAIN_AFTER.total_seconds()
        )
    except Exception:
        # Every cache backend has errors of its own. Without the shared memory nothing would
        # hold back who keeps reloading; the page must come all the same.
        logger.exception("The cache is away, so PagoEfectivo is not asked about %r", payment)
        return False


def _watched(request: HttpRequest, fallback: float) -> float:
    text = request.GET.get("watched", "")
    # Longer digits than any time on a page are no time.
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else fallback

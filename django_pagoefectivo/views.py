"""The webhook: bytes and headers in, verified, stored and applied, answered."""

from __future__ import annotations

import time

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured, RequestDataTooBig
from django.db import Error as DatabaseError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from . import metrics
from .client_address import client_address
from .conf import Config, get_config
from .exceptions import InvalidNotification, NotificationRefused
from .logs import logger_for
from .models import Outcome
from .probing import answer_to_probe
from .services.webhooks import may_notify, receive
from .webhook_words import (
    ADDRESS_NOT_ALLOWED,
    NO_LENGTH,
    NO_MERCHANT,
    PROBE_REFUSED,
    REFUSED,
    REFUSED_EMPTY,
    TRY_AGAIN,
    UNREADABLE,
)

logger = logger_for("django_pagoefectivo.webhook")

LARGEST_BODY = 64 * 1024


# The signature is the credential, so no CSRF token and no login. The service commits by
# itself before the answer: under ATOMIC_REQUESTS a 200 could still be rolled back, and
# receivers would run inside the transaction.
@transaction.non_atomic_requests
@csrf_exempt
@login_not_required
@require_POST
def webhook(request: HttpRequest, merchant: str | None = None) -> HttpResponse:
    """Take in a notification of PagoEfectivo.

    200 says that it is on disk, whatever it did; 400 that it is signed but cannot be read;
    403 that its signature or address is wrong; 413 that it is too long; 503 that it could
    not be kept, so that PagoEfectivo tries again.
    """
    if not metrics.is_observed():
        return _take_in(request, merchant)
    began = time.perf_counter()
    answer = _take_in(request, merchant)
    seconds = time.perf_counter() - began
    # A name that is no merchant's could be anything, and become a label.
    named = "" if merchant is None or answer.status_code == 404 else merchant
    outcome = _OUTCOMES.get(answer.status_code) or answer.content.decode()
    metrics.tell(
        lambda observer: observer.notification_answered(
            merchant=named,
            outcome=outcome if outcome in _KNOWN_OUTCOMES else "probe",
            status=answer.status_code,
            seconds=seconds,
        )
    )
    return answer


#: What the answers other than 200 are counted as.
_OUTCOMES = {
    400: "unreadable",
    403: "refused",
    404: "unknown_merchant",
    413: "too_long",
    503: "not_kept",
}
_KNOWN_OUTCOMES = frozenset((*_OUTCOMES.values(), *Outcome.values))


@sensitive_variables()
def _take_in(request: HttpRequest, merchant: str | None) -> HttpResponse:
    try:
        config = get_config()
        names = config.merchant_names if merchant is None else _known(merchant, config)
        if not names:
            return _answer(NO_MERCHANT, 404)
        address = client_address(request.META, config)
        if not any(may_notify(name, address, config) for name in names):
            logger.warning("Notification refused: address %s is not in ALLOWED_IPS", address)
            return _answer(ADDRESS_NOT_ALLOWED, 403)
        body = _body(request)
        if body is None:
            return _answer(f"longer than {LARGEST_BODY} bytes", 413)
        proof = answer_to_probe(body, request.headers, merchant, config)
        if proof is not None:
            return _answer(proof, 403 if proof == PROBE_REFUSED else 200)
        receipt = receive(body, request.headers, address=address, merchant=merchant)
    except NotificationRefused:
        return _answer(REFUSED if body else REFUSED_EMPTY, 403)
    except InvalidNotification as error:
        return _answer(f"{UNREADABLE}{error}", 400)
    except _NoLength:
        return _answer(NO_LENGTH, 400)
    except DatabaseError:
        logger.exception("A genuine notification could not be kept; PagoEfectivo is told so")
        return _answer(TRY_AGAIN, 503)
    except ImproperlyConfigured:
        # Also a vault that is away: never an answer that says the notification is wrong.
        logger.exception("A notification could not be checked; PagoEfectivo is told so")
        return _answer(TRY_AGAIN, 503)
    return _answer(receipt.outcome, 200)


def _known(merchant: str, config: Config) -> tuple[str, ...]:
    """The merchant's name, if there is one; it may have been added elsewhere just now."""
    if merchant not in config.merchant_names:
        newer = config.with_newer_merchants()
        if newer is None or merchant not in newer.merchant_names:
            return ()
    return (merchant,)


class _NoLength(ValueError):
    """A ``Content-Length`` that is no number."""


def _body(request: HttpRequest) -> bytes | None:
    """The raw body, ``None`` if it is too long. A body cut on its way cannot verify.

    Raises ``_NoLength`` for a length that is no number.
    """
    try:
        length = int(request.META.get("CONTENT_LENGTH") or "0")
    except ValueError:
        raise _NoLength from None
    if length > LARGEST_BODY:
        return None
    try:
        body = request.body
    except RequestDataTooBig:
        return None
    except (UnreadablePostError, RawPostDataException):
        return b""
    return None if len(body) > LARGEST_BODY else body


def _answer(text: str, status: int) -> HttpResponse:
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    add_never_cache_headers(response)
    return response

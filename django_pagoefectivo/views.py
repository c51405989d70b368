"""The webhook: bytes and headers in, verified, stored and applied, answered."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db import Error as DatabaseError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .client_address import client_address, is_allowed
from .conf import get_config
from .exceptions import InvalidNotification, NotificationRefused
from .services.webhooks import receive

logger = logging.getLogger("django_pagoefectivo.webhook")

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
    config = get_config()
    if merchant is not None and merchant not in config.merchant_names:
        return _answer("no such merchant", 404)
    address = client_address(request.META, config)
    if not is_allowed(address, config):
        logger.warning("Notification refused: address %s is not in ALLOWED_IPS", address)
        return _answer("address not allowed", 403)
    try:
        body = _body(request)
    except ValueError:
        return _answer("Content-Length is no number", 400)
    if body is None:
        return _answer(f"longer than {LARGEST_BODY} bytes", 413)
    try:
        receipt = receive(body, request.headers, address=address, merchant=merchant)
    except NotificationRefused:
        return _answer("signature refused", 403)
    except InvalidNotification as error:
        return _answer(f"cannot be read: {error}", 400)
    except DatabaseError:
        logger.exception("A genuine notification could not be kept; PagoEfectivo is told so")
        return _answer("try again", 503)
    return _answer(receipt.outcome, 200)


def _body(request: HttpRequest) -> bytes | None:
    """The raw body, ``None`` if it is too long. A body cut on its way cannot verify.

    Raises ``ValueError`` for a length that is no number.
    """
    if int(request.META.get("CONTENT_LENGTH") or "0") > LARGEST_BODY:
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

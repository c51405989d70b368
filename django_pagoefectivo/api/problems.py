"""The one shape of every error: a problem of RFC 9457 with a ``code`` and errors by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework.response import Response

MEDIA_TYPE = "application/problem+json"
#: ``type`` of a problem is this and its ``code``.
TYPE_PREFIX = "urn:django-pagoefectivo:problem:"
#: Seconds after which an answer that says "later" may be asked for again.
RETRY_AFTER = "5"

#: Every code there is: its HTTP status and title.
CODES: dict[str, tuple[int, Promise]] = {
    "invalid": (400, _("The request is not valid")),
    "malformed": (400, _("The request cannot be read")),
    "not_authenticated": (401, _("Log in first")),
    "permission_denied": (403, _("Not allowed")),
    "not_found": (404, _("Not found")),
    "method_not_allowed": (405, _("Method not allowed")),
    "idempotency_key_in_use": (409, _("Idempotency key in use")),
    "idempotency_key_reused": (409, _("Idempotency key reused")),
    "invalid_transition": (409, _("The payment's state does not allow this")),
    "not_supported": (409, _("Not offered by the merchant's contract")),
    "order_already_open": (409, _("The order has an open payment")),
    "order_already_paid": (409, _("The order is paid")),
    "too_large": (413, _("The request is too large")),
    "unsupported_media_type": (415, _("Send JSON")),
    "request_rejected": (422, _("PagoEfectivo refused the request")),
    "throttled": (429, _("Too many requests")),
    "misconfigured": (500, _("The shop is not set up")),
    "gateway_authentication_failed": (502, _("PagoEfectivo refused the shop's credentials")),
    "busy": (503, _("Try again")),
    "gateway_unavailable": (503, _("PagoEfectivo cannot be reached")),
    "outcome_unknown": (504, _("The outcome is not known yet")),
}
Errors = Sequence[dict[str, str]]


def problem_body(
    code: str, detail: object, *, errors: Errors = (), status: int | None = None
) -> dict[str, Any]:
    """The body of a problem. ``status`` differs from the code's only for a login asked for by
    403, which is how HTTP says it where no ``WWW-Authenticate`` is sent."""
    usual, title = CODES[code]
    return {
        "type": TYPE_PREFIX + code,
        "title": str(title),
        "status": usual if status is None else status,
        "detail": str(detail),
        "code": code,
        "errors": list(errors),
        "payment": None,
    }


def problem(
    code: str,
    detail: object,
    *,
    errors: Errors = (),
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response."""
    body = problem_body(code, detail, errors=errors, status=status)
    return response_to(body, headers)


def response_to(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """The response for a problem's body."""
    return Response(body, body["status"], headers=dict(headers or {}), content_type=MEDIA_TYPE)

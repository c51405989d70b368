"""Which problem each error is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist, PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import OperationalError
from django.http import Http404
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.fields import get_error_detail
from rest_framework.response import Response

from ..exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    InsideTransaction,
    InvalidPayment,
    InvalidTransition,
    NotSupported,
    OrderAlreadyOpen,
    OrderAlreadyPaid,
    OutcomeUnknown,
    PagoEfectivoError,
    RequestRejected,
)
from ..logs import logger_for
from ..services.idempotency import KeyConflict
from .problems import RETRY_AFTER, problem
from .serializers import CustomerSerializer

logger = logger_for("django_pagoefectivo.api")

_LATER = {"Retry-After": RETRY_AFTER}
#: What is a problem of its own; the kinds that are not here have a code by their status.
_HTTP_CODES: tuple[tuple[type[exceptions.APIException], str], ...] = (
    (exceptions.ParseError, "malformed"),
    (exceptions.UnsupportedMediaType, "unsupported_media_type"),
    (exceptions.NotAuthenticated, "not_authenticated"),
    (exceptions.AuthenticationFailed, "not_authenticated"),
    (exceptions.PermissionDenied, "permission_denied"),
    (exceptions.NotFound, "not_found"),
    (exceptions.MethodNotAllowed, "method_not_allowed"),
    (exceptions.Throttled, "throttled"),
)


def answer_to(error: Exception) -> Response | None:
    """The problem that an error is, or ``None`` for a fault that nobody foresaw."""
    if isinstance(error, Http404 | ObjectDoesNotExist):
        # Its own words could tell what is there.
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    elif isinstance(error, DjangoValidationError):
        error = exceptions.ValidationError(get_error_detail(error))
    if isinstance(error, exceptions.APIException):
        return _http_problem(error)
    if isinstance(error, PagoEfectivoError):
        return _payment_problem(error)
    if isinstance(error, KeyConflict):
        return _key_problem(error)
    if isinstance(error, ImproperlyConfigured | InsideTransaction):
        logger.error("The REST API cannot answer: %s", error, exc_info=error)
        return problem("misconfigured", _("This shop's settings keep it from answering."))
    if isinstance(error, OperationalError):
        logger.error("The database of the REST API is busy or away", exc_info=error)
        return problem("busy", _("Please try again in a moment."), headers=_LATER)
    return None


def _http_problem(error: exceptions.APIException) -> Response:
    if isinstance(error, exceptions.ValidationError):
        return problem(
            "invalid",
            _("The request has errors; see them by field."),
            errors=list(_by_field(error.get_full_details())),
        )
    code = next(
        (code for kind, code in _HTTP_CODES if isinstance(error, kind)),
        "too_large" if error.status_code == 413 else "busy",
    )
    headers = {}
    # DRF puts it there where an authentication class knows how to ask for a login.
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(challenge)
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(max(1, round(wait)))
    return problem(code, error.detail, status=error.status_code, headers=headers)


def _by_field(details: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested errors one by one, each with the path of its field."""
    if isinstance(details, list):
        for item in details:
            yield from _by_field(item, path)
    elif isinstance(details.get("message"), str):
        # A name that nobody knows may hold lone surrogates, which no answer can carry.
        field = path.encode("utf-8", "replace").decode()
        yield {"field": field, "code": str(details["code"]), "message": details["message"]}
    else:
        for name, item in details.items():
            # What is wrong with an object as a whole stands at the object.
            step = [] if name == "non_field_errors" else [str(name)]
            yield from _by_field(item, ".".join([*filter(None, [path]), *step]))


def _payment_problem(error: PagoEfectivoError) -> Response:
    match error:
        case InvalidPayment():
            return problem(
                "invalid",
                _("The request has errors; see them by field."),
                errors=[{"field": _path(error.field), "code": "invalid", "message": error.message}],
            )
        case RequestRejected():
            named = [{"field": e.field, "code": e.code, "message": e.message} for e in error.errors]
            return problem("request_rejected", error, errors=named)
        case AuthenticationFailed():
            # Which key is wrong concerns staff alone; they find it with the payment.
            logger.error("PagoEfectivo refuses the shop's credentials: %s", error)
            return problem(
                "gateway_authentication_failed",
                _("PagoEfectivo does not accept this shop's credentials. Nothing was done."),
            )
        case GatewayUnavailable():
            return problem(
                "gateway_unavailable",
                _("PagoEfectivo cannot be reached. Nothing was done; try again later."),
                headers=_LATER,
            )
        case OutcomeUnknown():
            return problem(
                "outcome_unknown",
                _(
                    "PagoEfectivo gave no readable answer, so it is not known yet whether it did "
                    "this. Do not repeat it blindly: read the payment again later."
                ),
            )
        case OrderAlreadyOpen():
            return problem("order_already_open", error)
        case OrderAlreadyPaid():
            return problem("order_already_paid", error)
        case InvalidTransition():
            return problem("invalid_transition", error)
        case NotSupported():
            return problem("not_supported", error)
        case _:
            logger.error("An error without a problem of its own: %s", error, exc_info=error)
            return problem("busy", _("Please try again in a moment."), headers=_LATER)


def _path(field: str) -> str:
    """Where a field of ``create_payment`` stands in a request."""
    return f"customer.{field}" if field in CustomerSerializer().fields else field


def _key_problem(error: KeyConflict) -> Response:
    if error.reused:
        return problem(
            "idempotency_key_reused",
            _("This Idempotency-Key was sent with another body before; use a new key."),
        )
    return problem(
        "idempotency_key_in_use",
        _("The first request with this Idempotency-Key is still being worked on; try again."),
        headers=_LATER,
    )

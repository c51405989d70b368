"""The CIP API: ``/authorizations``, ``/cips``, ``/cips/search`` and ``/cips/<cip>``."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from . import codes, credentials, options, protocol, rules
from .answering import serve
from .faults import Operation
from .guard import sandbox_view
from .models import SandboxCode
from .protocol import SUCCESS, Answer


@csrf_exempt
@sandbox_view
def authorizations(request: HttpRequest) -> HttpResponseBase:
    """``POST``: a token for the right hash."""
    return serve(request, {"POST": (Operation.AUTHORIZE, _authorize)})


@csrf_exempt
@sandbox_view
def cips(request: HttpRequest) -> HttpResponseBase:
    """``POST``: make a code."""
    return serve(request, {"POST": (Operation.CREATE, _create)})


@csrf_exempt
@sandbox_view
def search(request: HttpRequest) -> HttpResponseBase:
    """``POST``: the status of codes."""
    return serve(request, {"POST": (Operation.SEARCH, _search)})


@csrf_exempt
@sandbox_view
def one_cip(request: HttpRequest, cip: int) -> HttpResponseBase:
    """``PATCH``: move the term. ``DELETE``: delete the code."""
    return serve(
        request,
        {
            "PATCH": (Operation.EXTEND, partial(_extend, cip=cip)),
            "DELETE": (Operation.CANCEL, partial(_delete, cip=cip)),
        },
    )


def _authorize(request: HttpRequest, service_id: str) -> Answer:
    now = timezone.now()
    asked = protocol.read_token_request(protocol.read_object(request.body), now)
    if not credentials.credentials_match(
        asked.service_id, asked.access_key, asked.date_request, asked.hashed
    ):
        protocol.refuse(401, protocol.UNAUTHORIZED)
    data = {
        "token": credentials.issue_token(asked.service_id, now),
        "codeService": "SBX",
        "tokenStart": protocol.date_text(now),
        "tokenExpires": protocol.date_text(now + credentials.TOKEN_LIFETIME),
    }
    return Answer(201, SUCCESS, data)


def _create(request: HttpRequest, service_id: str) -> Answer:
    now = timezone.now()
    protocol.check(
        {name: request.headers.get(name) for name in ("Origin", "Accept-Language")},
        required={
            "Origin": rules.one_of("web", "android", "ios"),
            "Accept-Language": rules.one_of("es-PE", "en-US"),
        },
    )
    asked = protocol.read_create(protocol.read_object(request.body), now, options.amount_limit())
    if asked.service_id is not None and str(asked.service_id) != service_id:
        protocol.refuse(400, protocol.WRONG_SERVICE)
    code = codes.make(asked, service_id, request.build_absolute_uri("/").rstrip("/"), now)
    data = {
        "cip": code.cip,
        "currency": code.currency,
        "amount": protocol.number(code.amount),
        "transactionCode": code.transaction_code,
        "dateExpiry": protocol.date_text(code.date_expiry),
        "cipUrl": request.build_absolute_uri(code.get_absolute_url()),
    }
    return Answer(201, SUCCESS, data, code_as_text=False)


def _search(request: HttpRequest, service_id: str) -> Answer:
    now = timezone.now()
    asked = protocol.read_search(protocol.read_object(request.body))
    found = codes.find(asked, service_id)
    data = [_described(found[cip], now) for cip in asked if cip in found]
    return Answer(200, SUCCESS, data)


def _described(code: SandboxCode, now: datetime) -> dict[str, Any]:
    status = code.status_at(now)
    return {
        "cip": code.cip,
        "transactionCode": code.transaction_code,
        "amount": protocol.number(code.amount),
        "currency": code.currency,
        "status": status.value,
        "statusName": status.label,
        "dateCreation": protocol.date_text(code.created_at),
        "dateExpiry": protocol.date_text(code.date_expiry),
        "datePayment": protocol.date_text(code.paid_at),
        "dateRemoval": protocol.date_text(code.deleted_at),
        "token": str(code.uuid),
    }


def _extend(request: HttpRequest, service_id: str, cip: int) -> Answer:
    until = protocol.read_extend(protocol.read_object(request.body), timezone.now())
    # What an unknown, paid or deleted code is answered is not published: a choice.
    if not codes.extend(cip, service_id, until):
        protocol.refuse_fields({"cip": protocol.INVALID_VALUE})
    return Answer(200, SUCCESS, {}, code_as_text=False)


def _delete(request: HttpRequest, service_id: str, cip: int) -> Answer:
    if not codes.delete(cip, service_id, timezone.now()):
        protocol.refuse_fields({"cip": protocol.INVALID_VALUE})
    return Answer(200, SUCCESS, {})

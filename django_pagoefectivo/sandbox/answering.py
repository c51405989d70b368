"""How a call of the API is answered: properly, or as the armed fault has it, and counted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.utils import timezone

from . import armed, credentials, protocol
from .connection import cut
from .faults import ApiFault, Operation
from .models import SandboxCall, SandboxFault
from .protocol import Answer, Refused

#: Takes the request and the token's service; raises ``Refused`` for an error.
Handler = Callable[[HttpRequest, str], Answer]

_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_INVALID = {
    "code": str(protocol.INVALID_VALUE),
    "message": protocol.MESSAGES[protocol.INVALID_VALUE],
    "field": "userEmail",
}
_ERRORS: dict[ApiFault, Answer] = {
    ApiFault.ERROR_500: Answer(500, protocol.INTERNAL_ERROR, []),
    ApiFault.ERROR_500_AFTER: Answer(500, protocol.INTERNAL_ERROR, []),
    ApiFault.TOKEN_REFUSED: Answer(401, protocol.UNAUTHORIZED, []),
    ApiFault.REJECTED: Answer(400, protocol.INVALID_DATA, [_INVALID]),
    ApiFault.OVER_LIMIT: Answer(400, protocol.OVER_LIMIT, []),
    ApiFault.WRONG_SERVICE: Answer(400, protocol.WRONG_SERVICE, []),
}


def serve(
    request: HttpRequest, handlers: Mapping[str, tuple[Operation, Handler]]
) -> HttpResponseBase:
    """Answer a call by the handler of its HTTP method, and count it in ``SandboxCall``."""
    known = handlers.get(request.method or "")
    if known is None:
        return HttpResponseNotAllowed(list(handlers))
    operation, handler = known
    fault = armed.take(operation)
    service_id, answer = "", Answer(500, protocol.INTERNAL_ERROR, [])
    if fault is None or fault.kind.is_done:
        try:
            if operation is not Operation.AUTHORIZE:
                service_id = _service_of_token(request)
            answer = handler(request, service_id)
        except Refused as refused:
            answer = refused.answer
    response = _respond(answer) if fault is None else _spoil(request, fault.kind, answer)
    _count(request, operation, service_id, fault, response)
    if fault is not None and fault.kind is ApiFault.SLOW:
        time.sleep(fault.seconds)
    return response


def _service_of_token(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    service_id = credentials.service_of_token(token, timezone.now())
    if scheme != "Bearer" or service_id is None:
        protocol.refuse(401, protocol.UNAUTHORIZED)
    if credentials.merchant_of(service_id) is None:
        protocol.refuse(400, protocol.WRONG_SERVICE)
    return service_id


def _count(
    request: HttpRequest,
    operation: Operation,
    service_id: str,
    fault: SandboxFault | None,
    response: HttpResponseBase,
) -> None:
    SandboxCall.objects.create(
        operation=operation,
        method=request.method or "",
        path=request.path[:255],
        status=0 if response.streaming else response.status_code,
        service_id=service_id,
        fault="" if fault is None else fault.fault,
    )


def _respond(answer: Answer) -> HttpResponse:
    body = json.dumps(answer.payload(), ensure_ascii=False).encode()
    return _json(body, answer.status)


def _json(body: bytes, status: int) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json; charset=utf-8")


def _spoil(request: HttpRequest, kind: ApiFault, answer: Answer) -> HttpResponseBase:
    match kind:
        case ApiFault.CUT_BEFORE | ApiFault.CUT_AFTER:
            return cut(request)
        case ApiFault.HTML_500:
            return HttpResponse(_PAGE.format("500 Internal Server Error"), status=500)
        case ApiFault.HTML_200:
            return HttpResponse(_PAGE.format("We will be back soon"), status=200)
        case ApiFault.TRUNCATED:
            whole = _respond(answer).content
            return _json(whole[: len(whole) // 2], answer.status)
        case ApiFault.WRONG_AMOUNT:
            return _respond(replace(answer, data=_with_wrong_amounts(answer.data)))
        case ApiFault.CODE_AS_TEXT | ApiFault.CODE_AS_NUMBER:
            return _respond(replace(answer, code_as_text=kind is ApiFault.CODE_AS_TEXT))
        case _:
            return _respond(_ERRORS.get(kind, answer))


def _with_wrong_amounts(data: Any) -> Any:
    if isinstance(data, list):
        return [_with_wrong_amounts(item) for item in data]
    if isinstance(data, dict) and "amount" in data:
        return {**data, "amount": data["amount"] + 1}
    return data

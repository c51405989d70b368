"""How a call of the API is answered: properly, or as the armed fault has it, and counted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.utils import timezone

from . import armed, credentials, protocol
from .connection import cut
from .faults import ApiFault, Operation
from .models import SandboxCall, SandboxFault
from .protocol import Answer, AnyAnswer, Refused

#: Takes the request and the service that it is for; raises ``Refused`` for an error.
Handler = Callable[[HttpRequest, str], AnyAnswer]


@dataclass(frozen=True, slots=True)
class Contract:
    """How one API knows its callers, and how its errors look."""

    identify: Callable[[HttpRequest, Operation], str]
    internal_error: AnyAnswer
    errors: Mapping[ApiFault, AnyAnswer]


_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_INVALID = {
    "code": str(protocol.INVALID_VALUE),
    "message": protocol.MESSAGES[protocol.INVALID_VALUE],
    "field": "userEmail",
}
_CIP_ERRORS: dict[ApiFault, AnyAnswer] = {
    ApiFault.TOKEN_REFUSED: Answer(401, protocol.UNAUTHORIZED, []),
    ApiFault.REJECTED: Answer(400, protocol.INVALID_DATA, [_INVALID]),
    ApiFault.OVER_LIMIT: Answer(400, protocol.OVER_LIMIT, []),
    ApiFault.WRONG_SERVICE: Answer(400, protocol.WRONG_SERVICE, []),
}


def serve(
    request: HttpRequest,
    handlers: Mapping[str, tuple[Operation, Handler]],
    contract: Contract | None = None,
) -> HttpResponseBase:
    """Answer a call by the handler of its HTTP method, and count it in ``SandboxCall``.

    ``contract`` is the CIP API's unless given.
    """
    contract = contract or CIP_API
    known = handlers.get(request.method or "")
    if known is None:
        return HttpResponseNotAllowed(list(handlers))
    operation, handler = known
    fault = armed.take(operation)
    service_id, answer = "", contract.internal_error
    if fault is None or fault.kind.is_done:
        try:
            service_id = contract.identify(request, operation)
            answer = handler(request, service_id)
        except Refused as refused:
            answer = refused.answer
    response = _respond(answer) if fault is None else _spoil(request, fault.kind, answer, contract)
    _count(request, operation, service_id, fault, response)
    if fault is not None and fault.kind is ApiFault.SLOW:
        time.sleep(fault.seconds)
    return response


def _service_of_token(request: HttpRequest, operation: Operation) -> str:
    if operation is Operation.AUTHORIZE:
        return ""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    service_id = credentials.service_of_token(token, timezone.now())
    if scheme != "Bearer" or service_id is None:
        protocol.refuse(401, protocol.UNAUTHORIZED)
    if credentials.merchant_of(service_id) is None:
        protocol.refuse(400, protocol.WRONG_SERVICE)
    return service_id


CIP_API = Contract(
    identify=_service_of_token,
    internal_error=Answer(500, protocol.INTERNAL_ERROR, []),
    errors=_CIP_ERRORS,
)


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


def _respond(answer: AnyAnswer) -> HttpResponse:
    return _json(_bytes(answer.payload()), answer.status)


def _bytes(payload: Any) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode()


def _json(body: bytes, status: int) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json; charset=utf-8")


def _spoil(
    request: HttpRequest, kind: ApiFault, answer: AnyAnswer, contract: Contract
) -> HttpResponseBase:
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
            return _json(_bytes(_with_wrong_amounts(answer.payload())), answer.status)
        case ApiFault.CODE_AS_TEXT | ApiFault.CODE_AS_NUMBER if isinstance(answer, Answer):
            return _respond(replace(answer, code_as_text=kind is ApiFault.CODE_AS_TEXT))
        case ApiFault.ERROR_500 | ApiFault.ERROR_500_AFTER:
            return _respond(contract.internal_error)
        case _:
            return _respond(contract.errors.get(kind, answer))


def _with_wrong_amounts(data: Any) -> Any:
    if isinstance(data, list):
        return [_with_wrong_amounts(item) for item in data]
    if not isinstance(data, dict):
        return data
    if "amount" not in data:
        return {name: _with_wrong_amounts(value) for name, value in data.items()}
    amount = data["amount"]
    return {**data, "amount": f"{Decimal(amount) + 1}" if isinstance(amount, str) else amount + 1}

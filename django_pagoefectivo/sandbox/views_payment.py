"""The Payment API: ``/payment`` and ``/payment/status``, every request signed."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from . import codes, credentials, options
from . import protocol_payment as protocol
from .answering import Contract, serve
from .faults import ApiFault, Operation
from .guard import sandbox_view
from .models import SandboxCode
from .protocol_payment import PaymentAnswer

SIGNATURE_HEADER = "X-Signature"


@csrf_exempt
@sandbox_view
def payment(request: HttpRequest) -> HttpResponseBase:
    """``POST``: make a payment."""
    return serve(request, {"POST": (Operation.CREATE, _create)}, _CONTRACT)


@csrf_exempt
@sandbox_view
def status(request: HttpRequest) -> HttpResponseBase:
    """``GET``: how a payment stands, by ``paymentId`` or ``orderNumber``."""
    return serve(request, {"GET": (Operation.SEARCH, _status)}, _CONTRACT)


def _identified(request: HttpRequest, operation: Operation) -> str:
    """The Merchant ID that the request names and whose key signed it."""
    if operation is Operation.SEARCH:
        merchant_id = request.GET.get("merchantId", "")
        signed = request.META.get("QUERY_STRING", "").encode("latin-1", "replace")
    else:
        merchant_id = protocol.read_object(request.body).get("merchantId", "")
        signed = request.body
    signature = request.headers.get(SIGNATURE_HEADER, "")
    if not credentials.request_signature_matches(str(merchant_id), signed, signature):
        protocol.refuse(401, protocol.UNAUTHORIZED)
    return str(merchant_id)


def _create(request: HttpRequest, merchant_id: str) -> PaymentAnswer:
    now = timezone.now()
    asked = protocol.read_create(protocol.read_object(request.body), now, options.amount_limit())
    host = request.build_absolute_uri("/").rstrip("/")
    code = codes.make_payment(asked, merchant_id, host, now)
    if code is None:
        protocol.refuse(409, protocol.REPEATED)
    return PaymentAnswer(201, {"paymentId": str(code.uuid), "redirectUrl": _page_of(request, code)})


def _status(request: HttpRequest, merchant_id: str) -> PaymentAnswer:
    payment_id, order = request.GET.get("paymentId"), request.GET.get("orderNumber")
    if not payment_id and not order:
        protocol.refuse(
            400,
            protocol.INVALID_REQUEST,
            {"paymentId": protocol.REQUIRED, "orderNumber": protocol.REQUIRED},
        )
    found = SandboxCode.objects.filter(
        service_id=merchant_id, contract=SandboxCode.Contract.PAYMENT
    )
    if payment_id:
        try:
            found = found.filter(uuid=UUID(payment_id))
        except ValueError:
            found = found.none()
    if order:
        found = found.filter(transaction_code=order)
    code = found.first()
    if code is None:
        protocol.refuse(404, protocol.NOT_FOUND)
    return PaymentAnswer(200, protocol.described(code, timezone.now(), _page_of(request, code)))


def _page_of(request: HttpRequest, code: SandboxCode) -> str:
    return request.build_absolute_uri(code.get_absolute_url())


_CONTRACT = Contract(
    identify=_identified,
    internal_error=protocol.error(500, protocol.INTERNAL_ERROR),
    errors={
        ApiFault.TOKEN_REFUSED: protocol.error(401, protocol.UNAUTHORIZED),
        ApiFault.REJECTED: protocol.error(
            400, protocol.INVALID_REQUEST, {"customer.email": protocol.INVALID}
        ),
        ApiFault.OVER_LIMIT: protocol.error(400, protocol.OVER_LIMIT),
        ApiFault.WRONG_SERVICE: protocol.error(403, protocol.FORBIDDEN),
    },
)

"""What every endpoint has in common: JSON, one permission, scopes, problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from django.http import Http404
from django.utils.cache import add_never_cache_headers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from ..exceptions import PagoEfectivoError
from ..models import Payment
from .errors import answer_to
from .parsers import SmallJSONParser
from .permissions import PaymentPermission, permission_class
from .representation import PaymentBody, context_for, with_what_is_shown
from .throttling import PaymentThrottle


class ByContentType(BaseContentNegotiation):
    """Reads a body by its ``Content-Type`` and answers JSON whatever is accepted.

    There is nothing else to choose, and an answer is of more use than a refusal.
    """

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """The parser for the media type, parameters such as the charset aside."""
        sent = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == sent), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        """The only one."""
        (only,) = renderers
        return only, str(only.media_type)


class PaymentsAPIView(APIView):
    """Base of all endpoints. Who is logged in is found out as ``REST_FRAMEWORK`` says."""

    parser_classes = [SmallJSONParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = ByContentType
    #: Method → scope for throttling.
    scopes: ClassVar[dict[str, str]] = {}

    @cached_property
    def permission(self) -> PaymentPermission:
        """The permission in force."""
        return permission_class()()

    def get_permissions(self) -> list[BasePermission]:
        """Only the one that the setting names."""
        return [self.permission]

    def get_throttles(self) -> list[BaseThrottle]:
        """Only the method's scope."""
        return [PaymentThrottle(self.scopes.get(self.request.method or "", "read"))]

    def get_exception_handler(self) -> Callable[[Exception, Mapping[str, Any]], Response | None]:
        """Problems, whatever ``REST_FRAMEWORK`` says for the shop's own endpoints."""
        return self._problem_of

    def _problem_of(self, error: Exception, context: Mapping[str, Any]) -> Response | None:
        response = answer_to(error)
        if response is not None and isinstance(error, PagoEfectivoError):
            response.data["payment"] = self._named(error.payment)
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Kept by nobody on the way: every answer is about money and a person."""
        response = super().finalize_response(request, response, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    def find(self, token: str) -> Payment:
        """The payment, if the one who asks may see it: one statement, found or not.

        Raises ``Http404`` alike for one that is somebody else's and one that never was.
        """
        try:
            wanted = UUID(token)
        except ValueError:
            raise Http404 from None
        visible = self.permission.visible(self.request, Payment.objects.all())
        payment = with_what_is_shown(visible).filter(token=wanted).first()
        if payment is None:
            raise Http404
        return payment

    def body_of(self, payment: Payment) -> dict[str, Any]:
        """The payment as the one who asks may see it."""
        context = context_for(self.request, self.permission)
        return dict(PaymentBody(payment, context=context).data)

    def _named(self, payment: Payment | None) -> dict[str, str] | None:
        """Which payment an error is about, for who may see it."""
        if payment is None:
            return None
        visible = self.permission.visible(self.request, Payment.objects.filter(pk=payment.pk))
        found = visible.values_list("token", "status").first()
        return None if found is None else {"token": str(found[0]), "status": found[1]}

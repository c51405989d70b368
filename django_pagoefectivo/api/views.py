"""The endpoints. None runs in one transaction: a payment is on disk before it is asked for."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from ..conf import get_config
from ..models import Payment
from ..models.choices import Source
from ..rights import staff_of
from ..services import Actor, cancel_payment, extend_payment, sync_payment
from ..services.statistics import statistics
from .base import PaymentsAPIView
from .creation import REPLAYED_HEADER, PaymentCreation
from .figures import StatisticsBody
from .pagination import page_of
from .problems import MEDIA_TYPE
from .queries import ListQuery, StatisticsQuery, filtered, read_query
from .representation import PaymentBody, context_for, with_what_is_shown
from .serializers import EmptySerializer, TermSerializer


class PaymentsView(PaymentsAPIView):
    """All payments that the one who asks may see, and new ones."""

    scopes = {"POST": "create"}

    def get(self, request: Request) -> Response:
        """A page of payments, the newest first."""
        wanted = read_query(ListQuery, request)
        payments = self.permission.visible(request, Payment.objects.all())
        payments = filtered(payments, wanted, request, self.permission)
        size = wanted.get("page_size", get_config().rest_api.page_size)
        page = page_of(with_what_is_shown(payments), request, wanted, size)
        context = context_for(request, self.permission)
        bodies = [PaymentBody(payment, context=context).data for payment in page.payments]
        return Response({"next": page.next, "previous": page.previous, "results": bodies})

    def post(self, request: Request) -> Response:
        """Ask PagoEfectivo for a code."""
        status, body, before = PaymentCreation(self, request).answer()
        headers = {REPLAYED_HEADER: "true"} if before else {}
        if status >= 400:
            return Response(body, status, headers=headers, content_type=MEDIA_TYPE)
        path = reverse("pagoefectivo:api-payment", kwargs={"token": body["token"]})
        headers["Location"] = request.build_absolute_uri(path)
        return Response(body, status, headers=headers)


class PaymentView(PaymentsAPIView):
    """One payment."""

    def get(self, request: Request, token: str) -> Response:
        """The payment as the database has it."""
        return Response(self.body_of(self.find(token)))


class PaymentActView(PaymentsAPIView):
    """Base of what is done to one payment."""

    scopes = {"POST": "act"}

    def post(self, request: Request, token: str) -> Response:
        """Do it, and answer with the payment as it is then."""
        payment = self.find(token)
        if not self.permission.may_act(request, payment):
            raise PermissionDenied(_("You may see this payment, but not act on it."))
        actor = Actor(Source.API)
        if not self.permission.owns(request, payment):
            actor = Actor(Source.STAFF, staff_of(request))
        return Response(self.body_of(self.act(request, payment, actor)))

    def act(self, request: Request, payment: Payment, actor: Actor) -> Payment:
        """What this endpoint does."""
        raise NotImplementedError

    def _nothing_in(self, request: Request) -> None:
        EmptySerializer(data=request.data).is_valid(raise_exception=True)


class PaymentSyncView(PaymentActView):
    """Asking PagoEfectivo how a payment stands."""

    def act(self, request: Request, payment: Payment, actor: Actor) -> Payment:
        """Ask, and apply what it says."""
        self._nothing_in(request)
        return sync_payment(payment)


class PaymentExtendView(PaymentActView):
    """A later deadline."""

    def act(self, request: Request, payment: Payment, actor: Actor) -> Payment:
        """Move the deadline: to ``EXPIRES_IN`` from now, or where staff say."""
        term = TermSerializer(data=request.data)
        term.is_valid(raise_exception=True)
        if term.validated_data and not self.permission.may_set_deadline(request, payment):
            raise PermissionDenied(
                _("You may not name a deadline. Send nothing; the shop's own term counts.")
            )
        return extend_payment(payment, actor=actor, **term.validated_data)


class PaymentCancelView(PaymentActView):
    """A code that shall not be paid any more."""

    def act(self, request: Request, payment: Payment, actor: Actor) -> Payment:
        """Delete the code at PagoEfectivo."""
        self._nothing_in(request)
        return cancel_payment(payment, actor=actor)


class StatisticsView(PaymentsAPIView):
    """The figures of the dashboard."""

    def get(self, request: Request) -> Response:
        """Counts, sums and delays of a period."""
        if not self.permission.sees_statistics(request):
            raise PermissionDenied(_("The figures are for staff who may see all payments."))
        wanted = read_query(StatisticsQuery, request)
        figures = statistics(wanted["period"], merchant=wanted.get("merchant"))
        return Response(StatisticsBody(figures).data)


View = Callable[..., HttpResponseBase]


def _endpoint(view: type[PaymentsAPIView]) -> View:
    """The view as a function, exempt from ATOMIC_REQUESTS."""
    function: View = view.as_view()
    return transaction.non_atomic_requests(function)


payments = _endpoint(PaymentsView)
payment = _endpoint(PaymentView)
payment_sync = _endpoint(PaymentSyncView)
payment_extend = _endpoint(PaymentExtendView)
payment_cancel = _endpoint(PaymentCancelView)
payment_statistics = _endpoint(StatisticsView)

"""The calls to PagoEfectivo and their answers, masked when they were kept."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..models import ApiExchange, Payment
from .base import ReadOnlyAdmin
from .filters import FailingFilter, FirstFilter, LimaDayFilter, MerchantFilter
from .formatting import lima
from .search import payment_lookup


@admin.register(ApiExchange)
class ApiExchangeAdmin(ReadOnlyAdmin[ApiExchange]):
    """Calls to look at."""

    change_form_template = "django_pagoefectivo/admin/row.html"
    list_display = (
        "created",
        "operation",
        "http_status",
        "api_code",
        "milliseconds",
        "payment",
        "error",
        "merchant",
    )
    list_filter = (FirstFilter, FailingFilter, MerchantFilter, LimaDayFilter)
    list_parameters = frozenset(
        {"first", "result", "merchant", "from_day", "to_day", "payment__id__exact"}
    )
    list_select_related = ("payment",)
    sortable_by: ClassVar[tuple[str, ...]] = ("created",)
    search_fields = ("url",)
    search_help = _("The payment's CIP, order reference or transaction code, exactly")
    deferred_in_list = ("request", "response")
    fields = (
        "created",
        "operation",
        "payment",
        "method",
        "url",
        "shown_request",
        "shown_response",
        "http_status",
        "api_code",
        "milliseconds",
        "error",
        "merchant",
    )
    readonly_fields = fields

    def lookup_for(self, term: str, *, email: bool) -> Q:
        """By its payment."""
        return Q(payment__in=Payment.objects.filter(payment_lookup(term, email=email)))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """The newest first, unless the person asks for the slowest or the failing ones."""
        return FirstFilter.ORDERS.get(request.GET.get("first", ""), ())

    @admin.display(description=_("called (Lima)"), ordering="created_at")
    def created(self, exchange: ApiExchange) -> str:
        """When the call was made."""
        return lima(exchange.created_at)

    @admin.display(description=_("request"))
    def shown_request(self, exchange: ApiExchange) -> str:
        """What was sent."""
        return format_html('<pre class="pe-raw">{}</pre>', exchange.request)

    @admin.display(description=_("answer"))
    def shown_response(self, exchange: ApiExchange) -> str:
        """What came back."""
        return format_html('<pre class="pe-raw">{}</pre>', exchange.response)

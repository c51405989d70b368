"""The payments: their list, the page of one of them, and the inbox."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from ..discretion import Discretion
from ..models import Attention, Payment, Status
from ..services import staff
from .acts import Act, ActsAdmin
from .exports import export_payments
from .filters import AttentionFilter, LimaDayFilter, MerchantFilter, ReconciledFilter
from .formatting import NOTHING, badge, label_of, lima, money
from .inbox import Inbox, waiting_count
from .payment_acts import PAYMENT_ACTS
from .payment_bulk import cancel_payments, extend_payments, mark_reconciled, sync_payments
from .payment_page import PaymentPage
from .search import payment_lookup


@admin.register(Payment)
class PaymentAdmin(ActsAdmin[Payment]):
    """Payments to look at, and what staff may do about them."""

    list_display = (
        "created",
        "cip",
        "shown_amount",
        "shown_status",
        "deadline",
        "reconciled",
    )
    list_display_links = ("created",)
    list_filter = (
        "status",
        AttentionFilter,
        MerchantFilter,
        ReconciledFilter,
        LimaDayFilter,
    )
    list_parameters = frozenset(
        {"status__exact", "attention", "merchant", "reconciled", "from_day", "to_day"}
    )
    sortable_by: ClassVar[tuple[str, ...]] = ("created",)
    # Only switches the search box on; ``lookup_for`` does the search.
    search_fields = ("cip",)
    search_help = _("CIP, order reference or transaction code, exactly")
    search_help_personal = _("CIP, order reference, transaction code or e-mail, exactly")
    deferred_in_list = ("metadata", "description", "failure_message", "attention_note")
    actions = (
        sync_payments,
        extend_payments,
        cancel_payments,
        mark_reconciled,
        export_payments,
    )
    acts = PAYMENT_ACTS

    def lookup_for(self, term: str, *, email: bool) -> Q:
        """By CIP, order reference, transaction code and, if so, e-mail."""
        return payment_lookup(term, email=email)

    def get_list_display(self, request: HttpRequest) -> Any:
        """The columns, the customer's address as far as the person may see it."""
        discretion = Discretion.of(request)
        kept = self.get_preserved_filters(request)
        query = f"?{kept}" if kept else ""

        # Django resolves the address of each link of its own to see where it leads.
        @admin.display(description=_("order reference"))
        def order(payment: Payment) -> SafeString:
            return format_html(
                '<a href="{}/change/{}">{}</a>', payment.pk, query, payment.order_reference
            )

        @admin.display(description=_("e-mail"))
        def email(payment: Payment) -> str:
            return discretion.email(payment.customer_email)

        created, *others = self.list_display
        return (created, order, *others, email)

    # -- columns ---------------------------------------------------------------------------

    @admin.display(description=_("created (Lima)"), ordering="created_at")
    def created(self, payment: Payment) -> str:
        """When it was made."""
        return lima(payment.created_at)

    @admin.display(description=_("amount"))
    def shown_amount(self, payment: Payment) -> str:
        """Amount and currency."""
        return money(payment.amount, payment.currency)

    @admin.display(description=_("status"))
    def shown_status(self, payment: Payment) -> str:
        """The status as a badge, and under it what waits for a person."""
        status = badge(payment.status, label_of(Status, payment.status))
        if not payment.attention:
            return status
        waits = badge(payment.attention, label_of(Attention, payment.attention), "attention")
        return format_html("{}<br>{}", status, waits)

    @admin.display(description=_("deadline (Lima)"))
    def deadline(self, payment: Payment) -> str:
        """Until when it can be paid."""
        return lima(payment.expires_at)

    @admin.display(description=_("reconciled"), boolean=True)
    def reconciled(self, payment: Payment) -> bool:
        """Whether staff found it to agree with the settlement."""
        return payment.reconciled_at is not None

    # -- pages -----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Django's, the acts' and the inbox."""
        return [
            path(
                "inbox/",
                self.admin_site.admin_view(self.inbox_view),
                name="pagoefectivo_payment_inbox",
            ),
            *super().get_urls(),
        ]

    def get_model_perms(self, request: HttpRequest) -> dict[str, Any]:
        """Django's, and for the app's index how much waits: counted only if it is shown."""
        perms: dict[str, Any] = dict(super().get_model_perms(request))
        if perms["view"]:
            perms["inbox"] = SimpleLazyObject(waiting_count)
        return perms

    def inbox_view(self, request: HttpRequest) -> HttpResponse:
        """Everything that waits for a person."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("Needs attention"),
            "opts": self.opts,
            "inbox": Inbox(request, self.admin_site),
        }
        return TemplateResponse(request, "django_pagoefectivo/admin/inbox.html", context)

    @method_decorator(require_safe)
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one payment. It takes no POST: acts have URLs of their own."""
        rows = self.get_queryset(request).select_related("user", "reconciled_by")
        payment = self.one_of(request, rows, object_id)
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": str(payment),
            "opts": self.opts,
            "object": payment,
            "original": payment,
            "page": PaymentPage(request, self, payment),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "django_pagoefectivo/admin/payment.html", context)

    def facts_for_act(
        self, request: HttpRequest, obj: Payment, act: Act[Any]
    ) -> list[tuple[Any, object]]:
        """The payment in a few words, and what waits on it."""
        text = Discretion.of(request).text
        facts: list[tuple[Any, object]] = [
            (_("Status"), badge(obj.status, obj.get_status_display())),
            (_("Order"), obj.order_reference),
            (_("CIP"), obj.cip or obj.transaction_code),
            (_("Amount"), money(obj.amount, obj.currency)),
            (_("Deadline (Lima)"), lima(obj.expires_at)),
        ]
        if obj.attention:
            reason = capfirst(obj.get_attention_display())
            facts.append((reason, text(obj.attention_note, obj)))
        if act.name == "accept-amount" and (event := staff.mismatch_of(obj)) is not None:
            said = {
                "amount": money(event.amount, event.currency),
                "operation": event.operation_number or NOTHING,
            }
            facts.append((_("To be accepted"), _("%(amount)s, operation %(operation)s") % said))
        return facts

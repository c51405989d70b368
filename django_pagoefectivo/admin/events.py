"""The notifications: as they came, what they did, and those that fit no payment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..discretion import Discretion
from ..models import Outcome, Payment, Status, WebhookEvent
from ..services import staff
from ..services.keys import described_key
from .acts import Act, ActsAdmin
from .exports import export_events
from .filters import MerchantFilter, ReceivedDayFilter, merchant_names
from .formatting import NOTHING, badge, label_of, lima, money
from .forms import LinkForm, NoteForm
from .search import cip_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_CANDIDATES = 10


def _is_unmatched(event: WebhookEvent) -> bool:
    return event.outcome == Outcome.UNMATCHED


def _link(event: WebhookEvent, user: User, data: Mapping[str, Any]) -> str:
    payment = staff.link_event(event, data["payment"], user=user, note=data["note"])
    return gettext("Linked to %(payment)s, which is: %(status)s.") % {
        "payment": payment,
        "status": payment.get_attention_display() or payment.get_status_display(),
    }


def _dismiss(event: WebhookEvent, user: User, data: Mapping[str, Any]) -> str:
    staff.dismiss_event(event, user=user, note=data["note"])
    return gettext("Marked as dealt with.")


@admin.register(WebhookEvent)
class WebhookEventAdmin(ActsAdmin[WebhookEvent]):
    """Notifications to look at; those that fit no payment can be linked to one."""

    change_form_template = "django_pagoefectivo/admin/row.html"
    list_display = (
        "received",
        "event_type",
        "cip",
        "shown_amount",
        "operation_number",
        "shown_outcome",
        "times_received",
        "merchant",
    )
    list_filter = ("outcome", MerchantFilter, ReceivedDayFilter)
    list_parameters = frozenset(
        {"outcome__exact", "merchant", "from_day", "to_day", "payment__id__exact"}
    )
    sortable_by: ClassVar[tuple[str, ...]] = ("received",)
    search_fields = ("cip",)
    search_help = _("CIP or transaction code, exactly")
    deferred_in_list = ("body", "error")
    actions = (export_events,)
    acts = (
        Act(
            "link",
            _("Link to a payment"),
            _("Which payment does it belong to? It is applied to it as if it had named it."),
            run=_link,
            offered=_is_unmatched,
            form=LinkForm,
        ),
        Act(
            "dismiss",
            _("Mark as dealt with"),
            _("Say what was done about it."),
            run=_dismiss,
            offered=_is_unmatched,
            form=NoteForm,
        ),
    )

    def lookup_for(self, term: str, *, email: bool) -> Q:
        """By CIP or transaction code."""
        # The CIP's index begins with the merchant.
        return Q(merchant__in=merchant_names(), cip=cip_of(term)) | Q(transaction_code=term)

    def get_fields(self, request: HttpRequest, obj: WebhookEvent | None = None) -> Any:
        """All of it; the body and the texts as far as the person may see them."""
        discretion = Discretion.of(request)

        @admin.display(description=_("body"))
        def body(event: WebhookEvent) -> str:
            text = discretion.body(bytes(event.body), event.payment)
            return format_html('<pre class="pe-raw">{}</pre>', text)

        @admin.display(description=_("explanation"))
        def explanation(event: WebhookEvent) -> str:
            return discretion.text(event.error, event.payment) or NOTHING

        return (
            "shown_outcome",
            explanation,
            "payment",
            "event_type",
            "cip",
            "transaction_code",
            "remote_id",
            "operation_number",
            "shown_amount",
            "paid",
            "effect",
            body,
            "signature",
            "signed_by",
            "address",
            "merchant",
            "received",
            "times_received",
            "last_received",
        )

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookEvent | None = None) -> Any:
        """All of them."""
        return self.get_fields(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        """With the payment on the page of one."""
        rows = super().get_queryset(request)
        return rows if rows.query.deferred_loading[0] else rows.select_related("payment")

    @admin.display(description=_("signed with key"))
    def signed_by(self, event: WebhookEvent) -> str:
        """Which of the merchant's keys signed it: its place in the settings and its label."""
        return described_key(event.merchant, event.signed_with) or NOTHING

    @admin.display(description=_("received (Lima)"), ordering="received_at")
    def received(self, event: WebhookEvent) -> str:
        """When it came first."""
        return lima(event.received_at)

    @admin.display(description=_("last received (Lima)"))
    def last_received(self, event: WebhookEvent) -> str:
        """When it came last."""
        return lima(event.last_received_at)

    @admin.display(description=_("paid on (Lima)"))
    def paid(self, event: WebhookEvent) -> str:
        """When it says the payment was made."""
        return lima(event.paid_at)

    @admin.display(description=_("amount"))
    def shown_amount(self, event: WebhookEvent) -> str:
        """Amount and currency."""
        return money(event.amount, event.currency)

    @admin.display(description=_("outcome"))
    def shown_outcome(self, event: WebhookEvent) -> str:
        """The outcome as a badge."""
        return badge(event.outcome, label_of(Outcome, event.outcome), "outcome")

    @admin.display(description=_("effect"))
    def effect(self, event: WebhookEvent) -> str:
        """What it did to the payment."""
        moved = (
            f"{event.get_from_status_display()} → {event.get_to_status_display()}"
            if event.to_status
            else ""
        )
        return ", ".join(part for part in (moved, event.get_flag_display()) if part) or NOTHING

    def facts_for_act(
        self, request: HttpRequest, obj: WebhookEvent, act: Act[Any]
    ) -> list[tuple[Any, object]]:
        """The notification in a few words."""
        return [
            (_("Notification"), obj.event_type),
            (_("CIP"), obj.cip),
            (_("Transaction code"), obj.transaction_code),
            (_("Amount"), money(obj.amount, obj.currency)),
            (_("Operation number"), obj.operation_number),
            (_("Received (Lima)"), lima(obj.received_at)),
        ]

    def candidates_for_act(
        self, request: HttpRequest, obj: WebhookEvent, act: Act[Any]
    ) -> list[dict[str, object]]:
        """Payments over that amount whose code never arrived: most likely one of them."""
        if act.name != "link" or obj.amount is None:
            return []
        likely = Payment.objects.filter(
            merchant=obj.merchant,
            status=Status.CREATED,
            amount=obj.amount,
            currency=obj.currency,
        )
        return [
            {
                "value": payment.transaction_code,
                "label": payment.order_reference,
                "detail": f"{money(payment.amount, payment.currency)} · "
                f"{lima(payment.created_at)} · {payment.get_status_display()}",
            }
            for payment in likely.order_by("-created_at")[:_CANDIDATES]
        ]

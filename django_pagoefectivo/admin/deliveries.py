"""The deliveries: which receiver was told what, and which one fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..discretion import Discretion
from ..exceptions import InvalidTransition
from ..models import DeliveryState, Payment, SignalDelivery
from ..services import staff
from .acts import Act, ActsAdmin
from .filters import TroubleFilter
from .formatting import NOTHING, badge, label_of, lima
from .search import payment_lookup

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class StillFailing(InvalidTransition):
    """The receiver raised again; the message has its error."""


def _retry(delivery: SignalDelivery, user: User, data: Mapping[str, Any]) -> str:
    if not staff.retry(delivery, user=user):
        # Empty where another process told the receiver once this one's lease was over.
        error = delivery.last_error.partition("\n")[0]
        raise StillFailing(
            gettext("%(receiver)s failed again: %(error)s")
            % {"receiver": delivery.receiver, "error": error}
        )
    return gettext("%s was told.") % delivery.receiver


@admin.register(SignalDelivery)
class SignalDeliveryAdmin(ActsAdmin[SignalDelivery]):
    """Deliveries to look at; those that fail can be tried again at once."""

    change_form_template = "django_pagoefectivo/admin/row.html"
    list_display = (
        "created",
        "shown_state",
        "signal",
        "receiver",
        "payment",
        "attempts",
        "due",
    )
    list_filter = ("state", TroubleFilter)
    list_parameters = frozenset({"state__exact", "trouble", "payment__id__exact"})
    list_select_related = ("payment",)
    search_fields = ("receiver",)
    search_help = _("The payment's CIP, order reference or transaction code, exactly")
    deferred_in_list = ("extra",)
    acts = (
        Act(
            "retry",
            _("Call the receiver now"),
            _("Call the receiver again now?"),
            run=_retry,
            offered=lambda delivery: delivery.state == DeliveryState.PENDING,
        ),
    )

    def lookup_for(self, term: str, *, email: bool) -> Q:
        """By its payment."""
        return Q(payment__in=Payment.objects.filter(payment_lookup(term, email=email)))

    def get_fields(self, request: HttpRequest, obj: SignalDelivery | None = None) -> Any:
        """All of it; the error as far as the person may see it."""
        discretion = Discretion.of(request)

        @admin.display(description=_("last error"))
        def last_error(delivery: SignalDelivery) -> str:
            text = discretion.text(delivery.last_error, delivery.payment)
            return format_html('<pre class="pe-raw">{}</pre>', text) if text else NOTHING

        return (
            "shown_state",
            "signal",
            "receiver",
            "payment",
            "event",
            "source",
            "attempts",
            last_error,
            "due",
            "created",
            "finished",
        )

    def get_readonly_fields(self, request: HttpRequest, obj: SignalDelivery | None = None) -> Any:
        """All of them."""
        return self.get_fields(request, obj)

    @admin.display(description=_("created (Lima)"))
    def created(self, delivery: SignalDelivery) -> str:
        """Since when it is owed."""
        return lima(delivery.created_at)

    @admin.display(description=_("next try (Lima)"))
    def due(self, delivery: SignalDelivery) -> str:
        """When it is tried next."""
        return lima(delivery.due_at) if delivery.state == DeliveryState.PENDING else NOTHING

    @admin.display(description=_("finished (Lima)"))
    def finished(self, delivery: SignalDelivery) -> str:
        """When the receiver was told."""
        return lima(delivery.finished_at)

    @admin.display(description=_("state"))
    def shown_state(self, delivery: SignalDelivery) -> str:
        """The state as a badge: failing is not the same as pending."""
        if delivery.state == DeliveryState.PENDING and delivery.last_error:
            return badge("failing", _("failing"), "delivery")
        return badge(delivery.state, label_of(DeliveryState, delivery.state), "delivery")

    def facts_for_act(
        self, request: HttpRequest, obj: SignalDelivery, act: Act[Any]
    ) -> list[tuple[Any, object]]:
        """The delivery in a few words."""
        error = Discretion.of(request).text(obj.last_error, obj.payment)
        return [
            (_("Signal"), obj.signal),
            (_("Receiver"), obj.receiver),
            (_("Payment"), obj.payment),
            (_("Last error"), error),
        ]

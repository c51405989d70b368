"""The inbox: everything that waits for a person, by reason, the oldest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..discretion import Discretion
from ..models import Attention, DeliveryState, Outcome, Payment, SignalDelivery, WebhookEvent
from .acts import ActsAdmin, OfferedAct
from .base import link_to
from .formatting import lima, money
from .paging import bounded_count

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.utils.functional import _StrOrPromise

#: Rows shown of each group; when they are dealt with the next come up.
SHOWN = 25
MOST = 1000

_ADVICE: dict[str, _StrOrPromise] = {
    Attention.AMOUNT_MISMATCH: _(
        "Another amount came than was asked for; the order is not confirmed."
    ),
    Attention.CURRENCY_MISMATCH: _(
        "The amount came in another currency; the order is not confirmed."
    ),
    Attention.LATE_PAYMENT: _(
        "Paid after the shop had given it up. Is the order still to be delivered?"
    ),
    Attention.DUPLICATE_PAYMENT: _("The order was paid more than once. Give the rest back."),
    Attention.OUTCOME_UNKNOWN: _(
        "Nobody knows whether PagoEfectivo made a code. Look the transaction code up in its panel."
    ),
    Attention.STATUS_CONFLICT: _("What PagoEfectivo says does not fit what is known here."),
}
_MOST_ACTS = 2
#: What settles each reason; the first ones that make sense and that the person may do.
_ACTS: dict[str, tuple[str, ...]] = {
    Attention.AMOUNT_MISMATCH: ("accept-amount", "settle"),
    Attention.CURRENCY_MISMATCH: ("confirm", "settle"),
    Attention.LATE_PAYMENT: ("settle",),
    Attention.DUPLICATE_PAYMENT: ("settle",),
    Attention.OUTCOME_UNKNOWN: ("give-up", "confirm", "settle"),
    Attention.STATUS_CONFLICT: ("sync", "settle"),
}


def waiting_events() -> QuerySet[WebhookEvent]:
    """The notifications that nobody knows a payment for."""
    return WebhookEvent.objects.filter(outcome=Outcome.UNMATCHED)


def failing_deliveries() -> QuerySet[SignalDelivery]:
    """The deliveries whose receiver raised and that are still owed."""
    return SignalDelivery.objects.filter(state=DeliveryState.PENDING).exclude(last_error="")


def waiting_count() -> str:
    """How much waits, as text: ``1000+`` where counting on would cost."""
    total = sum(
        bounded_count(rows, MOST)
        for rows in (
            Payment.objects.filter(attention__in=Attention.values),
            waiting_events(),
            failing_deliveries(),
        )
    )
    return _count(total)


def _count(number: int) -> str:
    return f"{MOST}+" if number > MOST else str(number)


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One thing that waits."""

    title: str
    url: str
    since: str
    facts: str
    note: str
    acts: list[OfferedAct]


@dataclass(frozen=True, slots=True)
class InboxGroup:
    """What waits for one reason."""

    name: str
    title: _StrOrPromise
    advice: _StrOrPromise
    items: list[InboxItem]
    count: str

    @property
    def has_more(self) -> bool:
        """Whether not all of it is shown."""
        return str(len(self.items)) != self.count


class Inbox:
    """The inbox as the person at the screen may see it."""

    def __init__(self, request: HttpRequest, site: AdminSite) -> None:
        self._request = request
        self._site = site
        self._discretion = Discretion.of(request)

    @cached_property
    def groups(self) -> list[InboxGroup]:
        """The groups that have something, each with its oldest rows."""
        made = [self._payments(reason) for reason in Attention]
        if self._sees(WebhookEvent):
            made.append(self._events())
        if self._sees(SignalDelivery):
            made.append(self._deliveries())
        return [group for group in made if group is not None]

    def _sees(self, model: type[Model]) -> bool:
        if not self._site.is_registered(model):
            return False
        return self._site.get_model_admin(model).has_view_permission(self._request)

    def _acts(self, obj: Model, names: tuple[str, ...]) -> list[OfferedAct]:
        admin: Any = self._site.get_model_admin(type(obj))
        if not isinstance(admin, ActsAdmin):
            return []
        return admin.offered_acts(self._request, obj, names)[:_MOST_ACTS]

    def _group(
        self,
        name: str,
        titles: tuple[_StrOrPromise, _StrOrPromise],
        rows: QuerySet[Any],
        order: tuple[str, ...],
        item: Callable[[Any], InboxItem],
    ) -> InboxGroup | None:
        # Both always: what the page costs shall not depend on how much waits.
        count = bounded_count(rows, MOST)
        found = list(rows.order_by(*order)[:SHOWN])
        if not found:
            return None
        # Something may have been dealt with between the two.
        count = max(count, len(found))
        return InboxGroup(name, *titles, items=[item(row) for row in found], count=_count(count))

    def _payments(self, reason: Attention) -> InboxGroup | None:
        def item(payment: Payment) -> InboxItem:
            status = payment.get_status_display()
            return InboxItem(
                title=str(payment),
                url=link_to(self._site, self._request, payment),
                since=gettext("created %s (Lima)") % lima(payment.created_at),
                facts=f"{money(payment.amount, payment.currency)} · {status}",
                note=self._discretion.text(payment.attention_note, payment),
                acts=self._acts(payment, _ACTS[reason]),
            )

        rows = Payment.objects.filter(attention=reason)
        titles = (reason.label, _ADVICE[reason])
        return self._group(reason, titles, rows, ("created_at", "pk"), item)

    def _events(self) -> InboxGroup | None:
        def item(event: WebhookEvent) -> InboxItem:
            return InboxItem(
                title=str(event),
                url=link_to(self._site, self._request, event),
                since=gettext("received %s (Lima)") % lima(event.received_at),
                facts=f"{money(event.amount, event.currency)} · {event.merchant}",
                note=self._discretion.text(event.error, None),
                acts=self._acts(event, ("link", "dismiss")),
            )

        titles = (
            _("Paid, but for what?"),
            _("Notifications that fit no payment here. Find the order they belong to."),
        )
        rows = waiting_events().defer("body")
        return self._group("unmatched", titles, rows, ("received_at", "pk"), item)

    def _deliveries(self) -> InboxGroup | None:
        def item(delivery: SignalDelivery) -> InboxItem:
            return InboxItem(
                title=str(delivery),
                url=link_to(self._site, self._request, delivery),
                since=gettext("owed since %s (Lima)") % lima(delivery.created_at),
                facts=gettext("%(payment)s · %(tries)d tries")
                % {"payment": delivery.payment, "tries": delivery.attempts},
                note=self._discretion.text(delivery.last_error, delivery.payment),
                acts=self._acts(delivery, ("retry",)),
            )

        titles = (
            _("The shop's own code fails"),
            _("A receiver raised an error. It is called again by itself, ever less often."),
        )
        rows = failing_deliveries().select_related("payment")
        return self._group("failing", titles, rows, ("due_at", "pk"), item)

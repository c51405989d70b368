"""What the page of one payment shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _

from ..conf import is_web_url
from ..discretion import Discretion
from ..models import Payment, SignalDelivery
from .acts import ActsAdmin, OfferedAct
from .base import link_to, page_of
from .formatting import NOTHING, badge, lima, money
from .timeline import Item, timeline_of

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

_OTHERS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A name, its value and, where there is one, a link."""

    name: _StrOrPromise
    value: object
    url: str = ""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """An item of the timeline with its link and what can be done about it."""

    item: Item
    url: str
    acts: list[OfferedAct]


class PaymentPage:
    """The page of ``payment`` as the person at the screen may see it."""

    def __init__(self, request: HttpRequest, admin: ActsAdmin[Payment], payment: Payment) -> None:
        self._request = request
        self._admin = admin
        self._discretion = Discretion.of(request)
        self.payment = payment
        self.acts = admin.offered_acts(request, payment)

    def _text(self, text: str) -> str:
        return self._discretion.text(text, self.payment)

    @property
    def status(self) -> str:
        """The status as a badge."""
        return badge(self.payment.status, self.payment.get_status_display())

    @property
    def attention_note(self) -> str:
        """Why it waits for a person."""
        return self._text(self.payment.attention_note)

    @property
    def summary(self) -> list[Row]:
        """What matters, for the top."""
        payment = self.payment
        rows = [
            Row(_("Amount"), money(payment.amount, payment.currency)),
            Row("CIP", payment.cip or _("none yet"), self._hosted_page()),
            Row(_("Order"), payment.order_reference, self._order_url()),
            Row(_("Deadline (Lima)"), self._deadline()),
        ]
        if payment.is_being_checked:
            rows.append(
                Row(
                    _("Being checked"),
                    _("A notification says it is paid; PagoEfectivo is asked since %s (Lima)")
                    % lima(payment.checking_since),
                )
            )
        if payment.paid_at is not None:
            rows.append(Row(_("Paid on (Lima)"), lima(payment.paid_at)))
        if payment.paid_amount is not None and payment.paid_amount != payment.amount:
            rows.append(Row(_("Amount paid"), money(payment.paid_amount, payment.currency)))
        if payment.operation_number:
            rows.append(Row(_("Operation number"), payment.operation_number))
        if payment.failure_message:
            rows.append(Row(_("Failure"), self._text(payment.failure_message)))
        if payment.reconciled_at is not None:
            rows.append(Row(_("Reconciled"), self._reconciled()))
        return rows

    @property
    def details(self) -> list[Row]:
        """The rest, the customer first."""
        payment, shown = self.payment, self._discretion
        phone = shown.number(payment.customer_phone)
        rows = [
            Row(_("E-mail"), shown.email(payment.customer_email)),
            Row(_("First name"), shown.name(payment.customer_first_name)),
            Row(_("Last name"), shown.name(payment.customer_last_name)),
            Row(
                _("Document"),
                f"{payment.customer_document_type} "
                f"{shown.number(payment.customer_document_number)}".strip(),
            ),
            Row(_("Phone"), f"{payment.customer_phone_country_code} {phone}".strip()),
            Row(_("Country"), payment.customer_country),
            Row(_("Ubigeo"), shown.number(payment.customer_ubigeo)),
            Row(_("Customer id"), shown.number(payment.customer_id_in_shop)),
            Row(_("Account"), self._account(), self._account_url()),
            Row(_("Merchant"), payment.merchant),
            Row(_("Transaction code"), payment.transaction_code),
            Row(_("PagoEfectivo id"), payment.remote_id),
            Row(_("Description"), self._text(payment.description)),
            Row(_("Metadata"), shown.metadata(payment)),
            Row(_("Payment page"), payment.get_absolute_url(), payment.get_absolute_url()),
            Row(_("Created (Lima)"), lima(payment.created_at)),
            Row(_("Next status query (Lima)"), lima(payment.next_poll_at)),
        ]
        return [row for row in rows if row.value not in ("", NOTHING)]

    @cached_property
    def others(self) -> list[tuple[Payment, str, str]]:
        """The order's other payments: each with its link and status."""
        same = Payment.objects.filter(order_key=self.payment.order_key).exclude(pk=self.payment.pk)
        return [
            (
                other,
                self._admin.object_url(other),
                badge(other.status, other.get_status_display()),
            )
            for other in same.order_by("-pk")[:_OTHERS]
        ]

    @cached_property
    def _timeline(self) -> tuple[list[Item], bool]:
        return timeline_of(self.payment, self._text)

    @property
    def timeline(self) -> list[TimelineRow]:
        """Everything that happened, the newest first."""
        return [self._timeline_row(item) for item in self._timeline[0]]

    @property
    def is_cut(self) -> bool:
        """Whether older things are left out of the timeline."""
        return self._timeline[1]

    def _timeline_row(self, item: Item) -> TimelineRow:
        site, source = self._admin.admin_site, item.source
        if source is None:
            return TimelineRow(item, "", [])
        url = link_to(site, self._request, source)
        acts: list[OfferedAct] = []
        if url and isinstance(source, SignalDelivery):
            deliveries: Any = site.get_model_admin(SignalDelivery)
            if isinstance(deliveries, ActsAdmin):
                acts = deliveries.offered_acts(self._request, source)
        return TimelineRow(item, url, acts)

    def _hosted_page(self) -> str:
        # What PagoEfectivo answered is a link only if it is one that a browser just opens.
        return self.payment.cip_url if is_web_url(self.payment.cip_url) else ""

    def _deadline(self) -> str:
        payment = self.payment
        text = lima(payment.expires_at)
        if not payment.is_open:
            return text
        if payment.expires_at <= timezone.now():
            return _("%s, over") % text
        return _("%(when)s, %(left)s left") % {
            "when": text,
            "left": timeuntil(payment.expires_at, depth=1),
        }

    def _reconciled(self) -> str:
        payment = self.payment
        by = payment.reconciled_by
        name = self._discretion.text(by.get_username(), None) if by else _("somebody")
        return _("%(when)s by %(name)s") % {"when": lima(payment.reconciled_at), "name": name}

    def _order_url(self) -> str:
        """The order's own page in this admin, if it has one and the person may see it."""
        content_type = self.payment.order_content_type
        model = content_type.model_class() if content_type else None
        if model is None:
            return ""
        site = self._admin.admin_site
        return page_of(site, self._request, model, self.payment.order_object_id)

    def _account(self) -> str:
        user = self.payment.user
        return self._discretion.email(user.get_username()) if user else ""

    def _account_url(self) -> str:
        user = self.payment.user
        return link_to(self._admin.admin_site, self._request, user) if user else ""

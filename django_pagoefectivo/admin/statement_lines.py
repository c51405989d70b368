"""One line of a statement, and what staff can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..discretion import Discretion
from ..models import LineState, Payment, StatementLine
from ..rights import may
from ..services import statement_acts
from ..services.statement_matching import OPEN_STATES, WAS_PAID
from .acts import Act, ActsAdmin, OfferedAct
from .formatting import NOTHING, badge, lima, money
from .forms import LinkForm, NoteForm
from .statement_paging import Place

if TYPE_CHECKING:
    from django.contrib.auth.models import User

VIEW = "pagoefectivo.view_statement"
_CANDIDATES = 10
#: A code is seldom paid later than this after it was made.
_OLDEST = timedelta(days=30)
Data = Mapping[str, Any]


class LinkLineForm(LinkForm):
    """The payment a line is about; ``seen`` is the one that the person saw there."""

    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, target: StatementLine, *args: Any, **kwargs: Any) -> None:
        super().__init__(target.statement, *args, **kwargs)
        self.fields["seen"].initial = target.payment_id


def _state(line: StatementLine) -> str:
    return str(LineState(line.state).label)


def _ask(line: StatementLine, user: User, data: Data) -> str:
    statement_acts.ask_again(line, user=user)
    return gettext("PagoEfectivo was asked; line %(number)d is now: %(state)s.") % {
        "number": line.number,
        "state": _state(line),
    }


def _link(line: StatementLine, user: User, data: Data) -> str:
    payment = data["payment"]
    statement_acts.link(line, payment, user=user, seen=data["seen"], note=data["note"])
    return gettext("Line %(number)d is linked to %(payment)s, and is now: %(state)s.") % {
        "number": line.number,
        "payment": payment,
        "state": _state(line),
    }


def _discard(line: StatementLine, user: User, data: Data) -> str:
    statement_acts.discard(line, user=user, comment=data["note"])
    return gettext("Line %d is put aside.") % line.number


def is_waiting(line: StatementLine) -> bool:
    """Whether somebody still has to look into ``line``."""
    agrees = line.state == LineState.REFUNDED and not line.problem
    return line.state in OPEN_STATES and line.settled_at is None and not agrees


LINE_ACTS: tuple[Act[StatementLine], ...] = (
    Act(
        "ask",
        _("Ask PagoEfectivo and compare again"),
        _("Ask PagoEfectivo how this payment stands, and compare it with the line again?"),
        run=_ask,
        offered=lambda line: (
            is_waiting(line) and line.payment is not None and line.state != LineState.PAID_TWICE
        ),
    ),
    Act(
        "link",
        _("Link to a payment"),
        _("Which payment is this line about?"),
        run=_link,
        offered=lambda line: is_waiting(line) and line.state != LineState.UNREADABLE,
        form=LinkLineForm,
    ),
    Act(
        "discard",
        _("Put aside"),
        _("Say why nothing more has to be done about this line."),
        run=_discard,
        offered=is_waiting,
        form=NoteForm,
    ),
)


@admin.register(StatementLine)
class StatementLineAdmin(ActsAdmin[StatementLine]):
    """The lines of statements, reached from their statement's page."""

    change_form_template = "django_pagoefectivo/admin/statement_line.html"
    acts = LINE_ACTS
    fields = (
        "statement",
        "number",
        "shown_state",
        "shown_problem",
        "payment",
        "cip",
        "transaction_code",
        "operation_number",
        "shown_amount",
        "shown_commission",
        "shown_net",
        "paid_on",
        "is_refund",
        "settled",
    )
    readonly_fields = fields

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever sees statements sees their lines."""
        return may(request, VIEW)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Never on its own: lines are looked at in their statement."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatementLine]:
        """With what the page and its acts show."""
        return super().get_queryset(request).select_related("statement", "payment", "settled_by")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """There is no list of all statements' lines; the statements are listed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        name = "admin:pagoefectivo_statement_changelist"
        return HttpResponseRedirect(reverse(name, current_app=self.admin_site.name))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """The page of one line, under a name that people know it by."""
        context["subtitle"] = line_name(obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def acts_at(self, request: HttpRequest, line: StatementLine, place: Place) -> list[OfferedAct]:
        """What this person can do with ``line``, coming back to ``place`` afterwards."""
        return [
            OfferedAct(offered.act, f"{offered.url}?{place.query}")
            for offered in self.offered_acts(request, line)
        ]

    def _back_url(self, request: HttpRequest, obj: Model) -> str:
        if not isinstance(obj, StatementLine) or "tab" not in request.GET:
            return super()._back_url(request, obj)
        name = "admin:pagoefectivo_statement_change"
        page = reverse(name, args=[obj.statement_id], current_app=self.admin_site.name)
        return f"{page}?{Place.of(request).query}"

    @admin.display(description=_("state"))
    def shown_state(self, line: StatementLine) -> str:
        """The state as a badge."""
        return badge(line.state, LineState(line.state).label, "line")

    @admin.display(description=_("problem"))
    def shown_problem(self, line: StatementLine) -> str:
        """What is wrong."""
        # Masked for everybody: the cells it quotes may hold anything.
        return Discretion(whole=False).text(line.problem, line.payment) or NOTHING

    @admin.display(description=_("amount"))
    def shown_amount(self, line: StatementLine) -> str:
        """Amount and currency."""
        return money(line.amount, line.currency)

    @admin.display(description=_("commission"))
    def shown_commission(self, line: StatementLine) -> str:
        """What PagoEfectivo keeps."""
        return money(line.commission, line.currency)

    @admin.display(description=_("net"))
    def shown_net(self, line: StatementLine) -> str:
        """What the shop gets."""
        return money(line.net, line.currency)

    @admin.display(description=_("paid on (Lima)"))
    def paid_on(self, line: StatementLine) -> str:
        """When it says the payment was made."""
        return lima(line.paid_at)

    @admin.display(description=_("put aside"))
    def settled(self, line: StatementLine) -> str:
        """Who put it aside, when and why."""
        return settled_text(line, Discretion(whole=False)) or NOTHING

    def facts_for_act(
        self, request: HttpRequest, obj: StatementLine, act: Act[Any]
    ) -> list[tuple[Any, object]]:
        """The line and its payment in a few words."""
        discretion = Discretion.of(request)
        facts: list[tuple[Any, object]] = [
            (_("Statement"), line_name(obj)),
            (_("State"), badge(obj.state, LineState(obj.state).label, "line")),
            (_("Problem"), discretion.text(obj.problem, obj.payment)),
            ("CIP", obj.cip),
            (_("Transaction code"), obj.transaction_code),
            (_("Operation number"), obj.operation_number),
            (_("Amount"), money(obj.amount, obj.currency)),
            (_("Paid on (Lima)"), lima(obj.paid_at)),
        ]
        if obj.payment is not None:
            facts.append((_("Payment"), str(obj.payment)))
            facts.append((_("It is here"), obj.payment.get_status_display()))
        return facts

    def candidates_for_act(
        self, request: HttpRequest, obj: StatementLine, act: Act[Any]
    ) -> list[dict[str, object]]:
        """Paid payments over that amount, of those days, that no statement has settled."""
        if act.name != "link" or obj.payment_id or obj.amount is None or obj.paid_at is None:
            return []
        likely = Payment.objects.filter(
            merchant=obj.statement.merchant,
            status__in=WAS_PAID,
            amount=obj.amount,
            created_at__gte=obj.paid_at - _OLDEST,
            created_at__lt=obj.paid_at + timedelta(days=1),
            statement_lines__isnull=True,
        )
        if obj.currency:
            likely = likely.filter(currency=obj.currency)
        return [
            {
                "value": payment.transaction_code,
                "label": payment.order_reference,
                "detail": f"{money(payment.paid_amount, payment.currency)} · "
                f"{lima(payment.paid_at)} (Lima)",
            }
            for payment in likely.order_by("-created_at")[:_CANDIDATES]
        ]


def line_name(line: StatementLine) -> str:
    """The file and the line's number in it."""
    return gettext("%(file)s, line %(number)d") % {
        "file": line.statement.file_name,
        "number": line.number,
    }


def settled_text(line: StatementLine, discretion: Discretion) -> str:
    """Who put ``line`` aside, when and why; ``""`` if nobody did."""
    if line.settled_at is None:
        return ""
    by = line.settled_by.get_username() if line.settled_by else gettext("somebody")
    return discretion.text(
        gettext("%(name)s on %(when)s (Lima): %(comment)s")
        % {"name": by, "when": lima(line.settled_at), "comment": line.comment},
        line.payment,
    )

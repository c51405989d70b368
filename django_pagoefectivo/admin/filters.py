"""Filters of the lists. None of them asks the database for its choices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import get_config
from ..gateways.wire import LIMA
from ..models import Attention
from ..services.selection import ANY, between_days, by_attention, by_reconciled

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList
    from django.utils.functional import _StrOrPromise


def merchant_names() -> tuple[str, ...]:
    """The configured merchants; none where the setting is broken, which a check tells."""
    try:
        return get_config().merchant_names
    except ImproperlyConfigured:
        return ()


class MerchantFilter(admin.SimpleListFilter):
    """By merchant, as configured."""

    title = _("merchant")
    parameter_name = "merchant"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """One choice for each configured merchant."""
        return [(name, name) for name in merchant_names()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen merchant."""
        return queryset.filter(merchant=self.value()) if self.value() else queryset


class AttentionFilter(admin.SimpleListFilter):
    """By what waits for a person."""

    title = _("attention")
    parameter_name = "attention"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, _StrOrPromise]]:
        """Any reason, then each of them."""
        return [(ANY, _("needs attention")), *Attention.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that wait for the chosen reason."""
        value = self.value()
        if not value:
            return queryset
        return by_attention(queryset, value)


class ReconciledFilter(admin.SimpleListFilter):
    """By whether staff found the payment to agree with what PagoEfectivo settled."""

    title = _("reconciled")
    parameter_name = "reconciled"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, _StrOrPromise]]:
        """Reconciled, or paid and still to be."""
        return [("no", _("paid, not yet")), ("yes", _("yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The chosen rows."""
        if (value := self.value()) in ("yes", "no"):
            return by_reconciled(queryset, value)
        return queryset


class FailingFilter(admin.SimpleListFilter):
    """Calls to PagoEfectivo that went wrong."""

    title = _("result")
    parameter_name = "result"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, _StrOrPromise]]:
        """Failed or not."""
        return [("failed", _("failed")), ("ok", _("succeeded"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The chosen rows."""
        if self.value() not in ("failed", "ok"):
            return queryset
        return queryset.filter(failed=self.value() == "failed")


class FirstFilter(admin.SimpleListFilter):
    """What a list of calls begins with; the list's own ordering does it."""

    title = _("first")
    parameter_name = "first"
    ORDERS: ClassVar[dict[str, tuple[str, ...]]] = {
        "slowest": ("-milliseconds", "-id"),
        "failing": ("-failed", "-created_at", "-id"),
    }

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, _StrOrPromise]]:
        """The newest unless one of these is chosen."""
        return [("slowest", _("slowest first")), ("failing", _("failing first"))]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """With a word for the usual order in place of "All"."""
        usual, *others = super().choices(changelist)
        yield {**usual, "display": _("newest first")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """All of them: it chooses none."""
        return queryset


class TroubleFilter(admin.SimpleListFilter):
    """Deliveries whose receiver raised and that are still owed."""

    title = _("trouble")
    parameter_name = "trouble"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, _StrOrPromise]]:
        """Only those in trouble."""
        return [("failing", _("failing receiver"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The chosen rows."""
        if self.value() != "failing":
            return queryset
        return queryset.filter(state=queryset.model.State.PENDING).exclude(last_error="")


class LimaDayFilter(admin.ListFilter):
    """By day, as days are in Lima: the usual spans, or from one day to another."""

    title = _("day (Lima)")
    template = "django_pagoefectivo/admin/day_filter.html"
    field: ClassVar[str] = "created_at"

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, list[str]],
        model: type[Any],
        model_admin: admin.ModelAdmin[Any],
    ) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.expected_parameters():
            if name is not None and name in params:
                self.used_parameters[name] = params.pop(name)[-1]
        self.first = str(self.used_parameters.get("from_day") or "")
        self.last = str(self.used_parameters.get("to_day") or "")
        #: What the form must carry along.
        self.others = [
            (name, value)
            for name, values in request.GET.lists()
            for value in values
            if name not in (*self.expected_parameters(), "p", "e")
        ]

    def has_output(self) -> bool:
        """Always."""
        return True

    def expected_parameters(self) -> list[str | None]:
        """First and last day, both included."""
        return ["from_day", "to_day"]

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        """Links to the usual spans."""
        today = timezone.now().astimezone(LIMA).date()
        spans: tuple[tuple[_StrOrPromise, date | None, date | None], ...] = (
            (_("Any day"), None, None),
            (_("Today"), today, today),
            (_("Yesterday"), today - timedelta(days=1), today - timedelta(days=1)),
            (_("Last 7 days"), today - timedelta(days=6), today),
            (_("Last 30 days"), today - timedelta(days=29), today),
        )
        for label, first, last in spans:
            chosen = (first.isoformat() if first else "", last.isoformat() if last else "")
            yield {
                "selected": (self.first, self.last) == chosen,
                "query_string": changelist.get_query_string(
                    {"from_day": chosen[0] or None, "to_day": chosen[1] or None}
                ),
                "display": label,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen days."""
        try:
            return between_days(queryset, self.field, self.first, self.last)
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters(error) from error


class ReceivedDayFilter(LimaDayFilter):
    """By the day a notification came."""

    field = "received_at"

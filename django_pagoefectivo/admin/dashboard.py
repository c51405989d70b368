"""The dashboard: is money coming in as it should, and if not, why."""

from __future__ import annotations

from datetime import date
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..gateways.wire import LIMA
from ..models import Payment
from ..services.statistics import LONGEST_PERIOD, Period, statistics
from .base import ReadOnlyAdmin
from .dashboard_figures import Dashboard
from .filters import merchant_names

_M = TypeVar("_M", bound=Model)

CUSTOM = "custom"
USUAL = "30"
_FIRST_DAY = date(2000, 1, 1)


class PeriodForm(forms.Form):
    """Which days and whose payments."""

    period = forms.ChoiceField(
        label=_("Period"),
        initial=USUAL,
        choices=[
            ("7", _("7 days")),
            (USUAL, _("30 days")),
            ("90", _("90 days")),
            (CUSTOM, _("From day to day")),
        ],
    )
    first = forms.DateField(
        label=_("From"),
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    last = forms.DateField(
        label=_("To"),
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    merchant = forms.ChoiceField(label=_("Merchant"), required=False)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["merchant"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
        field.choices = [("", _("All")), *((name, name) for name in merchant_names())]

    def clean(self) -> dict[str, Any]:
        """Add ``days``, the period that is meant."""
        cleaned: dict[str, Any] = self.cleaned_data
        chosen, today = cleaned.get("period"), timezone.now().astimezone(LIMA).date()
        if chosen and chosen != CUSTOM:
            cleaned["days"] = Period.last_days(int(chosen), timezone.now())
        elif chosen and not self.errors:
            first, last = cleaned.get("first"), cleaned.get("last")
            if first is None or last is None:
                raise ValidationError(_("Give the first and the last day."))
            if last < first:
                raise ValidationError(_("The last day is before the first."))
            if not _FIRST_DAY <= first <= today:
                raise ValidationError(
                    _("The first day must be between %(first)s and today.") % {"first": _FIRST_DAY}
                )
            if last - first > LONGEST_PERIOD:
                raise ValidationError(_("The period is longer than %d days.") % LONGEST_PERIOD.days)
            cleaned["days"] = Period(first, last)
        return cleaned


class DashboardPages(ReadOnlyAdmin[_M]):
    """Adds the dashboard to an admin's pages; whoever sees payments sees it."""

    def get_urls(self) -> list[URLPattern]:
        """Django's and the dashboard."""
        return [
            path(
                "dashboard/",
                self.admin_site.admin_view(self.dashboard_view),
                name="pagoefectivo_dashboard",
            ),
            *super().get_urls(),
        ]

    def sees_payments(self, request: HttpRequest) -> bool:
        """Whether the person may look at payments in this admin."""
        site = self.admin_site
        return site.is_registered(Payment) and site.get_model_admin(Payment).has_view_permission(
            request
        )

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        """The figures of some days."""
        if not self.sees_payments(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        form = PeriodForm(request.GET if "period" in request.GET else {"period": USUAL})
        dashboard = None
        if form.is_valid():
            merchant = form.cleaned_data["merchant"] or None
            dashboard = Dashboard(statistics(form.cleaned_data["days"], merchant=merchant))
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("Dashboard"),
            "opts": self.opts,
            "form": form,
            "dashboard": dashboard,
        }
        return TemplateResponse(request, "django_pagoefectivo/admin/dashboard.html", context)

"""The statements: which there are, what each says, and what is settled by it."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from ..discretion import Discretion
from ..models import LineState, Statement
from ..rights import RECONCILE, may, staff_of
from ..services.exports import LINES
from ..services.statement_acts import reconcile_matched
from ..services.statement_figures import paid_but_not_in, totals_of
from .base import link_to
from .bulk import SECONDS
from .dashboard import DashboardPages
from .exports import offer
from .filters import MerchantFilter
from .formatting import NOTHING, badge, lima, money
from .keys import key_of
from .paging import bounded_count
from .statement_import import StatementImport
from .statement_lines import VIEW
from .statement_page import StatementPage, period_of, sum_row, total_row

_MISSING_PAGE = 50
_MOST_MISSING = 1000


@admin.register(Statement)
class StatementAdmin(DashboardPages[Statement], StatementImport):
    """Statements to look at, and what staff settle by them."""

    change_list_template = "django_pagoefectivo/admin/statement_list.html"
    list_display = ("file_name", "merchant", "period", "line_count", "uploaded", "uploader")
    list_filter = (MerchantFilter,)
    list_parameters = frozenset({"merchant"})
    list_select_related = ("uploaded_by",)
    actions = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By the right to see statements."""
        return may(request, VIEW)

    # -- columns ---------------------------------------------------------------------------

    @admin.display(description=_("period"))
    def period(self, statement: Statement) -> str:
        """The days it is about."""
        return period_of(statement)

    @admin.display(description=_("imported (Lima)"))
    def uploaded(self, statement: Statement) -> str:
        """When it was imported."""
        return lima(statement.uploaded_at)

    @admin.display(description=_("by"))
    def uploader(self, statement: Statement) -> str:
        """Who imported it."""
        by = statement.uploaded_by
        return Discretion(whole=False).text(by.get_username(), None) if by else NOTHING

    # -- pages -----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Django's, the import's, the dashboard's, and the parts of a statement."""
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/totals/", wrap(self.totals_view), name="pagoefectivo_statement_totals"),
            path(
                "<int:pk>/missing/", wrap(self.missing_view), name="pagoefectivo_statement_missing"
            ),
            path(
                "<int:pk>/reconcile/",
                wrap(self.reconcile_view),
                name="pagoefectivo_statement_reconcile",
            ),
            path("<int:pk>/export/", wrap(self.export_view), name="pagoefectivo_statement_export"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, with the way to import."""
        extra = {
            "may_import": self.may_import(request),
            "sees_dashboard": self.sees_payments(request),
            **(extra_context or {}),
        }
        return super().changelist_view(request, extra)

    @method_decorator(require_safe)
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The lines of one statement. It takes no POST: acts have URLs of their own."""
        statement = self._statement(request, object_id)
        page = StatementPage(request, self.admin_site, statement)
        return self._part(request, statement, "lines", {"page": page})

    @method_decorator(require_safe)
    def totals_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The sums of each day and currency."""
        statement = self._statement(request, str(pk))
        totals = totals_of(statement)
        currencies = dict.fromkeys(total.currency for total in totals)
        context = {
            "totals": [total_row(total) for total in totals],
            "sums": [sum_row(totals, currency) for currency in currencies],
        }
        return self._part(request, statement, "totals", context)

    @method_decorator(require_safe)
    def missing_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The payments of its days that are paid here and in no statement."""
        statement = self._statement(request, str(pk))
        if not self.sees_payments(request):
            raise PermissionDenied
        after = request.GET.get("after", "")
        rows = paid_but_not_in(statement).order_by("pk")
        if (key := key_of(after)) is not None:
            rows = rows.filter(pk__gt=key)
        found = list(rows[: _MISSING_PAGE + 1])
        shown = found[:_MISSING_PAGE]
        context = {
            "payments": [
                {
                    "payment": payment,
                    "url": link_to(self.admin_site, request, payment),
                    "amount": money(payment.paid_amount, payment.currency),
                    "paid_on": lima(payment.paid_at),
                    "status": badge(payment.status, payment.get_status_display()),
                }
                for payment in shown
            ],
            "next": shown[-1].pk if len(found) > _MISSING_PAGE else None,
            "is_later": bool(after),
        }
        return self._part(request, statement, "missing", context)

    # Each thousand commits by itself: what is done stays done if this is interrupted.
    @transaction.non_atomic_requests
    def reconcile_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and on POST mark every matched payment as reconciled."""
        statement = self._statement(request, str(pk))
        if not may(request, RECONCILE):
            raise PermissionDenied
        if request.method != "POST":
            matched = statement.lines.filter(state=LineState.MATCHED).count()
            context = {
                "title": _("Mark as reconciled"),
                "statement": statement,
                "page_url": self.page_url(statement),
                "matched": matched,
            }
            return self.answer(request, "statement_reconcile.html", context)
        until = time.monotonic() + SECONDS
        done, whole = reconcile_matched(statement, user=staff_of(request), until=until)
        told = (
            ngettext(
                "%d payment is marked as reconciled.",
                "%d payments are marked as reconciled.",
                done,
            )
            % done
        )
        if whole and not done:
            told = gettext("All matched payments were reconciled already.")
        messages.success(request, told)
        self.log_change(request, statement, told)
        if whole:
            return HttpResponseRedirect(self.page_url(statement))
        messages.warning(
            request, gettext("Some are left, as this took long. Go on with them below.")
        )
        return HttpResponseRedirect(request.path)

    def export_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Ask, and on POST give the lines as a file."""
        statement = self._statement(request, str(pk))
        context = {"opts": self.opts, "back": self.page_url(statement)}
        return offer(request, self.admin_site, LINES, statement.lines.all(), context)

    # -- inside ----------------------------------------------------------------------------

    def _statement(self, request: HttpRequest, object_id: str) -> Statement:
        rows = self.get_queryset(request).select_related("uploaded_by")
        return self.one_of(request, rows, object_id)

    def _part(
        self, request: HttpRequest, statement: Statement, part: str, context: dict[str, Any]
    ) -> HttpResponse:
        """A part of a statement's page under its head."""
        page = context.pop("page", None) or StatementPage(request, self.admin_site, statement)
        missing = (
            bounded_count(paid_but_not_in(statement), _MOST_MISSING)
            if self.sees_payments(request)
            else None
        )
        whole = {
            "title": statement.file_name,
            "object": statement,
            "original": statement,
            "page": page,
            "part": part,
            "lines_url": self.page_url(statement),
            "totals_url": self._url("totals", statement),
            "missing_url": self._url("missing", statement),
            "missing_count": (
                f"{_MOST_MISSING}+" if missing and missing > _MOST_MISSING else missing
            ),
            "reconcile_url": (
                self._url("reconcile", statement)
                if may(request, RECONCILE) and page.counts.get(LineState.MATCHED)
                else ""
            ),
            "export_url": self._url("export", statement),
            **context,
        }
        return self.answer(request, f"statement_{part}.html", whole)

    def _url(self, part: str, statement: Statement) -> str:
        name = f"admin:pagoefectivo_statement_{part}"
        return reverse(name, args=[statement.pk], current_app=self.admin_site.name)

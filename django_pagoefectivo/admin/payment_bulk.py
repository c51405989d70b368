"""What the list of payments does to many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..models import Payment
from ..services import staff
from .bulk import Bulk, Tally, one_by_one, run
from .forms import ExtendForm
from .rights import staff_of

if TYPE_CHECKING:
    PaymentModelAdmin = admin.ModelAdmin[Payment]


@admin.action(permissions=["reconcile"], description=_("Ask PagoEfectivo now"))
def sync_payments(
    modeladmin: PaymentModelAdmin, request: HttpRequest, queryset: QuerySet[Payment]
) -> HttpResponse | None:
    """Ask how the chosen payments stand, many in one call."""

    def work(payments: Sequence[Payment], tally: Tally, data: Mapping[str, Any]) -> None:
        chosen = Payment.objects.filter(pk__in=[payment.pk for payment in payments])
        report = staff.ask_many(chosen, user=staff_of(request))
        tally.done += report.asked - report.missing
        for problem in report.errors:
            tally.sentences.append(problem)
        tally.failed += report.failed
        if report.missing:
            tally.fail(
                ngettext(
                    "%d is not known to PagoEfectivo.",
                    "%d are not known to PagoEfectivo.",
                    report.missing,
                )
                % report.missing,
                report.missing,
            )
        if report.not_askable:
            tally.fail(
                ngettext(
                    "%d has no CIP yet to ask about.",
                    "%d have no CIP yet to ask about.",
                    report.not_askable,
                )
                % report.not_askable,
                report.not_askable,
            )
        for payment in payments:
            modeladmin.log_change(request, payment, str(_("Asked PagoEfectivo.")))
        changed = report.changed
        if changed:
            text = ngettext("%d has changed by it.", "%d have changed by it.", changed)
            messages.info(request, text % changed)

    bulk = Bulk(
        action="sync_payments",
        title=_("Ask PagoEfectivo now"),
        question=lambda count: (
            ngettext(
                "Ask PagoEfectivo how %d payment stands?",
                "Ask PagoEfectivo how %d payments stand?",
                count,
            )
            % count
        ),
        done=lambda count: (
            ngettext(
                "PagoEfectivo was asked about %d payment.",
                "PagoEfectivo was asked about %d payments.",
                count,
            )
            % count
        ),
        asks=False,
        chunk=50,
        command="manage.py pagoefectivo_poll --all",
    )
    return run(modeladmin, request, queryset, bulk, work)


@admin.action(permissions=["reconcile"], description=_("Move the deadline…"))
def extend_payments(
    modeladmin: PaymentModelAdmin, request: HttpRequest, queryset: QuerySet[Payment]
) -> HttpResponse | None:
    """Give the chosen payments a new deadline."""

    def act(payment: Payment, data: Mapping[str, Any]) -> str:
        staff.extend(payment, user=staff_of(request), expires_at=data["expires_at"])
        return ""

    bulk = Bulk(
        action="extend_payments",
        title=_("Move the deadline"),
        question=lambda count: (
            ngettext("Move the deadline of %d payment?", "Move the deadline of %d payments?", count)
            % count
        ),
        done=lambda count: (
            ngettext(
                "%d payment has the new deadline.", "%d payments have the new deadline.", count
            )
            % count
        ),
        form=ExtendForm,
    )
    return run(
        modeladmin,
        request,
        queryset,
        bulk,
        one_by_one(modeladmin, request, _("Deadline moved"), act),
    )


@admin.action(permissions=["reconcile"], description=_("Cancel…"))
def cancel_payments(
    modeladmin: PaymentModelAdmin, request: HttpRequest, queryset: QuerySet[Payment]
) -> HttpResponse | None:
    """Delete the chosen payments' codes at PagoEfectivo."""

    def act(payment: Payment, data: Mapping[str, Any]) -> str:
        staff.cancel(payment, user=staff_of(request))
        if payment.status == Payment.Status.CANCELLED:
            return ""
        return str(_("It is %s by now.") % payment.get_status_display())

    bulk = Bulk(
        action="cancel_payments",
        title=_("Cancel payments"),
        question=lambda count: (
            ngettext(
                "Cancel %d payment? Its code is deleted at PagoEfectivo and cannot be paid any "
                "more. This cannot be undone.",
                "Cancel %d payments? Their codes are deleted at PagoEfectivo and cannot be paid "
                "any more. This cannot be undone.",
                count,
            )
            % count
        ),
        done=lambda count: (
            ngettext("%d payment was cancelled.", "%d payments were cancelled.", count) % count
        ),
        grave=True,
    )
    work = one_by_one(modeladmin, request, _("Cancelled"), act)
    return run(modeladmin, request, queryset, bulk, work)


@admin.action(permissions=["reconcile"], description=_("Mark as reconciled"))
def mark_reconciled(
    modeladmin: PaymentModelAdmin, request: HttpRequest, queryset: QuerySet[Payment]
) -> HttpResponse | None:
    """Note that the chosen payments agree with what PagoEfectivo settled."""

    def act(payment: Payment, data: Mapping[str, Any]) -> str:
        staff.reconcile(payment, user=staff_of(request))
        return ""

    bulk = Bulk(
        action="mark_reconciled",
        title=_("Mark as reconciled"),
        question=lambda count: (
            ngettext("Mark %d payment as reconciled?", "Mark %d payments as reconciled?", count)
            % count
        ),
        done=lambda count: (
            ngettext(
                "%d payment is marked as reconciled.",
                "%d payments are marked as reconciled.",
                count,
            )
            % count
        ),
        asks=False,
    )
    return run(
        modeladmin,
        request,
        queryset,
        bulk,
        one_by_one(modeladmin, request, _("Marked as reconciled"), act),
    )

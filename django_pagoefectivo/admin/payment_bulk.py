"""What the list of payments does to many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..models import BulkAct, Payment
from .bulk import Bulk, run
from .forms import ExtendForm

if TYPE_CHECKING:
    PaymentModelAdmin = admin.ModelAdmin[Payment]

SYNC = Bulk(
    action="sync_payments",
    act=BulkAct.SYNC,
    title=_("Ask PagoEfectivo now"),
    log=_("Asked PagoEfectivo."),
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
)
EXTEND = Bulk(
    action="extend_payments",
    act=BulkAct.EXTEND,
    title=_("Move the deadline"),
    log=_("Deadline moved"),
    question=lambda count: (
        ngettext("Move the deadline of %d payment?", "Move the deadline of %d payments?", count)
        % count
    ),
    done=lambda count: (
        ngettext("%d payment has the new deadline.", "%d payments have the new deadline.", count)
        % count
    ),
    form=ExtendForm,
)
CANCEL = Bulk(
    action="cancel_payments",
    act=BulkAct.CANCEL,
    title=_("Cancel payments"),
    log=_("Cancelled"),
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
RECONCILE = Bulk(
    action="mark_reconciled",
    act=BulkAct.RECONCILE,
    title=_("Mark as reconciled"),
    log=_("Marked as reconciled"),
    question=lambda count: (
        ngettext("Mark %d payment as reconciled?", "Mark %d payments as reconciled?", count) % count
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


@admin.action(permissions=["reconcile"], description=_("Ask PagoEfectivo now"))
def sync_payments(
    modeladmin: PaymentModelAdmin, request: HttpRequest, queryset: QuerySet[Payment]
) -> HttpResponse | None:
    """Ask how the chosen payments stand, many in one call."""
    return run(modeladmin, request, queryset, SYNC)


@admin.action(permissions=["reconcile"], description=_("Move the deadline…"))
def extend_payments(
    modeladmin: PaymentModelAdmin, request: HttpRequest, queryset: QuerySet[Payment]
) -> HttpResponse | None:
    """Give the chosen payments a new deadline."""
    return run(modeladmin, request, queryset, EXTEND)


@admin.action(permissions=["reconcile"], description=_("Cancel…"))
def cancel_payments(
    modeladmin: PaymentModelAdmin, request: HttpRequest, queryset: QuerySet[Payment]
) -> HttpResponse | None:
    """Delete the chosen payments' codes at PagoEfectivo."""
    return run(modeladmin, request, queryset, CANCEL)


@admin.action(permissions=["reconcile"], description=_("Mark as reconciled"))
def mark_reconciled(
    modeladmin: PaymentModelAdmin, request: HttpRequest, queryset: QuerySet[Payment]
) -> HttpResponse | None:
    """Note that the chosen payments agree with what PagoEfectivo settled."""
    return run(modeladmin, request, queryset, RECONCILE)

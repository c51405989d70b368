"""The shop's side of the admin; the payments have their own."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from django_pagoefectivo.templatetags.pagoefectivo import money

from . import orders
from .models import Order, Product


# Its model can be named in brackets in the stubs, not where it runs.
class ChangedFieldsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Writes what was edited and no more: the rest may have changed since it was read."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save ``obj``, or of an existing one the fields that staff changed."""
        if change:
            obj.save(update_fields=form.changed_data)
        else:
            obj.save()


@admin.register(Product)
class ProductAdmin(ChangedFieldsAdmin):
    """The shelf."""

    list_display = ("name", "origin", "price", "currency", "stock")
    list_editable = ("stock",)
    list_filter = ("currency",)
    search_fields = ("name", "origin", "description")
    prepopulated_fields = {"slug": ("name",)}


class WaitsForStaff(admin.SimpleListFilter):
    """Orders that a person has to look at."""

    title = "waits for staff"
    parameter_name = "waits"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Order]
    ) -> list[tuple[str, str]]:
        """The one choice beside all."""
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        """Those with a note for staff, if chosen."""
        return queryset.exclude(staff_note="") if self.value() == "yes" else queryset


@admin.register(Order)
class OrderAdmin(ChangedFieldsAdmin):
    """The orders. Staff correct the contact; payments decide and actions do the rest."""

    list_display = ("number", "status", "amount", "email", "placed_at", "all_well")
    list_filter = ("status", WaitsForStaff, "placed_at")
    search_fields = ("number", "email", "first_name", "last_name")
    actions = ("cancel_orders", "mark_dealt_with")
    fields = (
        "number",
        "status",
        "amount",
        "goods",
        "payment_links",
        "staff_note",
        "holds_stock",
        "history",
        ("first_name", "last_name"),
        ("email", "phone"),
        "user",
        ("placed_at", "paid_at"),
    )
    readonly_fields = (
        "number",
        "status",
        "amount",
        "goods",
        "payment_links",
        "staff_note",
        "holds_stock",
        "history",
        "user",
        "placed_at",
        "paid_at",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Orders come from the checkout."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        """Its goods and its payments would be left without an order."""
        return False

    @admin.display(ordering="total")
    def amount(self, order: Order) -> str:
        """The total as it is read in Peru."""
        return money(order.total, order.currency)

    @admin.display(boolean=True)
    def all_well(self, order: Order) -> bool:
        """Whether no person is needed."""
        return not order.staff_note

    @admin.display
    def goods(self, order: Order) -> SafeString:
        """What was ordered."""
        return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in order.lines.all()))

    @admin.display
    def history(self, order: Order) -> SafeString:
        """What happened, the latest last."""
        return format_html_join(
            mark_safe("<br>"),
            "{}: {}",
            (
                (formats.localize(timezone.localtime(event.at)), event.text)
                for event in order.history.all()
            ),
        )

    @admin.display(description="payments")
    def payment_links(self, order: Order) -> SafeString | str:
        """The order's payments, where staff reconcile them."""
        links = format_html_join(
            ", ",
            '<a href="{}">{}</a> ({})',
            (
                (
                    reverse("admin:pagoefectivo_payment_change", args=(payment.pk,)),
                    payment.cip or payment.transaction_code,
                    payment.get_status_display(),
                )
                for payment in order.payments.all()
            ),
        )
        return links or "none"

    @admin.action(description="Give up: cancel and put the goods back", permissions=["change"])
    def cancel_orders(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        """Cancel those that wait for payment and have no code that could still be paid."""
        cancelled = 0
        for order in queryset:
            if order.has_payable_code:
                self.message_user(
                    request,
                    f"{order} has a code that can still be paid: cancel the payment, and the "
                    "order follows.",
                    messages.WARNING,
                )
            elif order.status == Order.Status.PLACED:
                orders.release_order(
                    order,
                    status=Order.Status.CANCELLED,
                    reason=f"Cancelled by {request.user.get_username()}.",
                )
                cancelled += 1
        self.message_user(request, f"Orders cancelled: {cancelled}.")

    @admin.action(description="Mark as dealt with", permissions=["change"])
    def mark_dealt_with(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        """Take the note for staff off."""
        for order in queryset.exclude(staff_note=""):
            orders.dealt_with(order, by=request.user.get_username())

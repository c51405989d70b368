"""What stands behind the question mark: filters of the list, the period of the figures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from ..conf.rest import LARGEST_PAGE
from ..models import Attention, Payment, Status
from ..services.statistics import LONGEST_PERIOD, Period
from .fields import MomentField, StrictSerializer, SwitchField, TextField
from .pagination import Cursor
from .permissions import PaymentPermission

#: Filters on what only staff see.
STAFF_FILTERS = ("attention", "reconciled")


class ListQuery(StrictSerializer):
    """Which payments a list shows, and in what order."""

    status = serializers.ListField(
        child=serializers.ChoiceField(choices=Status.choices), required=False
    )
    merchant = TextField(max_length=50, required=False)
    currency = serializers.RegexField(r"^[A-Z]{3}\Z", required=False)
    order_reference = TextField(max_length=64, required=False)
    created_from = MomentField(required=False)
    created_before = MomentField(required=False)
    attention = serializers.ChoiceField(choices=["any", "none", *Attention.values], required=False)
    reconciled = SwitchField(in_address=True, required=False)
    mine = SwitchField(in_address=True, required=False)
    ordering = serializers.ChoiceField(choices=["-created_at", "created_at"], required=False)
    page_size = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE, required=False)
    cursor = TextField(max_length=100, required=False)

    def validate_cursor(self, value: str) -> Cursor:
        """The cursor itself."""
        try:
            return Cursor.read(value)
        except serializers.ValidationError as error:
            detail: Any = error.detail
            raise serializers.ValidationError(detail["cursor"]) from None


class StatisticsQuery(StrictSerializer):
    """Which days the figures are about, in Lima; the last 30 unless said otherwise."""

    first = serializers.DateField(required=False)
    last = serializers.DateField(required=False)
    days = serializers.IntegerField(min_value=1, max_value=LONGEST_PERIOD.days, required=False)
    merchant = TextField(max_length=50, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """``period`` instead of what named it."""
        first, last, days = (attrs.pop(name, None) for name in ("first", "last", "days"))
        if days is not None and (first is not None or last is not None):
            raise serializers.ValidationError({"days": _("Give either days, or first and last.")})
        if (first is None) != (last is None):
            raise serializers.ValidationError(
                {"last" if last is None else "first": _("Give both first and last.")}
            )
        if first is None or last is None:
            attrs["period"] = Period.last_days(days or 30, timezone.now())
            return attrs
        try:
            # Beyond the calendar's ends no day has a day after it.
            first - timedelta(days=1), last + timedelta(days=2)
            attrs["period"] = Period(first, last)
        except OverflowError:
            raise serializers.ValidationError({"last": _("There is no such day.")}) from None
        except ValueError as error:
            raise serializers.ValidationError({"last": str(error)}) from None
        return attrs


def read_query(kind: type[StrictSerializer], request: Request) -> dict[str, Any]:
    """The values of the address's query. Raises ``ValidationError`` with what is wrong.

    A name given twice is an error unless it takes several values.
    """
    lists = {
        name for name, field in kind().fields.items() if isinstance(field, serializers.ListField)
    }
    values: dict[str, Any] = {}
    for name, given in request.query_params.lists():
        if name not in lists and len(given) > 1:
            raise serializers.ValidationError({name: [_("Give it once only.")]})
        values[name] = given if name in lists else given[0]
    query = kind(data=values)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)


def filtered(
    payments: QuerySet[Payment],
    wanted: dict[str, Any],
    request: Request,
    permission: PaymentPermission,
) -> QuerySet[Payment]:
    """``payments`` as far as ``wanted`` asks for them.

    Raises ``PermissionDenied`` for a filter on what only staff see.
    """
    for name in STAFF_FILTERS:
        if name in wanted and not permission.sees_all(request):
            raise PermissionDenied(_("Filtering by %(name)s is for staff.") % {"name": name})
    if wanted.get("status"):
        payments = payments.filter(status__in=wanted["status"])
    for name, lookup in (
        ("merchant", "merchant"),
        ("currency", "currency"),
        ("order_reference", "order_reference"),
        ("created_from", "created_at__gte"),
        ("created_before", "created_at__lt"),
    ):
        if name in wanted:
            payments = payments.filter(**{lookup: wanted[name]})
    if (attention := wanted.get("attention")) == "any":
        payments = payments.exclude(attention="")
    elif attention is not None:
        payments = payments.filter(attention="" if attention == "none" else attention)
    if "reconciled" in wanted:
        payments = payments.filter(reconciled_at__isnull=not wanted["reconciled"])
    if wanted.get("mine"):
        payments = permission.own(request, payments)
    return payments

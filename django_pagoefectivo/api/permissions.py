"""Who may do what with which payments. The setting ``REST_API["PERMISSION"]`` replaces it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ..conf import get_config
from ..models import Payment
from ..rights import ADD, PERSONAL_DATA, RECONCILE, VIEW

if TYPE_CHECKING:
    from rest_framework.views import APIView


class PaymentPermission(BasePermission):
    """By default: users for the payments made for them, staff with the permission for all.

    Subclass it and name the subclass in ``PAGOEFECTIVO["REST_API"]["PERMISSION"]``. Each
    question is a method of its own. What ``visible`` leaves out does not exist for the one
    who asks: every answer about it is the same 404 as for a payment that never was.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether anything at all may be asked: by whoever is logged in."""
        return bool(request.user and request.user.is_authenticated)

    def visible(self, request: Request, payments: QuerySet[Payment]) -> QuerySet[Payment]:
        """Those of ``payments`` that may be seen."""
        if self.sees_all(request):
            return payments
        return self.own(request, payments)

    def own(self, request: Request, payments: QuerySet[Payment]) -> QuerySet[Payment]:
        """Those of ``payments`` that were made for the one who asks."""
        user = request.user
        return payments.filter(user=user) if isinstance(user, get_user_model()) else payments.none()

    def sees_all(self, request: Request) -> bool:
        """Whether other people's payments, and what is for staff in them, may be seen."""
        return self._staff_may(request, VIEW)

    def sees_personal_data(self, request: Request, payment: Payment) -> bool:
        """Whether the customer's data are shown whole and not masked."""
        return self.owns(request, payment) or self._staff_may(request, PERSONAL_DATA)

    def sees_order(self, request: Request, payment: Payment) -> bool:
        """Whether the link to the shop's own order is shown."""
        if self.owns(request, payment):
            return True
        kind = payment.order_content_type
        return kind is not None and self._staff_may(request, f"{kind.app_label}.view_{kind.model}")

    def sees_statistics(self, request: Request) -> bool:
        """Whether the figures of all payments may be seen."""
        return self.sees_all(request)

    def may_set_amount(self, request: Request) -> bool:
        """Whether a payment may be created over any amount that the request names.

        Everybody else pays what the shop's ``PAYMENT_FOR_ORDER`` says.
        """
        return self._staff_may(request, ADD)

    def may_act(self, request: Request, payment: Payment) -> bool:
        """Whether a visible payment may be asked about, extended and cancelled."""
        return self.owns(request, payment) or self._staff_may(request, RECONCILE)

    def may_set_deadline(self, request: Request, payment: Payment) -> bool:
        """Whether ``extend`` may name a deadline, and not just the shop's ``EXPIRES_IN``."""
        return self._staff_may(request, RECONCILE)

    def owns(self, request: Request, payment: Payment) -> bool:
        """Whether the payment was made for the one who asks."""
        return payment.user_id is not None and payment.user_id == request.user.pk

    def _staff_may(self, request: Request, permission: str) -> bool:
        user: Any = request.user
        return bool(getattr(user, "is_staff", False) and user.has_perm(permission))


def permission_class() -> type[PaymentPermission]:
    """The class that the setting names.

    Raises ``ImproperlyConfigured`` if it cannot be imported or is no ``PaymentPermission``.
    """
    named = get_config().rest_api.permission
    try:
        found = import_string(named) if isinstance(named, str) else named
    except ImportError as error:
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO["REST_API"]["PERMISSION"] cannot be imported: {error}'
        ) from None
    if not (isinstance(found, type) and issubclass(found, PaymentPermission)):
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO["REST_API"]["PERMISSION"] is {named!r}; it must be a subclass of '
            "django_pagoefectivo.api.permissions.PaymentPermission."
        )
    return found

"""What goes out: a payment as the one who asks may see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request

from ..conf import get_config
from ..discretion import Discretion
from ..models import Attention, Payment, Status
from ..services.addresses import absolute
from .fields import AmountField, MomentField
from .permissions import PaymentPermission


class CustomerBody(serializers.Serializer[Payment]):
    """The shopper's data, masked for staff without the right to see them."""

    email = serializers.SerializerMethodField()
    first_name = serializers.SerializerMethodField()
    last_name = serializers.SerializerMethodField()
    document_type = serializers.CharField(source="customer_document_type")
    document_number = serializers.SerializerMethodField()
    phone = serializers.SerializerMethodField()
    phone_country_code = serializers.CharField(source="customer_phone_country_code")
    country = serializers.CharField(source="customer_country")
    ubigeo = serializers.SerializerMethodField()
    customer_id = serializers.SerializerMethodField()

    def _discretion(self, payment: Payment) -> Discretion:
        return _discretion(self.context, payment)

    def get_email(self, payment: Payment) -> str:
        """E-mail address."""
        return self._discretion(payment).email(payment.customer_email)

    def get_first_name(self, payment: Payment) -> str:
        """First name."""
        return self._discretion(payment).name(payment.customer_first_name)

    def get_last_name(self, payment: Payment) -> str:
        """Last name."""
        return self._discretion(payment).name(payment.customer_last_name)

    def get_document_number(self, payment: Payment) -> str:
        """Number of the document."""
        return self._discretion(payment).number(payment.customer_document_number)

    def get_phone(self, payment: Payment) -> str:
        """Phone number."""
        return self._discretion(payment).number(payment.customer_phone)

    def get_ubigeo(self, payment: Payment) -> str:
        """Where the shopper lives: the six digits of INEI's code."""
        return self._discretion(payment).number(payment.customer_ubigeo)

    def get_customer_id(self, payment: Payment) -> str:
        """The shop's own number of the shopper."""
        return self._discretion(payment).number(payment.customer_id_in_shop)


class OrderBody(serializers.Serializer[Payment]):
    """The shop's own order: which model, and its primary key as text."""

    type = serializers.SerializerMethodField()
    id = serializers.CharField(source="order_object_id")

    def get_type(self, payment: Payment) -> str:
        """App label and model, such as ``shop.order``."""
        kind = payment.order_content_type
        return "" if kind is None else f"{kind.app_label}.{kind.model}"


class StaffBody(serializers.Serializer[Payment]):
    """What only staff see of a payment."""

    attention = serializers.ChoiceField(choices=["", *Attention.values])
    attention_note = serializers.SerializerMethodField()
    failure_code = serializers.CharField()
    failure_message = serializers.SerializerMethodField()
    remote_id = serializers.CharField()
    reconciled_at = MomentField(allow_null=True)
    user = serializers.SerializerMethodField()
    metadata = serializers.SerializerMethodField()

    def get_attention_note(self, payment: Payment) -> str:
        """What is odd about it, in a sentence."""
        return _discretion(self.context, payment).text(payment.attention_note, payment)

    def get_failure_message(self, payment: Payment) -> str:
        """Why PagoEfectivo gave no code."""
        return _discretion(self.context, payment).text(payment.failure_message, payment)

    def get_user(self, payment: Payment) -> str | None:
        """Primary key of the shopper's account, as text."""
        return None if payment.user_id is None else str(payment.user_id)

    def get_metadata(self, payment: Payment) -> dict[str, Any] | None:
        """The shop's own data; ``null`` for who may not see personal data."""
        return payment.metadata if _discretion(self.context, payment).whole else None


class PaymentBody(serializers.Serializer[Payment]):
    """A payment. Amounts are text in the currency's major unit, times UTC."""

    token = serializers.UUIDField()
    merchant = serializers.CharField()
    order_reference = serializers.CharField()
    order = serializers.SerializerMethodField()
    transaction_code = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.values)
    paid = serializers.BooleanField(source="is_paid")
    final = serializers.BooleanField(source="is_final")
    amount = AmountField()
    currency = serializers.CharField()
    description = serializers.SerializerMethodField()
    cip = serializers.CharField(allow_null=True)
    cip_url = serializers.CharField()
    page_url = serializers.SerializerMethodField()
    expires_at = MomentField()
    paid_at = MomentField(allow_null=True)
    paid_amount = AmountField(allow_null=True)
    operation_number = serializers.CharField()
    cancelled_at = MomentField(allow_null=True)
    refunded_at = MomentField(allow_null=True)
    created_at = MomentField()
    updated_at = MomentField()
    customer = CustomerBody(source="*")
    staff = serializers.SerializerMethodField()

    def get_order(self, payment: Payment) -> dict[str, Any] | None:
        """The shop's own order, ``null`` without one or for who may not see it."""
        if payment.order_content_type_id is None or not self._ask.sees_order(self._by, payment):
            return None
        return dict(OrderBody(payment).data)

    def get_description(self, payment: Payment) -> str:
        """What it is for."""
        return _discretion(self.context, payment).text(payment.description, payment)

    def get_page_url(self, payment: Payment) -> str:
        """The shopper's payment page; whoever has the address may see it."""
        path = reverse("pagoefectivo:payment", kwargs={"token": payment.token})
        return absolute(path, self.context["options"](payment.merchant), self._by)

    def get_staff(self, payment: Payment) -> dict[str, Any] | None:
        """What is for staff only, ``null`` for everybody else."""
        if not self._ask.sees_all(self._by):
            return None
        return dict(StaffBody(payment, context=self.context).data)

    @property
    def _ask(self) -> PaymentPermission:
        permission: PaymentPermission = self.context["permission"]
        return permission

    @property
    def _by(self) -> Request:
        request: Request = self.context["request"]
        return request


def context_for(request: Request, permission: PaymentPermission) -> dict[str, Any]:
    """What ``PaymentBody`` needs to know about the one who asks."""
    return {"request": request, "permission": permission, "options": get_config().options_of}


def with_what_is_shown(payments: QuerySet[Payment]) -> QuerySet[Payment]:
    """``payments`` with all that a body needs, so that a list costs no more than one."""
    return payments.select_related("order_content_type")


def _discretion(context: Mapping[str, Any], payment: Payment) -> Discretion:
    permission: PaymentPermission = context["permission"]
    return Discretion(whole=permission.sees_personal_data(context["request"], payment))

"""What comes in: the bodies of the requests that change something."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from ..exceptions import InvalidPayment
from ..services import Customer
from ..services.validation import valid_metadata
from .fields import (
    AmountField,
    MomentField,
    SecondsField,
    StrictSerializer,
    SwitchField,
    TextField,
)

#: Ten years; nobody keeps a code open for longer.
LONGEST_TERM = 10 * 365 * 24 * 3600


class CustomerSerializer(StrictSerializer):
    """The shopper. Only the e-mail address is needed; the rest when known."""

    email = serializers.EmailField(max_length=254)
    first_name = TextField(max_length=255, allow_blank=True, default="")
    last_name = TextField(max_length=255, allow_blank=True, default="")
    document_type = TextField(max_length=10, allow_blank=True, default="")
    document_number = TextField(max_length=20, allow_blank=True, default="")
    phone = TextField(max_length=20, allow_blank=True, default="")
    phone_country_code = TextField(max_length=5, allow_blank=True, default="")
    country = TextField(max_length=100, allow_blank=True, default="")
    ubigeo = TextField(max_length=6, allow_blank=True, default="")
    customer_id = TextField(max_length=255, allow_blank=True, default="")

    def to_internal_value(self, data: Any) -> Customer:
        """The customer."""
        return Customer(**super().to_internal_value(data))


class TermSerializer(StrictSerializer):
    """Until when a code can be paid: one of two ways to say it, or neither."""

    expires_at = MomentField(required=False)
    expires_in = SecondsField(required=False, min_value=1, max_value=LONGEST_TERM)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One way, as ``create_payment`` takes it."""
        if "expires_at" in attrs and "expires_in" in attrs:
            raise serializers.ValidationError(
                {"expires_in": _("Give either expires_at or expires_in, not both.")}
            )
        if "expires_in" in attrs:
            attrs["expires_in"] = timedelta(seconds=attrs["expires_in"])
        return attrs


class OrderPaymentSerializer(StrictSerializer):
    """Pay an order of the shop: the shop says how much and for what."""

    order_reference = TextField(max_length=64)
    customer = CustomerSerializer(required=False)
    supersede = SwitchField(required=False)


class FreePaymentSerializer(TermSerializer):
    """A payment over any amount, for those who may name one."""

    order_reference = TextField(max_length=64)
    amount = AmountField()
    currency = serializers.RegexField(r"^[A-Z]{3}\Z", required=False)
    customer = CustomerSerializer()
    description = TextField(max_length=2000, allow_blank=True, required=False)
    merchant = TextField(max_length=50, required=False)
    metadata = serializers.DictField(required=False)
    supersede = SwitchField(required=False)

    def validate_metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """What ``create_payment`` takes, before anything else reads through it."""
        try:
            return valid_metadata(metadata)
        except InvalidPayment as error:
            raise serializers.ValidationError(error.message) from None


class EmptySerializer(StrictSerializer):
    """Nothing: ``{}``, or no body at all."""

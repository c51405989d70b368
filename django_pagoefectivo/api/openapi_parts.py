"""Parts of the OpenAPI document: bodies that only it knows, and how the API's fields are said."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from .fields import AMOUNT_PATTERN
from .figures import StatisticsBody
from .problems import CODES
from .representation import CustomerBody, OrderBody, PaymentBody, StaffBody


class FieldErrorBody(serializers.Serializer[Any]):
    """One thing that is wrong: where, by a code for programs and a sentence for people."""

    field = serializers.CharField(help_text='Path of the field, "" for the request as a whole.')
    code = serializers.CharField()
    message = serializers.CharField()


class NamedPaymentBody(serializers.Serializer[Any]):
    """The payment that an error is about."""

    token = serializers.UUIDField()
    status = serializers.CharField()


class ProblemBody(serializers.Serializer[Any]):
    """An error, by RFC 9457."""

    type = serializers.CharField(help_text="A URN that ends in the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence for people.")
    code = serializers.ChoiceField(choices=sorted(CODES), help_text="For programs.")
    errors = FieldErrorBody(many=True)  # type: ignore[assignment]
    payment = NamedPaymentBody(allow_null=True)


class PageBody(serializers.Serializer[Any]):
    """A page of payments, with the addresses of the pages beside it."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = PaymentBody(many=True)


for _part, _name in (
    (FieldErrorBody, "FieldError"),
    (NamedPaymentBody, "NamedPayment"),
    (ProblemBody, "Problem"),
    (PageBody, "PaymentPage"),
    (PaymentBody, "Payment"),
    (CustomerBody, "PaymentCustomer"),
    (OrderBody, "PaymentOrder"),
    (StaffBody, "PaymentStaff"),
    (StatisticsBody, "Statistics"),
):
    extend_schema_serializer(component_name=_name)(_part)
extend_schema_field(OrderBody(allow_null=True))(PaymentBody.get_order)
extend_schema_field(StaffBody(allow_null=True))(PaymentBody.get_staff)


class _StrictObject(OpenApiSerializerExtension):
    """No other names than those listed."""

    target_class = "django_pagoefectivo.api.fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """The serializer's own object, closed."""
        made = auto_schema._map_serializer(  # noqa: SLF001 - as its own extensions do
            self.target, direction, bypass_extensions=True
        )
        return {**made, "additionalProperties": False}


class _Amount(OpenApiSerializerFieldExtension):
    target_class = "django_pagoefectivo.api.fields.AmountField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """Text, so that no digit is lost."""
        # What goes out may also be a sum, or nothing at all.
        pattern = AMOUNT_PATTERN if direction == "request" else r"^[0-9]+\.[0-9]{2}$"
        return {"type": "string", "pattern": pattern, "examples": ["22.05"]}


class _Switch(OpenApiSerializerFieldExtension):
    target_class = "django_pagoefectivo.api.fields.SwitchField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """True or false."""
        return {"type": "boolean"}


class _Seconds(OpenApiSerializerFieldExtension):
    target_class = "django_pagoefectivo.api.figures.SecondsBodyField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """A number of seconds."""
        return {"type": "number", "description": "Seconds."}

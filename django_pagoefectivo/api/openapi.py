"""The API as an OpenAPI 3.1 document, by drf-spectacular (extra ``openapi``).

Imported only where that is installed: by ``document``'s callers, and as soon as a shop with
``drf_spectacular`` in ``INSTALLED_APPS`` starts, so that its own document has these
endpoints, too.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

from django.urls import include, path
from rest_framework import serializers

from .. import __version__
from ..extras import from_extra
from ..models import Attention, Status
from . import openapi_texts as texts
from .creation import KEY_HEADER, REPLAYED_HEADER
from .figures import StatisticsBody
from .problems import CODES, MEDIA_TYPE
from .queries import ListQuery, StatisticsQuery
from .representation import PaymentBody
from .serializers import FreePaymentSerializer, OrderPaymentSerializer, TermSerializer

with from_extra("openapi", "The OpenAPI document needs drf-spectacular"):
    from drf_spectacular.extensions import OpenApiViewExtension
    from drf_spectacular.generators import SchemaGenerator
    from drf_spectacular.openapi import AutoSchema
    from drf_spectacular.settings import patched_settings
    from drf_spectacular.types import OpenApiTypes
    from drf_spectacular.utils import (
        OpenApiExample,
        OpenApiParameter,
        OpenApiResponse,
        PolymorphicProxySerializer,
        extend_schema,
    )

    from .openapi_parts import PageBody, ProblemBody

_TAG = "PagoEfectivo"
_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "django-pagoefectivo",
    "DESCRIPTION": texts.DESCRIPTION,
    "VERSION": __version__,
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "TAGS": [{"name": _TAG, "description": "Payments with PagoEfectivo codes."}],
    "SERVERS": [{"url": "/", "description": "The shop."}],
    "COMPONENT_SPLIT_REQUEST": False,
    "ENUM_NAME_OVERRIDES": {
        "PaymentStatus": list(Status.values),
        "AttentionReason": list(Attention.values),
        "ProblemCode": sorted(CODES),
        "FailureKind": ["gave_up", "refused", "system", "unknown"],
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SORT_OPERATION_PARAMETERS": False,
}


def document(prefix: str = "pagoefectivo/") -> dict[str, Any]:
    """The OpenAPI document of this app alone, its URLs included under ``prefix``."""
    with patched_settings(_SETTINGS):
        generator = SchemaGenerator(patterns=[path(prefix, include("django_pagoefectivo.urls"))])
        made: dict[str, Any] = generator.get_schema(request=None, public=True)
    _link(made, prefix)
    return made


def _link(made: dict[str, Any], prefix: str) -> None:
    """Say that a payment's token is what the other addresses are made with."""
    create = made["paths"][f"/{prefix}api/payments/"]["post"]["responses"]
    links = {
        operation: {"operationId": operation, "parameters": {"token": "$response.body#/token"}}
        for operation in ("readPayment", "syncPayment", "extendPayment", "cancelPayment")
    }
    for status in ("200", "201"):
        create[status]["links"] = links


# -- endpoints -------------------------------------------------------------------------------


def _problems(*codes: str) -> dict[Any, Any]:
    """The problems an endpoint can answer with, together with those that all have."""
    by_status: dict[int, list[str]] = {}
    for code in (*codes, *texts.EVERYWHERE):
        by_status.setdefault(CODES[code][0], []).append(code)
    # How a login is asked for hangs on the shop's authentication classes.
    by_status.setdefault(403, []).append("not_authenticated")
    return {
        (status, MEDIA_TYPE): OpenApiResponse(
            ProblemBody, description=", ".join(f"`{code}`" for code in dict.fromkeys(names))
        )
        for status, names in sorted(by_status.items())
    }


def _query(kind: type[serializers.Serializer[Any]]) -> list[Any]:
    return [kind]


_TOKEN = OpenApiParameter(
    "token", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The payment's public token."
)
_KEY = OpenApiParameter(
    KEY_HEADER,
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~]+$"},
    OpenApiParameter.HEADER,
    description=texts.KEY,
)
_REPLAYED = OpenApiParameter(
    REPLAYED_HEADER,
    {"type": "string", "enum": ["true"]},
    OpenApiParameter.HEADER,
    response=[200, 201, 202],
    description="There if the same key has had this answer before.",
)
_LOCATION = OpenApiParameter(
    "Location",
    OpenApiTypes.URI,
    OpenApiParameter.HEADER,
    response=[200, 201, 202],
    description="Where the payment is read.",
)
_PAYMENT = OpenApiResponse(
    PaymentBody,
    description="The payment.",
    examples=[OpenApiExample("Waiting", texts.PAYMENT, response_only=True)],
)
_ACT_PROBLEMS = _problems(
    "invalid",
    "malformed",
    "not_found",
    "permission_denied",
    "invalid_transition",
    "not_supported",
    "too_large",
    "unsupported_media_type",
    "request_rejected",
    "gateway_authentication_failed",
    "gateway_unavailable",
    "outcome_unknown",
)


def _act(operation_id: str, summary: str, description: str, request: Any = None) -> Any:
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        description=description,
        parameters=[_TOKEN],
        request=request,
        responses={200: _PAYMENT, **_ACT_PROBLEMS},
        tags=[_TAG],
    )


_ENDPOINTS: dict[str, dict[str, Any]] = {
    "PaymentsView": {
        "get": extend_schema(
            operation_id="listPayments",
            summary="List payments",
            description=texts.LIST,
            parameters=_query(ListQuery),
            responses={
                200: OpenApiResponse(PageBody, description="A page."),
                **_problems("invalid", "permission_denied"),
            },
            tags=[_TAG],
        ),
        "post": extend_schema(
            operation_id="createPayment",
            summary="Create a payment",
            description=texts.CREATE,
            parameters=[_KEY, _REPLAYED, _LOCATION],
            request=PolymorphicProxySerializer(
                component_name="NewPayment",
                serializers=[OrderPaymentSerializer, FreePaymentSerializer],
                resource_type_field_name=None,
            ),
            responses={
                201: OpenApiResponse(
                    PaymentBody,
                    description="Made; the code can be paid.",
                    examples=[OpenApiExample("Waiting", texts.PAYMENT, response_only=True)],
                ),
                200: OpenApiResponse(PaymentBody, description="The order's open payment."),
                202: OpenApiResponse(
                    PaymentBody, description="Another request is making it; read it again."
                ),
                **_problems(
                    "invalid",
                    "malformed",
                    "permission_denied",
                    "not_found",
                    "idempotency_key_reused",
                    "idempotency_key_in_use",
                    "order_already_open",
                    "order_already_paid",
                    "too_large",
                    "unsupported_media_type",
                    "request_rejected",
                    "gateway_authentication_failed",
                    "gateway_unavailable",
                    "outcome_unknown",
                ),
            },
            examples=[
                OpenApiExample("An order of the shop", texts.FOR_ORDER, request_only=True),
                OpenApiExample("Any amount", texts.FREE, request_only=True),
            ],
            tags=[_TAG],
        ),
    },
    "PaymentView": {
        "get": extend_schema(
            operation_id="readPayment",
            summary="Read a payment",
            description=texts.READ,
            parameters=[_TOKEN],
            responses={200: _PAYMENT, **_problems("not_found")},
            tags=[_TAG],
        ),
    },
    "PaymentSyncView": {"post": _act("syncPayment", "Ask PagoEfectivo", texts.SYNC)},
    "PaymentExtendView": {
        "post": _act(
            "extendPayment",
            "Move the deadline",
            texts.EXTEND,
            {"application/json": TermSerializer(required=False)},
        )
    },
    "PaymentCancelView": {"post": _act("cancelPayment", "Delete the code", texts.CANCEL)},
    "StatisticsView": {
        "get": extend_schema(
            operation_id="readStatistics",
            summary="Read the figures",
            description=texts.STATISTICS,
            parameters=_query(StatisticsQuery),
            responses={
                200: OpenApiResponse(StatisticsBody, description="The figures."),
                **_problems("invalid", "permission_denied"),
            },
            tags=[_TAG],
        ),
    },
}


def _copied(method: Any) -> Any:
    """A method that can be described without a mark on the one that answers requests."""

    @functools.wraps(method)
    def copied(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    # So that the description does not hang on the shop's DEFAULT_SCHEMA_CLASS.
    copied.schema = AutoSchema()  # type: ignore[attr-defined]
    return copied


def _described(name: str, methods: dict[str, Any]) -> type[OpenApiViewExtension]:
    """An extension that stands in for one view with its description."""

    def view_replacement(self: OpenApiViewExtension) -> Any:
        # By now drf-spectacular has put the class itself in the place of its path.
        view = cast("type[Any]", self.target_class)
        own: dict[str, Any] = {"schema": AutoSchema()}
        for method, describe in methods.items():
            own[method] = describe(_copied(getattr(view, method)))
        return type(view.__name__, (view,), own)

    return type(
        f"_{name}",
        (OpenApiViewExtension,),
        {
            "target_class": f"django_pagoefectivo.api.views.{name}",
            "view_replacement": view_replacement,
        },
    )


EXTENSIONS: Sequence[type[OpenApiViewExtension]] = tuple(
    _described(name, methods) for name, methods in _ENDPOINTS.items()
)

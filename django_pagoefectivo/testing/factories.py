"""Factories for factory_boy: ``pip install django-pagoefectivo[testing]``."""

from __future__ import annotations

import copy
import itertools
import json
from datetime import datetime
from typing import Any

from django.utils import timezone

from ..conf import get_config
from ..extras import from_extra
from ..gateways.signing import digest, key_label
from ..models import ApiExchange, Outcome, Payment, SignalDelivery, WebhookEvent
from ..services import Customer
from .payments import payment_fields
from .signing import notification

with from_extra(
    "testing",
    "The factories need factory_boy",
    instead="use django_pagoefectivo.testing.make_payment, which needs nothing",
):
    from factory.base import Factory
    from factory.declarations import LazyFunction, Sequence, SubFactory
    from factory.django import DjangoModelFactory

_numbers = itertools.count(1)


class CustomerFactory(Factory[Customer]):
    """A shopper, as ``create_payment`` takes one."""

    class Meta:
        model = Customer

    email = Sequence(lambda n: f"shopper{n}@correo.example")
    first_name = "Rosa"
    last_name = "Quispe"


class PaymentFactory(DjangoModelFactory[Payment]):
    """A payment in any ``status``, pending unless told; see ``make_payment``."""

    class Meta:
        model = Payment

    status = "pending"

    @classmethod
    def _adjust_kwargs(cls, **kwargs: Any) -> dict[str, Any]:
        return payment_fields(**kwargs)


class WebhookEventFactory(DjangoModelFactory[WebhookEvent]):
    """A notification as it is kept: of ``payment``, or of none that is known here."""

    class Meta:
        model = WebhookEvent

    payment: Any = None

    @classmethod
    def _adjust_kwargs(cls, **kwargs: Any) -> dict[str, Any]:
        return event_fields(kwargs.pop("payment"), **kwargs)


class SignalDeliveryFactory(DjangoModelFactory[SignalDelivery]):
    """A receiver that is owed a call; with ``last_error`` one that raised."""

    class Meta:
        model = SignalDelivery

    payment = SubFactory(PaymentFactory, status="paid")
    signal = "payment_confirmed"
    receiver = "shop.receivers.on_paid"
    source = "webhook"
    extra = LazyFunction(lambda: {"late": False})


class ApiExchangeFactory(DjangoModelFactory[ApiExchange]):
    """A call to PagoEfectivo and its answer, as the exchange log keeps them."""

    class Meta:
        model = ApiExchange

    payment = SubFactory(PaymentFactory)
    merchant = "default"
    operation = "search"
    method = "POST"
    url = "https://pre1a.services.pagoefectivo.pe/v1/cips/search"
    request = '{"data": []}'
    response = '{"code": "100", "message": "Solicitud exitosa.", "data": []}'
    http_status = 200
    api_code = "100"
    milliseconds = 120


def event_fields(payment: Payment | None, **fields: Any) -> dict[str, Any]:
    """The fields of the event that a notification of ``payment`` would have left."""
    number = next(_numbers)
    merchant = fields.get("merchant", "default" if payment is None else payment.merchant)
    if payment is None:
        # Nobody's: a code that only PagoEfectivo knows.
        cip = str(fields.get("cip", 90_000_000 + number))
        values = payment_fields(merchant=merchant, cip=cip, transaction_code=f"X-{number}")
        about = Payment(pk=number, **values)
    else:
        about = payment
    config = get_config()
    # An event outlives its merchant's configuration.
    known = merchant if merchant in config.merchant_names else config.merchant_names[0]
    signer = copy.copy(about)
    signer.merchant = known
    sent = notification(
        signer,
        operation_number=fields.get("operation_number", f"7{number}"),
        amount=fields.get("amount"),
        currency=fields.get("currency"),
    )
    now: datetime = timezone.now()
    values = {
        "merchant": merchant,
        "digest": digest(sent.body + str(number).encode()),
        "body": sent.body,
        "signature": sent.headers.get("PE-Signature", sent.headers.get("X-Signature", "")),
        "signed_with": key_label(config.merchant(known).secret_key),
        "event_type": json.loads(sent.body)["eventType"],
        "cip": about.cip or "",
        "remote_id": about.remote_id,
        "amount": about.amount,
        "currency": about.currency,
        "operation_number": f"7{number}",
        "payment": payment,
        "outcome": Outcome.UNMATCHED if payment is None else Outcome.APPLIED,
        "received_at": now,
        "last_received_at": now,
    }
    return values | fields

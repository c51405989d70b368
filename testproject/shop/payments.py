"""Where the shop asks PagoEfectivo for a payment code."""

from __future__ import annotations

import logging
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import get_language
from rest_framework.request import Request

from django_pagoefectivo.exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    OrderAlreadyOpen,
    OrderAlreadyPaid,
    OutcomeUnknown,
    RequestRejected,
)

from . import orders
from .models import Order

logger = logging.getLogger("shop")


def payment_for_order(request: Request, data: dict[str, Any]) -> dict[str, Any] | None:
    """What an order costs that somebody wants to pay by the REST API; ``None`` if it is not theirs.

    Only its reference is believed. An order that was given up is opened again.
    """
    # The API lets nobody else in.
    account = cast("User", request.user)
    order = Order.objects.filter(number=data["order_reference"], user=account).first()
    if order is None:
        return None
    try:
        orders.reopen_order(order, reason="The shopper asked for a new payment code.")
    except orders.SoldOut as error:
        raise ValidationError({"order_reference": str(error)}) from None
    return order.payment_arguments()


def ask_for_code(request: HttpRequest, order: Order, *, supersede: bool = False) -> None:
    """Ask for the order's payment code, and tell the shopper if there is none.

    Only ``InvalidPayment`` is left to the caller: it names a field that the shopper can
    correct. ``supersede`` says that the shopper chose to try again though an earlier
    attempt may have made a code.
    """
    try:
        order.create_payment(
            user=request.user,
            request=request,
            # The mail with the code may go out later, where no request says it.
            metadata={"language": get_language()},
            supersede=supersede,
        )
    except OutcomeUnknown:
        messages.warning(
            request,
            "PagoEfectivo did not answer in time, so we cannot tell yet whether your payment "
            "code was made. Your goods are set aside, and this page shows the payment as soon "
            "as we hear of it.",
        )
    except GatewayUnavailable:
        messages.error(
            request,
            "PagoEfectivo cannot be reached just now. Nothing was charged; please try again "
            "in a few minutes.",
        )
    except (RequestRejected, AuthenticationFailed):
        # The shopper cannot mend it. The payment keeps the reason for staff.
        logger.exception("No payment code for order %s", order)
        messages.error(
            request,
            "PagoEfectivo did not accept this order. Nothing was charged; our staff have been "
            f"told. Please mention order {order.number} if you write to us.",
        )
    except OrderAlreadyPaid:
        messages.info(request, "This order is paid already. Thank you!")
    except OrderAlreadyOpen:
        messages.info(request, "This order has a payment code already; it is shown below.")

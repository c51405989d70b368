"""Where the shop asks PagoEfectivo for a payment code."""

from __future__ import annotations

import logging

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import get_language

from django_pagoefectivo.exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    OrderAlreadyOpen,
    OrderAlreadyPaid,
    OutcomeUnknown,
    RequestRejected,
)
from django_pagoefectivo.services import Customer, create_payment

from .models import Order

logger = logging.getLogger("shop")


def ask_for_code(request: HttpRequest, order: Order, *, supersede: bool = False) -> None:
    """Ask for the order's payment code, and tell the shopper if there is none.

    Only ``InvalidPayment`` is left to the caller: it names a field that the shopper can
    correct. ``supersede`` says that the shopper chose to try again though an earlier
    attempt may have made a code.
    """
    phone = {"phone": order.phone, "phone_country_code": "+51"} if order.phone else {}
    try:
        create_payment(
            order_reference=order.number,
            amount=order.total,
            currency=order.currency,
            description=", ".join(str(line) for line in order.lines.all()),
            customer=Customer(
                email=order.email,
                first_name=order.first_name,
                last_name=order.last_name,
                country="PERU",
                **phone,
            ),
            order=order,
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

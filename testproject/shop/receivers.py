"""How the shop hears about payments: one receiver for each thing that can happen.

django-pagoefectivo calls each of them after the fact is safe on disk, and again, later, if
it raises. Each finds its order through ``payment.order`` and may be called twice.
"""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from django_pagoefectivo.models import Payment
from django_pagoefectivo.signals import (
    payment_cancelled,
    payment_confirmed,
    payment_expired,
    payment_failed,
    payment_flagged,
    payment_pending,
    payment_refunded,
)

from . import mails, orders
from .models import Order


def _code(payment: Payment) -> str:
    return f"payment code {payment.cip}" if payment.cip else "PagoEfectivo"


def _order_of(payment: Payment) -> Order | None:
    """The payment's order, or ``None`` if it was made for something else."""
    return payment.order if isinstance(payment.order, Order) else None


@receiver(payment_confirmed, dispatch_uid="shop.mark_order_paid")
def mark_order_paid(payment: Payment, late: bool, **kwargs: Any) -> None:
    """The money is there. ``late``: after the payment had been given up.

    What is done about the goods hangs on whether the order still holds them, not on
    ``late``: another code of it may have expired and this one be in time.
    """
    order = _order_of(payment)
    if order is not None and order.is_paid_for:
        orders.mark_paid(order, code=_code(payment) + (", late" if late else ""))


@receiver(payment_expired, dispatch_uid="shop.put_stock_back_after_expiry")
def put_stock_back_after_expiry(payment: Payment, **kwargs: Any) -> None:
    """Nobody paid in time: somebody else may buy the goods."""
    _give_up(payment, Order.Status.EXPIRED, f"The term of {_code(payment)} is over.")


@receiver(payment_cancelled, dispatch_uid="shop.put_stock_back_after_cancel")
def put_stock_back_after_cancel(payment: Payment, **kwargs: Any) -> None:
    """The code was deleted."""
    _give_up(payment, Order.Status.CANCELLED, f"The {_code(payment)} was cancelled.")


@receiver(payment_failed, dispatch_uid="shop.put_stock_back_after_failure")
def put_stock_back_after_failure(payment: Payment, **kwargs: Any) -> None:
    """PagoEfectivo gave no code, so nobody can pay."""
    _give_up(payment, Order.Status.CANCELLED, "PagoEfectivo gave no payment code.")


def _give_up(payment: Payment, status: Order.Status, reason: str) -> None:
    order = _order_of(payment)
    # The shopper may have a newer code by now, or this one may have been extended.
    if order is not None and not order.has_payable_code:
        orders.release_order(order, status=status, reason=reason)


@receiver(payment_pending, dispatch_uid="shop.wait_again")
def wait_again(payment: Payment, **kwargs: Any) -> None:
    """A code can be paid: a new one, or an expired one that staff extended."""
    order = _order_of(payment)
    if order is None or not order.has_payable_code:
        return
    try:
        orders.reopen_order(order, reason=f"The {_code(payment)} can be paid again.")
    except orders.SoldOut as error:
        orders.tell_staff(order, f"{error} Its {_code(payment)} was extended all the same.")


@receiver(payment_pending, dispatch_uid="shop.mail_instructions")
def mail_instructions(payment: Payment, **kwargs: Any) -> None:
    """Send the shopper the code, or its new deadline. Tried again if the mail server is away."""
    order = _order_of(payment)
    if order is not None:
        mails.send_instructions(order, payment)


@receiver(payment_refunded, dispatch_uid="shop.mark_order_refunded")
def mark_order_refunded(payment: Payment, **kwargs: Any) -> None:
    """PagoEfectivo gave the shopper's money back.

    If the order was paid twice, this was the second payment and the order stays paid.
    """
    order = _order_of(payment)
    if order is not None and not order.is_paid_for:
        orders.mark_refunded(order)


@receiver(payment_flagged, dispatch_uid="shop.tell_staff")
def tell_staff(payment: Payment, reason: str, **kwargs: Any) -> None:
    """Something about the payment is odd: staff find it in the list of orders too."""
    order = _order_of(payment)
    if order is not None:
        label = Payment.Attention(reason).label
        orders.tell_staff(order, f"The {_code(payment)}: {label}. See the payment.")

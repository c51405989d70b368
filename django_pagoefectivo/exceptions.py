"""What can go wrong, each with what a person needs to mend it.

``PagoEfectivoError`` is the base of everything that a payment can run into. A wrong
setting is Django's ``ImproperlyConfigured`` and a call inside a transaction is
``InsideTransaction``: both are faults of the code around, so catching the base class
does not hide them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.db.transaction import TransactionManagementError

if TYPE_CHECKING:
    from .models import Payment


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that PagoEfectivo found wrong: its name, the API's code and message."""

    field: str
    code: str
    message: str


class PagoEfectivoError(Exception):
    """Base class; ``payment`` is the payment it happened to, where there is one."""

    def __init__(self, message: str, *, payment: Payment | None = None) -> None:
        super().__init__(message)
        self.payment = payment


class InvalidPayment(PagoEfectivoError, ValueError):
    """The payment cannot be asked for like this; no call was made. ``field`` says where."""

    def __init__(self, field: str, message: str, *, payment: Payment | None = None) -> None:
        super().__init__(f"{field}: {message}", payment=payment)
        self.field = field
        self.message = message


class RequestRejected(PagoEfectivoError):
    """PagoEfectivo read the request and said no.

    ``code`` and ``api_message`` are the API's own, ``errors`` the fields it named.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        api_message: str = "",
        errors: Sequence[FieldError] = (),
        payment: Payment | None = None,
    ) -> None:
        super().__init__(message, payment=payment)
        self.code = code
        self.api_message = api_message
        self.errors = tuple(errors)


class AuthenticationFailed(PagoEfectivoError):
    """PagoEfectivo did not accept the merchant's credentials; nothing was done there."""

    def __init__(self, message: str, *, code: str = "", payment: Payment | None = None) -> None:
        super().__init__(message, payment=payment)
        self.code = code


class GatewayUnavailable(PagoEfectivoError, ConnectionError):
    """PagoEfectivo could not be reached or gave no usable answer, and nothing was changed there.

    After ``create_payment`` the payment is ``failed`` and it is safe to ask again.
    """


class OutcomeUnknown(PagoEfectivoError):
    """The request was sent, but no readable answer came: it may or may not have been done.

    Repeating it blindly could make a second code. ``payment`` keeps waiting for the
    notification; a person can choose ``supersede=True`` to try again.
    """


class OrderAlreadyOpen(PagoEfectivoError):
    """The order has an open payment with another amount or currency (``payment``)."""


class OrderAlreadyPaid(PagoEfectivoError):
    """The order is paid; ``payment`` is the one that paid it."""


class InvalidTransition(PagoEfectivoError):
    """The payment's state does not allow this; the message says which state and why."""


class NotSupported(PagoEfectivoError):
    """The merchant's PagoEfectivo contract has no such operation."""


class MerchantsUnavailable(PagoEfectivoError, ImproperlyConfigured):
    """The callable in ``MERCHANTS`` failed and never answered before: no merchant is known.

    Nothing was sent or stored; it is safe to ask again.
    """


class InsideTransaction(TransactionManagementError):
    """``create_payment`` was called inside a transaction that could still be rolled back."""


class InvalidNotification(ValueError):
    """A signed notification that is not JSON or lacks a field; the message names it."""


class NotificationRefused(SuspiciousOperation):
    """A notification without a valid signature or from an address that is not allowed."""

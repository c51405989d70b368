"""For a shop's own model that can be paid: an order, a booking, a donation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib.contenttypes.fields import GenericRelation
from django.db import models
from django.utils import timezone

from .models import Payment, PaymentQuerySet, Status
from .services import create_payment

if TYPE_CHECKING:
    from django.http import HttpRequest


class PaymentRelation(GenericRelation):
    """A generic relation whose payments stay when the order is deleted.

    Django's own would delete them with it. They are the record of money.
    """

    def bulk_related_objects(
        self, objs: Sequence[models.Model], using: str = "default"
    ) -> PaymentQuerySet:
        """Nothing that goes together with ``objs``."""
        return Payment.objects.using(using).none()


class PayableMixin(models.Model):
    """Base for a model that payments are made for.

    Say what it costs in ``payment_terms``; then ``order.create_payment(request=request)``
    asks for a code. ``payments`` are all codes that were asked for, the newest first; the
    properties read them all at once, so that ``prefetch_related("payments")`` makes them
    cost nothing for each order of a list. Orders can be filtered by ``payments__…`` where
    their primary keys are numbers or text; SQLite and MariaDB write UUIDs in another way
    than the link does.
    """

    payments = PaymentRelation(
        Payment,
        content_type_field="order_content_type",
        object_id_field="order_object_id",
    )

    class Meta:
        abstract = True

    def payment_terms(self) -> dict[str, Any]:
        """The arguments of ``create_payment`` that this order stands for.

        At least ``order_reference``, ``amount`` and ``customer``.
        """
        raise NotImplementedError(
            f"{type(self).__name__}.payment_terms must return a dict with order_reference, amount "
            "and customer."
        )

    def payment_arguments(self) -> dict[str, Any]:
        """``payment_terms`` with the link to this order: what ``PAYMENT_FOR_ORDER`` returns."""
        return {"order": self, **self.payment_terms()}

    def create_payment(self, *, request: HttpRequest | None = None, **changes: Any) -> Payment:
        """Ask PagoEfectivo for a code for this order, or return its open payment.

        ``changes`` are further arguments of ``services.create_payment``, such as
        ``supersede=True``, and go before ``payment_terms``. Raises what that raises.
        """
        return create_payment(**{"request": request, **self.payment_arguments(), **changes})

    @property
    def latest_payment(self) -> Payment | None:
        """The newest payment in whatever state, ``None`` if there was never one."""
        return next(iter(self._payments()), None)

    @property
    def open_payment(self) -> Payment | None:
        """The payment that can be paid now: being prepared, or pending and within its term."""
        now = timezone.now()
        for payment in self._payments():
            if payment.status == Status.PENDING and payment.expires_at > now:
                return payment
            # One that was given up for a new attempt has let its place go.
            if payment.status == Status.CREATED and payment.open_key is not None:
                return payment
        return None

    @property
    def paid_payment(self) -> Payment | None:
        """The payment that paid this order: the one that was confirmed, if several did."""
        paid = [payment for payment in self._payments() if payment.is_paid]
        confirmed = (payment for payment in paid if payment.confirmed_key is not None)
        return next(confirmed, paid[-1] if paid else None)

    @property
    def is_paid(self) -> bool:
        """Whether a payment of this order is paid and not refunded."""
        return self.paid_payment is not None

    def _payments(self) -> Sequence[Payment]:
        payments: Sequence[Payment] = list(self.payments.all())
        return payments

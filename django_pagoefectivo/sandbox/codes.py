"""What happens to codes, as single statements: made, extended, deleted, paid, expired."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from .models import SandboxCode
from .protocol import CreateRequest
from .protocol_payment import PaymentRequest

Status = SandboxCode.Status

#: CIPs are random, so that a sandbox whose rows were cleared repeats none of the old ones.
LOWEST_CIP, HIGHEST_CIP = 10_000_000, 99_999_999
_ATTEMPTS = 20


def make(asked: CreateRequest, service_id: str, origin: str, now: datetime) -> SandboxCode:
    """Make a code; a repeated ``transactionCode`` makes a second one."""
    return _insert(
        service_id=service_id,
        transaction_code=asked.transaction_code,
        amount=asked.amount,
        currency=asked.currency,
        date_expiry=asked.date_expiry,
        concept=asked.concept,
        user_email=asked.user_email,
        details=asked.details,
        origin=origin,
        created_at=now,
    )


def make_payment(
    asked: PaymentRequest, merchant_id: str, origin: str, now: datetime
) -> SandboxCode | None:
    """Make a code by the Payment API; ``None`` if the merchant's order number is taken."""
    taken = SandboxCode.objects.filter(order_key=f"{merchant_id} {asked.order_number}")
    if taken.exists():
        return None
    try:
        return _insert(
            contract=SandboxCode.Contract.PAYMENT,
            order_key=f"{merchant_id} {asked.order_number}",
            service_id=merchant_id,
            transaction_code=asked.order_number,
            amount=asked.amount,
            currency=asked.currency,
            date_expiry=asked.expires_at,
            concept=asked.description,
            user_email=asked.customer.get("email", ""),
            details=asked.customer,
            callback_url=asked.callback_url,
            return_url=asked.return_url,
            origin=origin,
            created_at=now,
        )
    except IntegrityError:
        if taken.exists():
            return None
        raise


def _insert(**values: Any) -> SandboxCode:
    attempts = 0
    while True:
        attempts += 1
        try:
            with transaction.atomic():
                return SandboxCode.objects.create(cip=_random_cip(), **values)
        except IntegrityError:
            # The number is taken, which the next one hardly ever is.
            if attempts == _ATTEMPTS:
                raise


def find(cips: Collection[int], service_id: str) -> dict[int, SandboxCode]:
    """The service's own codes among ``cips``, by CIP."""
    rows = SandboxCode.objects.filter(cip__in=cips, service_id=service_id)
    return {code.cip: code for code in rows}


def extend(cip: int, service_id: str, date_expiry: datetime) -> bool:
    """Move the term of a generated or expired code; an expired one is generated again."""
    rows = SandboxCode.objects.filter(
        cip=cip, service_id=service_id, status__in=(Status.GENERATED, Status.EXPIRED)
    )
    return rows.update(date_expiry=date_expiry, status=Status.GENERATED) == 1


def delete(cip: int, service_id: str, now: datetime) -> bool:
    """Delete a code, which is possible only while it is generated."""
    rows = SandboxCode.objects.filter(cip=cip, service_id=service_id)
    return _generated(rows, now).update(status=Status.DELETED, deleted_at=now) == 1


def pay(code: SandboxCode, operation_number: str, paid_at: datetime) -> bool:
    """Take the money of a code that is not paid yet, whatever else its status is.

    PagoEfectivo does take money after a code's term, and a deletion can cross a payment.
    """
    rows = SandboxCode.objects.filter(pk=code.pk).exclude(status=Status.PAID)
    return rows.update(status=Status.PAID, operation_number=operation_number, paid_at=paid_at) == 1


def expire(code: SandboxCode, now: datetime) -> bool:
    """End the term of a generated code at once."""
    rows = _generated(SandboxCode.objects.filter(pk=code.pk), now)
    return rows.update(status=Status.EXPIRED, date_expiry=now) == 1


def refund(code: SandboxCode, now: datetime) -> bool:
    """Give back the money of a paid code.

    No status number of a refund is published: a status query goes on saying paid.
    """
    rows = SandboxCode.objects.filter(pk=code.pk, status=Status.PAID, refunded_at=None)
    return rows.update(refunded_at=now) == 1


def _generated(rows: QuerySet[SandboxCode], now: datetime) -> QuerySet[SandboxCode]:
    return rows.filter(Q(status=Status.GENERATED, date_expiry__gt=now))


def _random_cip() -> int:
    return LOWEST_CIP + secrets.randbelow(HIGHEST_CIP - LOWEST_CIP + 1)

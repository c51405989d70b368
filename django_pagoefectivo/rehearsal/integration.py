"""The rehearsal at PagoEfectivo's integration environment: as far as one can go without paying."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db import Error as DatabaseError
from django.utils import timezone

from ..conf import Merchant, get_config
from ..exceptions import PagoEfectivoError
from ..gateways import RemoteStatus, gateway_for
from ..models import Payment, Status
from ..services import (
    Customer,
    cancel_payment,
    create_payment,
    extend_payment,
    sync_payment,
)
from ..services.sync import ref_of
from .lines import Line, Verdict, text_of
from .removal import remove

_AMOUNT = Decimal("12.34")
_KEYS = (
    "Compare SERVICE_ID, ACCESS_KEY and SECRET_KEY with PagoEfectivo's letter for integration, "
    "and run manage.py pagoefectivo_doctor."
)


@dataclass
class _Step:
    name: str
    did: str
    must: str


_CREATE = _Step("create", "a code is asked for", "the payment is pending and has a code")
_QUERY = _Step("query", "PagoEfectivo is asked about it", "it says pending, and knows the amount")
_EXTEND = _Step("extend", "the deadline is moved by a day", "PagoEfectivo takes it, and says so")
_DELETE = _Step("delete", "the code is deleted", "the payment is cancelled, and so says the query")
_CALLS = _Step("the calls", "PagoEfectivo is called", "it answers")


def play(merchant: Merchant, email: str, *, keep: bool) -> Generator[Line, None, None]:
    """Create, query, extend, delete. ``merchant`` must not be in production."""
    config = get_config()
    gateway = gateway_for(merchant, config)
    reference = f"REHEARSAL-{secrets.token_hex(3).upper()}"
    payment: Payment | None = None
    at_end: list[Line] = []
    try:
        payment = create_payment(
            order_reference=reference,
            amount=_AMOUNT,
            currency=merchant.currencies[0],
            description="Rehearsal",
            customer=Customer(email=email),
            merchant=merchant.name,
            metadata={"rehearsal": reference},
        )
        code = payment.cip or payment.remote_id
        yield _line(_CREATE, payment.status == Status.PENDING, f"{payment.status}, code {code}")
        yield _queried(payment, gateway.states([ref_of(payment)])[0])
        if gateway.can_extend:
            yield _extended(payment)
        else:
            yield _not_in_contract(_EXTEND)
        if gateway.can_cancel:
            cancel_payment(payment)
            sync_payment(payment)
            yield _line(_DELETE, payment.status == Status.CANCELLED, payment.status)
        else:
            yield _not_in_contract(_DELETE)
    except (PagoEfectivoError, DatabaseError) as error:
        payment = payment or getattr(error, "payment", None)
        yield _line(_CALLS, False, f"{error}")
    except Exception as error:  # noqa: BLE001 - a gateway of the shop's own may run in it
        yield _line(_CALLS, False, f"it broke off with {text_of(error)}")
    finally:
        if payment is not None and not keep:
            at_end = remove([payment]).lines()
    yield from at_end


def _queried(payment: Payment, state: object) -> Line:
    status = getattr(state, "status", None)
    amount = getattr(state, "amount", None)
    right = status is RemoteStatus.PENDING and amount in (None, payment.amount)
    said = "it does not know the code" if state is None else f"{status}, {amount}"
    return _line(_QUERY, right, said)


def _extended(payment: Payment) -> Line:
    wanted = (timezone.now() + timedelta(days=2)).replace(microsecond=0)
    extend_payment(payment, expires_at=wanted)
    sync_payment(payment)
    said = f"the deadline is {payment.expires_at.isoformat()}"
    return _line(_EXTEND, payment.expires_at == wanted, said)


def _line(step: _Step, right: bool, saw: str) -> Line:
    verdict = Verdict.PASSED if right else Verdict.FAILED
    return Line(step.name, step.did, step.must, saw, verdict, "" if right else _KEYS)


def _not_in_contract(step: _Step) -> Line:
    why = "the merchant's contract has no such call"
    return Line(step.name, step.did, step.must, why, Verdict.SKIPPED)

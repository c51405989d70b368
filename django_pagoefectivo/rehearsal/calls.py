"""Scenarios of the calls to PagoEfectivo, and of the shopper who comes back too early."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..exceptions import GatewayUnavailable, OutcomeUnknown, PagoEfectivoError
from ..models import Attention, Payment, Status
from ..sandbox import control
from ..sandbox.faults import ApiFault, NotificationFault, Operation
from ..services import create_payment
from .lines import Seen
from .stage import Stage

_CATCH = (
    "Catch OutcomeUnknown where you call create_payment, tell the shopper that the code is "
    "being looked for, and do not ask again by yourself."
)


def cut_before(stage: Stage) -> Iterator[Seen]:
    """The line breaks before PagoEfectivo does anything."""
    order = stage.order()
    payment, seen = _cut(
        stage,
        order,
        ApiFault.CUT_BEFORE,
        "the line is cut before the code is made",
        "OutcomeUnknown: the payment is kept, flagged, and not asked for again by itself",
        codes=0,
    )
    yield seen
    again = _create({**order, "supersede": True})
    newest = stage.payments.filter(order_reference=order["order_reference"]).latest("pk")
    yield Seen(
        "a person decides to try again (supersede=True)",
        "there is a new payment with a code",
        f"{_name(again)}; {newest.status}",
        again is None and newest.pk != payment.pk and newest.status == Status.PENDING,
        _CATCH,
    )


def cut_after(stage: Stage) -> Iterator[Seen]:
    """The line breaks after the code is made: its answer is lost, the shopper may pay it."""
    payment, seen = _cut(
        stage,
        stage.order(),
        ApiFault.CUT_AFTER,
        "the line is cut after the code is made",
        "OutcomeUnknown: the payment is kept and flagged, and there is just one code",
        codes=1,
    )
    yield seen
    code = control.SandboxCode.objects.get(transaction_code=payment.transaction_code)
    sent = control.pay(code.cip, fault=NotificationFault.NEWER_FORM, callback_url=stage.webhook_url)
    stage.settle(payment)
    right, told = stage.told(payment, "payment_confirmed")
    yield Seen(
        "the shopper, who has the code by mail, pays it",
        "the notification finds the payment by its transaction code, and the shop is told once",
        f"answered {', '.join(str(s) for one in sent for s in one.statuses)}, {payment.status}; "
        f"{told}",
        payment.is_paid and right,
        "Run manage.py pagoefectivo_doctor. See that receivers find the order by "
        "payment.order_reference and not by the CIP, which was never known.",
    )


def _cut(
    stage: Stage, order: dict[str, Any], fault: ApiFault, did: str, must: str, *, codes: int
) -> tuple[Payment, Seen]:
    """The payment that is left when the create call is cut, and what was seen of it."""
    stage.arm(fault, Operation.CREATE)
    error = _create(order)
    payment = stage.payments.get(order_reference=order["order_reference"])
    made = stage.codes(payment)
    return payment, Seen(
        did,
        must,
        f"{_name(error)}; {payment.status}, attention {payment.attention or 'none'}, "
        f"{made} codes at PagoEfectivo",
        isinstance(error, OutcomeUnknown)
        and payment.attention == Attention.OUTCOME_UNKNOWN
        and made == codes,
        _CATCH,
    )


def down(stage: Stage) -> Iterator[Seen]:
    """PagoEfectivo cannot be reached at all."""
    order = stage.order()
    with stage.unreachable():
        error = _create(order)
    payment = stage.payments.get(order_reference=order["order_reference"])
    yield Seen(
        "PagoEfectivo is down when the code is asked for",
        "GatewayUnavailable: the payment is failed, and it is safe to ask again",
        f"{_name(error)}; {payment.status}",
        isinstance(error, GatewayUnavailable) and payment.status == Status.FAILED,
        "Catch GatewayUnavailable where you call create_payment and let the shopper try again.",
    )
    again = _create(order)
    newest = stage.payments.filter(order_reference=order["order_reference"]).latest("pk")
    yield Seen(
        "it is up again, and the shopper tries again",
        "the order gets a code",
        f"{_name(again)}; {newest.status}",
        again is None and newest.status == Status.PENDING,
        "Run manage.py pagoefectivo_doctor: it asks PagoEfectivo and says what it answers.",
    )


def return_before_payment(stage: Stage) -> Iterator[Seen]:
    """The browser comes back although nothing is paid."""
    payment = stage.create()
    page = stage.http.get(f"{stage.url}{payment.get_absolute_url()}", allow_redirects=False)
    yield Seen(
        "the shopper opens the payment page without an account",
        "it is shown, and says how to pay",
        f"HTTP {page.status_code}{_where(page.headers.get('Location'))}",
        page.status_code == 200,
        "The token in the address is the credential: let the page pass what asks for a login.",
    )
    stage.http.get(f"{stage.url}{payment.get_absolute_url()}return/", allow_redirects=False)
    answer = stage.http.get(f"{stage.url}{payment.get_absolute_url()}status/")
    paid = _paid(answer)
    stage.settle(payment)
    right, seen = stage.told(payment, "payment_confirmed", times=0)
    yield Seen(
        "the browser comes back before anything is paid",
        "nothing is confirmed: the return says nothing about the money",
        f"the payment is {payment.status}, its status page says paid: {paid}; {seen}",
        payment.status == Status.PENDING and paid is False and right,
        "Nothing but payment_confirmed may mark an order paid, least of all the page that the "
        "browser returns to.",
    )


def _paid(answer: Any) -> object:
    try:
        return answer.json().get("paid")
    except ValueError:
        return f"no JSON (HTTP {answer.status_code})"


def _create(order: dict[str, Any]) -> PagoEfectivoError | None:
    try:
        create_payment(**order)
    except PagoEfectivoError as error:
        return error
    return None


def _name(error: PagoEfectivoError | None) -> str:
    return "no error" if error is None else type(error).__name__


def _where(location: str | None) -> str:
    return f" to {location.partition('?')[0]}" if location else ""

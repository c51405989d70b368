"""The sandbox driven from code, for tests and demos.

Codes are named by their CIP, as text or as a number, those of the Payment API also by their
``paymentId``; everything works the same for both contracts. What sends a notification really sends
it, over HTTP, and returns what the shop answered; so it must not be called inside a
transaction. Whatever changes something raises ``ImproperlyConfigured`` while a merchant is in
production.
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from . import armed as queue
from . import codes, notifications
from .armed import DEFAULT_WAIT
from .credentials import require_available
from .faults import LONGEST_WAIT, ApiFault, NotificationFault, Operation
from .messages import EXPIRED, PAID, REFUNDED, AnyMessage, message
from .models import SandboxCall, SandboxCode, SandboxFault, SandboxNotification
from .notifications import SentNotification, Try

__all__ = [
    "ApiFault",
    "NotificationFault",
    "Operation",
    "SandboxCall",
    "SandboxCode",
    "SandboxFault",
    "SandboxNotification",
    "SentNotification",
    "Try",
    "arm",
    "armed",
    "build_notification",
    "calls",
    "code",
    "delete",
    "disarm",
    "expire",
    "pay",
    "refund",
    "reset",
    "send",
]

_Fault = NotificationFault


def code(cip: int | str) -> SandboxCode:
    """The code with this CIP or ``paymentId``. Raises ``SandboxCode.DoesNotExist``."""
    require_available()
    name = str(cip)
    if name.isascii() and name.isdigit():
        return SandboxCode.objects.get(cip=int(name))
    try:
        return SandboxCode.objects.get(uuid=UUID(name))
    except ValueError:
        raise SandboxCode.DoesNotExist(f"{name!r} is no CIP and no paymentId.") from None


def pay(
    cip: int | str,
    *,
    fault: NotificationFault = NotificationFault.NONE,
    operation_number: str | None = None,
    amount: Decimal | None = None,
    currency: str | None = None,
    paid_at: datetime | None = None,
    callback_url: str | None = None,
    notify: bool = True,
    delay: float = DEFAULT_WAIT,
) -> list[SentNotification]:
    """Pay a code at an agent and notify the shop, the way ``fault`` says.

    Works in every status, since money does come late or for a deleted code; a paid code is
    paid again, with another operation number. ``amount`` and ``currency`` are what the
    notification says and default to the code's; ``operation_number`` defaults to a new one,
    ``paid_at`` (aware) to now. ``callback_url`` defaults to the shop's own webhook.
    ``delay`` is the seconds of the late fault. Returns the notifications sent, in order.
    """
    one = code(cip)
    fault = NotificationFault(fault)
    url = _url(one, callback_url) if notify and fault is not _Fault.NEVER else None
    if not 0 <= delay <= LONGEST_WAIT:
        raise ValueError(f"delay must be between 0 and {LONGEST_WAIT:g} seconds.")
    now = timezone.now()
    operation = operation_number or _new_operation()
    if fault is _Fault.EXPIRED_THEN_PAID:
        codes.expire(one, now)
    codes.pay(one, operation, paid_at or now)
    if fault is _Fault.LATE_AFTER_EXPIRY:
        _end_term(one)
    elif fault is _Fault.LATE:
        time.sleep(delay)
    if url is None:
        return []
    one.refresh_from_db()
    paid = message(
        one,
        operation_number=operation,
        amount=amount,
        currency=currency,
        paid_at=paid_at,
        fault=fault,
    )
    if fault is _Fault.TWICE_AT_ONCE:
        return notifications.deliver_at_once(one, paid, url)
    return notifications.deliver(one, _messages(one, paid), url)


def expire(
    cip: int | str, *, notify: bool = False, callback_url: str | None = None
) -> list[SentNotification]:
    """End a generated code's term now; ``notify`` also sends ``cip.expired``.

    That event is seen in the open but not documented, so it is not sent unless asked for.
    """
    one = code(cip)
    url = _url(one, callback_url) if notify else None
    codes.expire(one, timezone.now())
    if url is None:
        return []
    return notifications.deliver(one, [_expired(one)], url)


def delete(cip: int | str) -> bool:
    """Delete a generated code, as a call of the API would; whether it was one."""
    one = code(cip)
    return codes.delete(one.cip, one.service_id, timezone.now())


def refund(
    cip: int | str, *, notify: bool = True, callback_url: str | None = None
) -> list[SentNotification]:
    """Give back the money of a paid code and send ``cip.refunded``.

    Does nothing to a code that is not paid, or refunded already.
    """
    one = code(cip)
    url = _url(one, callback_url) if notify else None
    if not codes.refund(one, timezone.now()) or url is None:
        return []
    refunded = message(one, event_type=REFUNDED, operation_number=_new_operation())
    return notifications.deliver(one, [refunded], url)


def arm(
    fault: ApiFault,
    operation: Operation | str = Operation.CREATE,
    times: int = 1,
    seconds: float | None = None,
) -> SandboxFault:
    """Let the next ``times`` calls of ``operation`` go wrong; ``"any"`` means every call.

    ``seconds`` is how late a slow answer comes, at most 30. Faults queue up in their order.
    """
    require_available()
    return queue.arm(ApiFault(fault), Operation(operation), times, seconds)


def disarm() -> int:
    """Forget every armed fault; returns how many there were."""
    require_available()
    return SandboxFault.objects.all().delete()[0]


def armed() -> QuerySet[SandboxFault]:
    """The faults that wait, oldest first."""
    return SandboxFault.objects.all()


def calls(operation: Operation | str | None = None) -> QuerySet[SandboxCall]:
    """The calls that the API was sent, newest first; of one operation, or all of them."""
    rows = SandboxCall.objects.all()
    return rows if operation is None else rows.filter(operation=Operation(operation))


def build_notification(
    one: SandboxCode,
    *,
    event_type: str = PAID,
    operation_number: str | None = None,
    amount: Decimal | None = None,
    currency: str | None = None,
    paid_at: datetime | None = None,
    fault: NotificationFault = NotificationFault.NONE,
) -> bytes:
    """The body of a notification, unsent. What is not given is the code's own."""
    return message(
        one,
        event_type=event_type,
        operation_number=operation_number,
        amount=amount,
        currency=currency,
        paid_at=paid_at,
        fault=fault,
    ).body


def send(
    body: bytes, signature: str, url: str, header: str = notifications.SIGNATURE_HEADER
) -> tuple[Try, ...]:
    """``POST`` any notification, with PagoEfectivo's one repetition. Nothing is recorded.

    ``header`` carries the signature: ``PE-Signature``, or the Payment API's ``X-Signature``.
    """
    require_available()
    return notifications.send(body, signature, url, header)


def reset() -> None:
    """Forget everything: codes, calls, faults and notifications."""
    require_available()
    for model in (SandboxNotification, SandboxCode, SandboxCall, SandboxFault):
        model.objects.all().delete()


def _url(one: SandboxCode, given: str | None) -> str:
    """Where to send to; refuses before anything has changed."""
    notifications.refuse_transaction()
    return given or notifications.callback_url(one)


def _messages(one: SandboxCode, paid: AnyMessage) -> list[AnyMessage]:
    match paid.form:
        case _Fault.TWICE:
            return [paid, paid]
        case _Fault.EXPIRED_THEN_PAID:
            return [_expired(one), paid]
        case _Fault.PAID_THEN_EXPIRED:
            return [paid, _expired(one)]
        case _Fault.SECOND_OPERATION:
            again = message(one, operation_number=_new_operation(), fault=paid.form)
            return [paid, again]
        case _:
            return [paid]


def _expired(one: SandboxCode) -> AnyMessage:
    return message(one, event_type=EXPIRED, operation_number="")


def _end_term(one: SandboxCode) -> None:
    """Wait for the end of a term that is near; bring one that is far to its end."""
    left = (one.date_expiry - timezone.now()).total_seconds()
    if left > LONGEST_WAIT:
        SandboxCode.objects.filter(pk=one.pk).update(date_expiry=timezone.now())
    elif left > 0:
        time.sleep(left)


def _new_operation() -> str:
    return str(1_000_000 + secrets.randbelow(9_000_000))

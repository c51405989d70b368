"""How calls fail, the same for every contract.

What changes something at PagoEfectivo is sent once, and doubt is said as doubt; what only
asks is repeated once. An answer is bound to what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..conf import is_web_url
from ..exceptions import (
    FieldError,
    GatewayUnavailable,
    InvalidNotification,
    OutcomeUnknown,
    RequestRejected,
)
from .base import Charge, Notification, RemoteStatus
from .transport import Answer, CallFailed, NoAnswer, NotSent
from .wire import field_of, read_amount, read_json, read_text

LONGEST_URL = 500


def send_once(operation: str, call: Callable[[], Answer]) -> Answer:
    """Make a call that changes something.

    Raises ``GatewayUnavailable`` if it never left, else ``OutcomeUnknown``.
    """
    try:
        return call()
    except NotSent as error:
        raise GatewayUnavailable(f"PagoEfectivo could not be reached: {error}.") from None
    except NoAnswer as error:
        raise OutcomeUnknown(
            f"The {operation} call was sent, but no whole answer came: {error}."
        ) from None


def ask_twice(call: Callable[[], Answer]) -> Answer:
    """Make a call that only asks, once more after a broken connection or a 5xx.

    Raises ``GatewayUnavailable``.
    """
    try:
        answer = call()
        if answer.status < 500:
            return answer
    except CallFailed as error:
        # Waiting the whole time twice would keep a shopper or a worker too long.
        if error.timed_out:
            raise GatewayUnavailable(f"PagoEfectivo did not answer: {error}.") from None
    try:
        return call()
    except CallFailed as error:
        raise GatewayUnavailable(f"PagoEfectivo did not answer: {error}.") from None


def no_word(operation: str, answer: Answer) -> OutcomeUnknown:
    """The error for an answer that does not say whether a change was made."""
    return OutcomeUnknown(
        f"PagoEfectivo answered the {operation} call with HTTP {answer.status} and nothing that "
        "says whether it was done."
    )


def unreadable(operation: str, answer: Answer) -> GatewayUnavailable:
    """The error for an answer to a question that holds no answer."""
    return GatewayUnavailable(
        f"PagoEfectivo answered the {operation} call with HTTP {answer.status} and nothing "
        "readable."
    )


def rejection(operation: str, answer: Answer, code: str, details: object) -> RequestRejected:
    """The error for a refusal, with the fields that ``details`` names, masked."""
    errors: Sequence[FieldError] = tuple(
        FieldError(
            field=answer.mask(read_text(field_of(item, "field"))),
            code=answer.mask(read_text(field_of(item, "code"))),
            message=answer.mask(read_text(field_of(item, "message"))),
        )
        for item in (details if isinstance(details, list) else ())
        if isinstance(item, dict)
    )
    message = answer.mask(read_text(field_of(answer.data, "message")))
    code = answer.mask(code)
    named = "; ".join(f"{e.field}: {e.message} ({e.code})" for e in errors)
    return RequestRejected(
        f"PagoEfectivo refused the {operation} call: {message} (code {code or 'none'})"
        + (f": {named}" if named else ""),
        code=code,
        api_message=message,
        errors=errors,
    )


def require_bound(
    what: str, data: Mapping[str, Any], charge: Charge, *, transaction_code: str
) -> None:
    """Refuse an answer that is about something else than what was asked for.

    ``transaction_code`` is the name it has in ``data``. Raises ``OutcomeUnknown``.
    """
    for name, sent, read in (
        (transaction_code, charge.transaction_code, read_text),
        ("amount", charge.amount, read_amount),
        ("currency", charge.currency, read_text),
    ):
        value = field_of(data, name)
        if value is not None and read(value) != sent:
            raise OutcomeUnknown(
                f"PagoEfectivo made {what}, but its {name} is not the one that was asked for."
            )


def hosted_page(value: object) -> str:
    """The address of a code's hosted page, ``""`` where it is none that can be kept.

    A code can be paid without its page, so it is not given up for that.
    """
    url = read_text(value)
    return url if is_web_url(url) and len(url) <= LONGEST_URL else ""


def notification_root(body: bytes) -> tuple[dict[str, Any], str]:
    """The JSON object of a notification and its event type. Raises ``InvalidNotification``."""
    try:
        root = read_json(body)
    except ValueError as error:
        raise InvalidNotification(f"not JSON: {error}") from None
    if not isinstance(root, dict):
        raise InvalidNotification("the JSON is no object")
    event_type = read_text(field_of(root, "eventType"))
    if not event_type:
        raise InvalidNotification("eventType is missing")
    return root, event_type


def require_money(notification: Notification, within: str = "") -> Notification:
    """Refuse a paid notification that does not say how much.

    ``within`` is where amount and currency stand. Raises ``InvalidNotification``.
    """
    if notification.status is RemoteStatus.PAID:
        if notification.amount is None:
            raise InvalidNotification(f"{within}amount is missing or no amount")
        if not notification.currency:
            raise InvalidNotification(f"{within}currency is missing")
    return notification

"""The Payment API's callbacks as bytes. Form and words are the project's choice. No I/O."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from .faults import NotificationFault
from .models import SandboxCode
from .protocol import date_text

#: Event of the CIP API → event and status word of this one.
_WORDS = {
    "cip.paid": ("payment.paid", "PAID"),
    "cip.expired": ("payment.expired", "EXPIRED"),
    "cip.refunded": ("payment.refunded", "REFUNDED"),
    "cip.reviewed": ("payment.reviewed", "REVIEWED"),
}


@dataclass(frozen=True, slots=True)
class Callback:
    """What a callback says, and the form in which it says it."""

    event: str
    payment_id: str
    order_number: str
    currency: str
    amount: Decimal
    occurred_at: datetime | None
    form: NotificationFault = NotificationFault.NONE
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def event_type(self) -> str:
        """``payment.paid`` and the like."""
        return _WORDS[self.event][0]

    @property
    def body(self) -> bytes:
        """The bytes to send."""
        amount = f"{self.amount:.2f}"
        data = {
            "eventType": self.event_type,
            "eventId": self.event_id,
            "paymentId": self.payment_id,
            "orderNumber": self.order_number,
            "amount": amount,
            "currency": self.currency,
            "status": _WORDS[self.event][1],
            "occurredAt": date_text(self.occurred_at),
        }
        match self.form:
            case NotificationFault.MISSING_FIELD:
                del data["amount"]
            case NotificationFault.NEWER_FORM:
                data["channel"] = "AGENT"
            case NotificationFault.CAPITAL_KEYS:
                data = {name[0].upper() + name[1:]: value for name, value in data.items()}
        indented = self.form is NotificationFault.INDENTED
        text = json.dumps(
            data,
            ensure_ascii=False,
            indent=4 if indented else None,
            separators=None if indented else (",", ":"),
        )
        if self.form is NotificationFault.TEXT_AS_NUMBERS:
            text = text.replace(f'"{amount}"', amount)
        return text.encode()

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers: here just those that are sent."""
        return self.body


def callback(
    code: SandboxCode,
    event: str,
    *,
    amount: Decimal,
    currency: str,
    occurred_at: datetime,
    form: NotificationFault,
) -> Callback:
    """What is to be said about ``code``; ``event`` in the CIP API's words."""
    return Callback(
        event=event,
        payment_id=str(code.uuid),
        order_number=code.transaction_code,
        currency=currency,
        amount=amount,
        occurred_at=occurred_at,
        form=form,
    )

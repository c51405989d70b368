"""What people without the right to see personal data see instead.

Fields are masked by what they are. Free text, where a name or number may stand anywhere,
is searched for what is known of the payment's customer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.http import HttpRequest

from .gateways.masking import MASK, mask_email, mask_emails, mask_name, mask_tail, words_of
from .models import Payment
from .rights import PERSONAL_DATA, may

#: Fields of a notification that say nothing about a person. Whatever else it has is masked.
_HARMLESS = frozenset(
    name.lower()
    for name in (
        "eventType",
        "operationNumber",
        "cip",
        "currency",
        "amount",
        "paymentDate",
        "transactionCode",
        "eventId",
        "paymentId",
        "orderNumber",
        "status",
        "occurredAt",
    )
)
_SHORTEST_NUMBER = 5


class Discretion:
    """Shows personal data whole or masked, by the right of the person at the screen."""

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole

    @classmethod
    def of(cls, request: HttpRequest) -> Discretion:
        """The discretion that ``request``'s user calls for."""
        return cls(whole=may(request, PERSONAL_DATA))

    def email(self, value: str) -> str:
        """An e-mail address, or a user name that may be one."""
        return value if self.whole else mask_email(value)

    def name(self, value: str) -> str:
        """A person's name."""
        return value if self.whole else mask_name(value)

    def number(self, value: str) -> str:
        """A phone, document or customer number."""
        return value if self.whole else mask_tail(value)

    def text(self, value: str, payment: Payment | None) -> str:
        """Free text about ``payment``."""
        if self.whole or not value:
            return value
        if payment is not None:
            for pattern in _patterns(payment):
                value = pattern.sub(MASK, value)
        return mask_emails(value)

    def metadata(self, payment: Payment) -> str:
        """The shop's own data with the payment, which may say anything about a person."""
        if not payment.metadata:
            return ""
        return _dump(payment.metadata) if self.whole else MASK

    def body(self, body: bytes, payment: Payment | None) -> str:
        """A notification's body: as it came, or its harmless fields."""
        text = body.decode("utf-8", "replace")
        if self.whole:
            return text
        try:
            harmless = _harmless(json.loads(text))
        except (ValueError, RecursionError):
            return MASK
        return self.text(_dump(harmless), payment)


def _dump(value: Any) -> str:
    """JSON for people; what UTF-8 cannot carry (lone surrogates) stays an escape."""
    # Indented, the nesting costs more of Python's stack than the parser had to spend.
    for indent in (2, None):
        with suppress(RecursionError):
            text = json.dumps(value, indent=indent, ensure_ascii=False)
            return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return MASK


def _harmless(value: Any, key: str = "data") -> Any:
    if isinstance(value, dict):
        return {
            name if name.lower() in _HARMLESS or name.lower() == "data" else MASK: _harmless(
                item, name
            )
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_harmless(item, key) for item in value]
    return value if key.lower() in _HARMLESS else MASK


def _patterns(payment: Payment) -> Iterator[re.Pattern[str]]:
    """What to look for in free text about ``payment``, the longest first."""
    names = [payment.customer_first_name, payment.customer_last_name]
    words = {name for name in names if name} | words_of(names)
    numbers = {
        number
        for number in (
            payment.customer_document_number,
            payment.customer_phone,
            payment.customer_id_in_shop,
        )
        if len(number) >= _SHORTEST_NUMBER
    }
    if payment.customer_email:
        yield re.compile(re.escape(payment.customer_email), re.IGNORECASE)
    for number in sorted(numbers, key=len, reverse=True):
        yield re.compile(re.escape(number), re.IGNORECASE)
    for word in sorted(words, key=len, reverse=True):
        yield re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)

"""The Payment API: the contract with a Merchant ID and a Secret Key.

Published is what it does (create, status by payment or by order number, signed callbacks),
not how its messages look. Everything this project chose for that stands in the class
attributes and the small methods of ``PaymentGateway``; a merchant with a fuller document
changes them in a subclass and names it as ``API``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlencode

from ..exceptions import (
    AuthenticationFailed,
    InvalidNotification,
    InvalidPayment,
    OutcomeUnknown,
)
from .base import (
    Charge,
    CodeRef,
    Gateway,
    IssuedCode,
    Notification,
    RemoteState,
    RemoteStatus,
)
from .calls import (
    ask_twice,
    hosted_page,
    no_word,
    notification_root,
    rejection,
    require_bound,
    require_money,
    send_once,
    unreadable,
)
from .signing import sign
from .transport import Answer, Transport
from .wire import (
    field_of,
    read_amount,
    read_moment,
    read_text,
    to_lima_text,
)


@dataclass
class PaymentGateway(Gateway):
    """PagoEfectivo's Payment API for one merchant. It has no extend and no cancel."""

    signature_header: ClassVar[str] = "X-Signature"
    largest_batch: ClassVar[int | None] = 1

    #: The name of the transaction code in an answer to a create call, if it is there.
    order_field: ClassVar[str] = "orderNumber"
    create_path: ClassVar[str] = "/payment"
    status_path: ClassVar[str] = "/payment/status"
    #: Words of ``status`` → what they mean. A word that is not here is unknown.
    statuses: ClassVar[Mapping[str, RemoteStatus]] = {
        "PENDING": RemoteStatus.PENDING,
        "PAID": RemoteStatus.PAID,
        "EXPIRED": RemoteStatus.EXPIRED,
        "CANCELLED": RemoteStatus.CANCELLED,
        "REFUNDED": RemoteStatus.REFUNDED,
        "FAILED": RemoteStatus.FAILED,
    }
    #: Prefix of a callback's ``eventType``; what follows is a status word in lower case.
    event_prefix: ClassVar[str] = "payment."
    currencies: ClassVar[tuple[str, ...]] = ("PEN",)
    #: HTTP statuses of a create that was done, and of a payment that is not known there.
    created: ClassVar[Collection[int]] = (200, 201)
    unknown: ClassVar[Collection[int]] = (404,)
    #: HTTP statuses of a refused Merchant ID or signature.
    refused: ClassVar[Collection[int]] = (401, 403)

    # -- what goes out -----------------------------------------------------------------

    def request_of(self, charge: Charge) -> dict[str, Any]:
        """The JSON of a create call."""
        customer = charge.customer
        name = f"{customer.first_name} {customer.last_name}".strip()
        details = {
            "email": customer.email,
            "name": name,
            "documentType": customer.document_type,
            "documentNumber": customer.document_number,
            "phone": customer.phone_country_code + customer.phone,
        }
        optional = {"returnUrl": charge.return_url, "callbackUrl": charge.callback_url}
        return {
            "merchantId": self.merchant.service_id,
            "amount": f"{charge.amount:.2f}",
            "currency": charge.currency,
            "orderNumber": charge.transaction_code,
            "description": charge.description,
            "expiresAt": to_lima_text(charge.expires_at),
            **{name: value for name, value in optional.items() if value},
            "customer": {name: value for name, value in details.items() if value},
        }

    def query_of(self, ref: CodeRef) -> str:
        """The query string of a status call: by payment where it is known, else by order."""
        key, value = (
            ("paymentId", ref.remote_id) if ref.remote_id else ("orderNumber", ref.transaction_code)
        )
        return urlencode({"merchantId": self.merchant.service_id, key: value})

    def signature_of(self, signed: bytes) -> str:
        """What goes into the header: ``signed`` is the exact body, or a GET's query string.

        What a callback's signature must be says ``signing_key``.
        """
        return sign(signed, self.merchant.secret_key)

    # -- what comes back ---------------------------------------------------------------

    def issued_of(self, data: Mapping[str, Any]) -> IssuedCode:
        """What a create call's answer says; without ``remote_id`` its outcome is unknown."""
        return IssuedCode(
            cip="",
            cip_url=hosted_page(field_of(data, "redirectUrl")),
            remote_id=read_text(field_of(data, "paymentId")),
            expires_at=read_moment(field_of(data, "expiresAt")),
        )

    @classmethod
    def parse_notification(cls, body: bytes) -> Notification:
        """Read a callback; see ``Gateway``."""
        data, event_type = notification_root(body)
        notification = cls.notification_of(data, event_type)
        if not notification.remote_id and not notification.transaction_code:
            raise InvalidNotification("there is neither paymentId nor orderNumber")
        return require_money(notification)

    @classmethod
    def notification_of(cls, data: Mapping[str, Any], event_type: str) -> Notification:
        """What a callback says."""
        status = cls.status_of_event(event_type, read_text(field_of(data, "status")))
        is_paid = status is RemoteStatus.PAID
        return Notification(
            event_type=event_type,
            status=status,
            transaction_code=read_text(field_of(data, "orderNumber")),
            remote_id=read_text(field_of(data, "paymentId"))[:64],
            operation_number=read_text(field_of(data, "operationNumber"))[:64],
            amount=read_amount(field_of(data, "amount")),
            currency=read_text(field_of(data, "currency")).upper(),
            paid_at=read_moment(field_of(data, "occurredAt")) if is_paid else None,
        )

    @classmethod
    def status_of_event(cls, event_type: str, word: str) -> RemoteStatus:
        """What a callback's ``eventType`` means; paid only if ``status`` agrees or is missing."""
        if not event_type.startswith(cls.event_prefix):
            return RemoteStatus.UNKNOWN
        named = event_type.removeprefix(cls.event_prefix).upper()
        status = cls.statuses.get(named, RemoteStatus.UNKNOWN)
        said = cls.statuses.get(word.upper(), RemoteStatus.UNKNOWN) if word else status
        if status is RemoteStatus.PAID and said is not status:
            return RemoteStatus.UNKNOWN
        return status

    def state_of(self, data: Mapping[str, Any]) -> RemoteState:
        """What a status answer says."""
        word = read_text(field_of(data, "status"))
        return RemoteState(
            status=self.statuses.get(word.upper(), RemoteStatus.UNKNOWN),
            status_text=word[:100],
            transaction_code=read_text(field_of(data, "orderNumber")),
            remote_id=read_text(field_of(data, "paymentId"))[:64],
            cip_url=hosted_page(field_of(data, "redirectUrl")),
            amount=read_amount(field_of(data, "amount")),
            currency=read_text(field_of(data, "currency")).upper(),
            operation_number=read_text(field_of(data, "operationNumber"))[:64],
            expires_at=read_moment(field_of(data, "expiresAt")),
            paid_at=read_moment(field_of(data, "paidAt")),
        )

    # -- calls -------------------------------------------------------------------------

    @cached_property
    def _transport(self) -> Transport:
        return Transport(
            merchant=self.merchant.name,
            timeout=self.timeout,
            secrets=self.merchant.secret_keys,
            record=self.record,
        )

    def validate(self, charge: Charge) -> None:
        """Refuse a currency the contract does not take."""
        if charge.currency not in self.currencies:
            raise InvalidPayment(
                "currency",
                f"{charge.currency!r} is not taken by the Payment API; it takes "
                f"{', '.join(self.currencies)}.",
            )

    def create(self, charge: Charge) -> IssuedCode:
        """``POST /payment``; see ``Gateway``."""
        customer = charge.customer
        answer = send_once(
            "create",
            lambda: self._transport.send(
                "create",
                "POST",
                self.base_url + self.create_path,
                payload=self.request_of(charge),
                sign=lambda body: {self.signature_header: self.signature_of(body)},
                personal=(
                    customer.email,
                    customer.phone,
                    customer.phone_country_code + customer.phone,
                    customer.document_number,
                    customer.first_name,
                    customer.last_name,
                ),
                api_code=_code_of,
            ),
        )
        if answer.status in self.created and answer.is_readable:
            return self._issued(answer.data, charge)
        self._refuse("create", answer)
        raise no_word("create", answer)

    def _issued(self, data: Mapping[str, Any], charge: Charge) -> IssuedCode:
        issued = self.issued_of(data)
        if not issued.remote_id or len(issued.remote_id) > 64:
            raise OutcomeUnknown("PagoEfectivo's answer to the create call has no paymentId.")
        require_bound(
            f"payment {issued.remote_id}", data, charge, transaction_code=self.order_field
        )
        return issued

    def can_ask(self, ref: CodeRef) -> bool:
        """Every payment can be asked about, by its order number at the least."""
        return True

    def states(self, refs: Sequence[CodeRef]) -> list[RemoteState | None]:
        """``GET /payment/status``, one call for each; see ``Gateway``."""
        return [self._state(ref) for ref in refs]

    def _state(self, ref: CodeRef) -> RemoteState | None:
        query = self.query_of(ref)
        url = f"{self.base_url}{self.status_path}?{query}"
        headers = {self.signature_header: self.signature_of(query.encode())}

        def ask() -> Answer:
            return self._transport.send("status", "GET", url, headers=headers, api_code=_code_of)

        answer = ask_twice(ask)
        if answer.status == 200 and answer.is_readable:
            return self.state_of(answer.data)
        if answer.status in self.unknown and answer.is_readable:
            return None
        self._refuse("status", answer)
        raise unreadable("status", answer)

    def _refuse(self, operation: str, answer: Answer) -> None:
        """Raise for an answer that says no; return for one that says nothing."""
        if not answer.is_readable or not 400 <= answer.status < 500:
            return
        code = answer.mask(_code_of(answer.data))
        if answer.status in self.refused:
            raise AuthenticationFailed(
                f"PagoEfectivo refused the signature of merchant {self.merchant.name}. Check "
                "SERVICE_ID, SECRET_KEY and ENVIRONMENT.",
                code=code,
            )
        if code or field_of(answer.data, "message"):
            raise rejection(operation, answer, code, field_of(answer.data, "errors"))


def _code_of(data: Any) -> str:
    return read_text(field_of(data, "code")) if isinstance(data, dict) else ""

"""What every gateway offers, and the plain data that goes in and comes out.

A gateway speaks one PagoEfectivo contract over HTTP. It knows dataclasses, no models.
To add one, subclass ``Gateway``, implement its methods and name the class by its dotted
path as the merchant's ``API``. Values from outside that are not known become
``RemoteStatus.UNKNOWN``, never an exception and never ``PAID``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from django.views.decorators.debug import sensitive_variables

from ..conf import Merchant
from ..exceptions import NotSupported
from .masking import mask_email, mask_tail
from .signing import matching_key


class RemoteStatus(StrEnum):
    """What PagoEfectivo says about a code, in words common to its contracts."""

    PENDING = "pending"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Customer:
    """The shopper. Only ``email`` is required; give the rest when known, never invent it.

    ``document_type`` is one of ``DNI`` (Peru's identity card), ``PAS`` (passport), ``PAR``,
    ``LMI``, ``NAN``; ``phone`` is digits, ``phone_country_code`` like ``+51``; ``ubigeo`` the
    six digits of the INEI code; ``customer_id`` the shop's own. The ``repr`` masks personal data.
    """

    email: str
    first_name: str = ""
    last_name: str = ""
    document_type: str = ""
    document_number: str = ""
    phone: str = ""
    phone_country_code: str = ""
    country: str = ""
    ubigeo: str = ""
    customer_id: str = ""

    def __repr__(self) -> str:
        return (
            f"Customer(email={mask_email(self.email)!r}, "
            f"document_number={mask_tail(self.document_number)!r}, "
            f"phone={mask_tail(self.phone)!r})"
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """What a payment code is asked for. ``amount`` in the currency's major unit."""

    transaction_code: str
    amount: Decimal
    currency: str
    expires_at: datetime
    description: str
    customer: Customer
    callback_url: str = ""
    return_url: str = ""


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """The answer to a charge: the code and where it is shown. Missing parts are ``""``."""

    cip: str
    cip_url: str
    remote_id: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CodeRef:
    """How PagoEfectivo can be asked about one payment. Unknown parts are ``""``."""

    transaction_code: str
    cip: str = ""
    remote_id: str = ""


@dataclass(frozen=True, slots=True)
class RemoteState:
    """What a status query says about one payment."""

    status: RemoteStatus
    status_text: str = ""
    cip: str = ""
    cip_url: str = ""
    transaction_code: str = ""
    remote_id: str = ""
    amount: Decimal | None = None
    currency: str = ""
    operation_number: str = ""
    expires_at: datetime | None = None
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification's parsed fields. ``status`` is ``UNKNOWN`` for an unknown event."""

    event_type: str
    status: RemoteStatus
    cip: str = ""
    transaction_code: str = ""
    remote_id: str = ""
    operation_number: str = ""
    amount: Decimal | None = None
    currency: str = ""
    paid_at: datetime | None = None


@dataclass(slots=True)
class Exchange:
    """One HTTP call and its answer, already masked."""

    merchant: str
    operation: str
    method: str
    url: str
    request: str = ""
    response: str = ""
    http_status: int | None = None
    api_code: str = ""
    milliseconds: int = 0
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether no answer came, or one that says no."""
        return bool(self.error) or (self.http_status or 0) >= 400


#: The methods of a gateway that call PagoEfectivo.
_CALLS = frozenset({"create", "states", "extend", "cancel"})


def ignore_exchange(exchange: Exchange) -> None:
    """The recorder of those who keep no exchanges."""


@dataclass
class Gateway:
    """One merchant's way to PagoEfectivo; subclass it for each contract.

    ``timeout`` is seconds to connect and to read, ``cache`` the alias of the Django cache
    that shares tokens, ``record`` is called with each ``Exchange``.
    """

    #: Length of the access keys that PagoEfectivo gives out, where it publishes one.
    access_key_length: ClassVar[int | None] = None
    #: HTTP header that carries a notification's signature.
    signature_header: ClassVar[str] = ""
    #: Environment name → base URL, where the contract publishes one.
    base_urls: ClassVar[Mapping[str, str]] = {}
    #: Whether codes can be extended and cancelled.
    can_extend: ClassVar[bool] = False
    can_cancel: ClassVar[bool] = False
    #: How many payments one ``states`` call asks about at the most; ``None``: as set.
    largest_batch: ClassVar[int | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # An error report shows the variables of every frame. Those of a call, and of all that
        # it calls, hold keys, tokens and the shopper's data, in a shop's own gateway, too.
        for name in _CALLS & vars(cls).keys():
            setattr(cls, name, sensitive_variables()(vars(cls)[name]))

    merchant: Merchant
    timeout: tuple[float, float] = (3.05, 20)
    cache: str = "default"
    record: Callable[[Exchange], None] = field(default=ignore_exchange, repr=False)

    @property
    def base_url(self) -> str:
        """Where this merchant's calls go, without a final slash."""
        return self.merchant.base_url or self.base_urls.get(self.merchant.environment, "")

    @classmethod
    def check_credentials(cls, merchant: Merchant) -> None:
        """Raise ``ImproperlyConfigured`` for credentials that this contract cannot use."""

    @classmethod
    def signing_key(cls, body: bytes, signature: str, secret_keys: Sequence[str]) -> int | None:
        """The index of the key in ``secret_keys`` that signed a notification, or ``None``."""
        return matching_key(body, signature, secret_keys)

    @classmethod
    def parse_notification(cls, body: bytes) -> Notification:
        """Read a notification. Raises ``InvalidNotification`` naming what is wrong."""
        raise NotImplementedError

    def validate(self, charge: Charge) -> None:
        """Refuse what cannot be sent. Raises ``InvalidPayment`` with the field."""

    def create(self, charge: Charge) -> IssuedCode:
        """Ask for a code.

        Raises ``RequestRejected``, ``AuthenticationFailed``, ``GatewayUnavailable`` (it
        never left) or ``OutcomeUnknown`` (it left, and no readable answer came).
        """
        raise NotImplementedError

    def states(self, refs: Sequence[CodeRef]) -> list[RemoteState | None]:
        """Ask about several payments in one call; ``None`` for each not in the answer.

        Raises ``RequestRejected``, ``AuthenticationFailed`` or ``GatewayUnavailable``.
        """
        raise NotImplementedError

    def can_ask(self, ref: CodeRef) -> bool:
        """Whether ``states`` has what it takes to ask about ``ref``."""
        raise NotImplementedError

    def extend(self, ref: CodeRef, expires_at: datetime) -> None:
        """Move the expiry. Raises as ``create`` does; ``NotSupported`` unless overridden."""
        raise NotSupported(f"Merchant {self.merchant.name}'s contract has no extend.")

    def cancel(self, ref: CodeRef) -> None:
        """Delete the code. Raises as ``create`` does; ``NotSupported`` unless overridden."""
        raise NotSupported(f"Merchant {self.merchant.name}'s contract has no cancel.")

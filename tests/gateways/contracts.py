"""The contracts that the shared suite runs against, and where they lawfully differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django_pagoefectivo.exceptions import AuthenticationFailed, RequestRejected

SECRET_KEY = "test-secret-key-not-real-0123456789abcdef"
ACCESS_KEY = "TESTACCESSKEY0000001"


@dataclass(frozen=True)
class Contract:
    """One contract: how a merchant names it, and what it does otherwise than the rest."""

    name: str
    api: str
    path: str
    header: str
    #: How many calls it takes to ask about so many payments.
    calls_to_ask: dict[int, int]
    can_change: bool
    #: What a second create call with the same transaction code gets.
    repeated: type[Exception] | None
    #: What a single 401 to a create call becomes.
    refused_once: type[Exception] | None
    #: Whether an amount that is not the one asked for shows in the answer to a create.
    echoes_amount: bool
    #: Whether an attempt that was never answered can be asked about.
    settles_itself: bool
    merchant: dict[str, Any] = field(default_factory=dict)

    def entry(self, host: str, **changes: Any) -> dict[str, Any]:
        """The merchant's entry in the setting, towards the sandbox at ``host``."""
        return {
            "API": self.api,
            "BASE_URL": f"{host}/sandbox/{self.path}",
            "SECRET_KEY": SECRET_KEY,
            **self.merchant,
            **changes,
        }


CIP = Contract(
    name="cip",
    api="cip",
    path="v1",
    header="PE-Signature",
    calls_to_ask={1: 1, 3: 1},
    can_change=True,
    repeated=None,
    refused_once=None,
    echoes_amount=True,
    settles_itself=False,
    merchant={"SERVICE_ID": "1234", "ACCESS_KEY": ACCESS_KEY, "CURRENCIES": ["PEN", "USD"]},
)
PAYMENT = Contract(
    name="payment",
    api="payment",
    path="api/v1",
    header="X-Signature",
    calls_to_ask={1: 1, 3: 3},
    can_change=False,
    repeated=RequestRejected,
    refused_once=AuthenticationFailed,
    echoes_amount=False,
    settles_itself=True,
    merchant={"SERVICE_ID": "M-1234"},
)
OWN = Contract(
    name="own",
    api="tests.gateways.own.OwnGateway",
    path=PAYMENT.path,
    header=PAYMENT.header,
    calls_to_ask=PAYMENT.calls_to_ask,
    can_change=False,
    repeated=RequestRejected,
    refused_once=AuthenticationFailed,
    echoes_amount=False,
    settles_itself=True,
    merchant={"SERVICE_ID": "M-5678"},
)
ALL = (CIP, PAYMENT, OWN)

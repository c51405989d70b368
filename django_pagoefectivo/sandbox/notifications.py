"""Notifications to the shop: signed, sent over HTTP, tried once more, recorded.

From the public technical document: ``POST`` with the header ``PE-Signature``; anything but
200 is followed by one more try, and never by a third.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests
from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction
from django.http import HttpRequest
from django.urls import reverse

from ..conf import get_config
from . import options
from .credentials import merchant_of, sign_notification
from .faults import NotificationFault
from .messages import AnyMessage
from .models import SandboxCode, SandboxNotification

SIGNATURE_HEADER = "PE-Signature"
PAYMENT_SIGNATURE_HEADER = "X-Signature"
TRIES = 2
#: Seconds to connect and to read: a choice, since PagoEfectivo publishes none.
TIMEOUT = (3.05, 20)
#: What is kept of the shop's answer.
LONGEST_ANSWER = 200


@dataclass(frozen=True, slots=True)
class Try:
    """One delivery: the shop's HTTP status, or 0 where no answer came; what it said."""

    status: int
    answer: str


@dataclass(frozen=True, slots=True)
class SentNotification:
    """A notification and the shop's answers to it."""

    event_type: str
    body: bytes
    signature: str
    url: str
    tries: tuple[Try, ...]

    @property
    def statuses(self) -> tuple[int, ...]:
        """The HTTP status of each try."""
        return tuple(one.status for one in self.tries)

    @property
    def accepted(self) -> bool:
        """Whether the shop answered 200 in the end."""
        return self.tries[-1].status == 200


def callback_url(code: SandboxCode, request: HttpRequest | None = None) -> str:
    """Where notifications about ``code`` go.

    ``PAGOEFECTIVO_SANDBOX["CALLBACK_URL"]``, else what the Payment API's create call asked
    for, else the merchant's webhook at ``SITE_URL``,
    at the host of ``request``, or at the host that the code was asked from.
    """
    fixed = options.callback_url()
    if fixed is not None:
        return fixed
    if code.callback_url:
        return code.callback_url
    merchant = merchant_of(code.service_id, code.contract_enum)
    site_url = None if merchant is None else get_config().options_of(merchant.name).site_url
    host = site_url or (
        code.origin if request is None else request.build_absolute_uri("/").rstrip("/")
    )
    if merchant is None or not host:
        raise ImproperlyConfigured(
            f"Nothing says where notifications for service {code.service_id} go: give a "
            'callback_url, or set PAGOEFECTIVO_SANDBOX = {"CALLBACK_URL": …}.'
        )
    return host + reverse("pagoefectivo:merchant-webhook", args=[merchant.name])


def signature_of(
    message: AnyMessage,
    service_id: str,
    contract: SandboxCode.Contract = SandboxCode.Contract.CIP,
) -> str:
    """The signature to send with ``message``, which is wrong where the fault says so."""
    if message.form is NotificationFault.WRONG_SIGNATURE:
        return secrets.token_hex(32)
    signature = sign_notification(message.signed, service_id, contract)
    is_upper = message.form is NotificationFault.UPPER_CASE_SIGNATURE
    return signature.upper() if is_upper else signature


def send(body: bytes, signature: str, url: str, header: str = SIGNATURE_HEADER) -> tuple[Try, ...]:
    """``POST`` a notification, and once more unless the answer was 200."""
    tries: list[Try] = []
    while len(tries) < TRIES and (not tries or tries[-1].status != 200):
        tries.append(_post(body, signature, url, header))
    return tuple(tries)


def _header(code: SandboxCode) -> str:
    payment = SandboxCode.Contract.PAYMENT
    return PAYMENT_SIGNATURE_HEADER if code.contract_enum is payment else SIGNATURE_HEADER


def _post(body: bytes, signature: str, url: str, header: str) -> Try:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "PagoEfectivo sandbox",
        header: signature,
    }
    try:
        with requests.Session() as session:
            # The shop is on this machine; a proxy from the environment cannot reach it.
            session.trust_env = False
            response = session.post(
                url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
    except requests.RequestException as error:
        return Try(0, f"no answer: {type(error).__name__}")
    return Try(response.status_code, response.text[:LONGEST_ANSWER].replace("\x00", ""))


def deliver(code: SandboxCode, messages: Sequence[AnyMessage], url: str) -> list[SentNotification]:
    """Send ``messages`` one after the other and record each with the shop's answers."""
    refuse_transaction()
    sent = []
    for message in messages:
        signature = signature_of(message, code.service_id, code.contract_enum)
        tries = send(message.body, signature, url, _header(code))
        sent.append(_record(code, message, signature, url, tries))
    return sent


def deliver_at_once(code: SandboxCode, message: AnyMessage, url: str) -> list[SentNotification]:
    """Send one message on two connections at the same instant."""
    refuse_transaction()
    body, signature = message.body, signature_of(message, code.service_id, code.contract_enum)
    barrier = threading.Barrier(2)

    def together() -> tuple[Try, ...]:
        barrier.wait(timeout=10)
        return send(body, signature, url, _header(code))

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(together) for _ in range(2)]
    return [_record(code, message, signature, url, one.result()) for one in both]


def refuse_transaction() -> None:
    """Raise ``TransactionManagementError`` inside a transaction.

    The shop could not see the sandbox's row yet, and on SQLite it could not write at all.
    """
    using = router.db_for_write(SandboxNotification)
    if transaction.get_connection(using).in_atomic_block:
        raise transaction.TransactionManagementError(
            "The sandbox sends notifications only outside a transaction. In tests use "
            "pytest.mark.django_db(transaction=True) or TransactionTestCase, or pass "
            "notify=False."
        )


def _record(
    code: SandboxCode, message: AnyMessage, signature: str, url: str, tries: tuple[Try, ...]
) -> SentNotification:
    SandboxNotification.objects.create(
        code=code,
        event_type=message.event_type,
        fault=message.form,
        url=url[:500],
        body=message.body.decode(),
        signature=signature,
        first_status=tries[0].status,
        second_status=tries[1].status if len(tries) > 1 else None,
        answer=tries[-1].answer,
    )
    return SentNotification(message.event_type, message.body, signature, url, tries)

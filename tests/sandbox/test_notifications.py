"""Notifications on their way: to a shop that writes down what comes, and to the real webhook."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from django_pagoefectivo.models import WebhookEvent
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.control import NotificationFault, SandboxNotification

from .conftest import LIMA, Api, lima

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


class Shop:
    """Answers what it is told to, 200 at the end, and keeps what came."""

    def __init__(self) -> None:
        self.answers: deque[int] = deque()
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        self.times: list[float] = []
        self.together = 0
        self._inside = 0
        self._lock = threading.Lock()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                shop.take(self)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook/"
        self.hold = 0.0

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._lock:
            self._inside += 1
            self.together = max(self.together, self._inside)
            self.bodies.append(body)
            self.signatures.append(handler.headers["PE-Signature"])
            self.times.append(time.monotonic())
            status = self.answers.popleft() if self.answers else 200
        time.sleep(self.hold)
        with self._lock:
            self._inside -= 1
        if status == 0:
            handler.connection.close()
            return
        handler.send_response(status)
        handler.send_header("Content-Length", "2")
        if status == 302:
            handler.send_header("Location", self.url)
        handler.end_headers()
        handler.wfile.write(b"ok")

    @property
    def events(self) -> list[str]:
        return [json.loads(body)["eventType"] for body in self.bodies]

    @property
    def operations(self) -> list[str | None]:
        return [json.loads(body).get("operationNumber") for body in self.bodies]


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    shop = Shop()
    thread = threading.Thread(target=shop.server.serve_forever, args=(0.02,))
    thread.start()
    settings.PAGOEFECTIVO_SANDBOX = {"CALLBACK_URL": shop.url}
    yield shop
    shop.server.shutdown()
    thread.join()
    shop.server.server_close()


@pytest.fixture
def cip(api: Api) -> int:
    return int(api.make()["cip"])


def test_a_payment(api: Api, shop: Shop, cip: int) -> None:
    (sent,) = control.pay(cip, operation_number="1253")
    body = (
        '{"eventType":"cip.paid","operationNumber":"1253",'
        f'"data":{{"cip":"{cip}","currency":"PEN","amount":22.05}}}}'
    ).encode()
    assert shop.bodies == [body]
    assert shop.signatures == [sent.signature]
    assert (sent.event_type, sent.body, sent.url) == ("cip.paid", body, shop.url)
    assert (sent.statuses, sent.accepted) == ((200,), True)
    row = SandboxNotification.objects.get()
    assert (row.body, row.signature, row.url) == (body.decode(), sent.signature, shop.url)
    assert (row.first_status, row.second_status, row.answer) == (200, None, "ok")
    assert row.code.cip == cip
    assert "cip.paid" in str(row)
    assert api.status(cip) == 23


@pytest.mark.parametrize(
    ("answers", "statuses"),
    [
        ([500, 200], (500, 200)),
        ([500, 500, 200], (500, 500)),
        ([201], (201, 200)),
        ([204, 404], (204, 404)),
        ([302, 302], (302, 302)),
        ([0, 0], (0, 0)),
        ([0], (0, 200)),
    ],
)
def test_one_more_try_and_never_a_third(
    shop: Shop, cip: int, answers: list[int], statuses: tuple[int, int]
) -> None:
    shop.answers.extend(answers)
    (sent,) = control.pay(cip)
    assert sent.statuses == statuses
    assert len(shop.bodies) == 2
    assert shop.bodies[0] == shop.bodies[1]
    row = SandboxNotification.objects.get()
    assert (row.first_status, row.second_status) == statuses
    assert sent.accepted is (statuses[1] == 200)


def test_nobody_listens(cip: int) -> None:
    (sent,) = control.pay(cip, callback_url="http://127.0.0.1:9/")
    assert sent.statuses == (0, 0)
    assert sent.tries[0].answer.startswith("no answer: ")
    assert control.code(cip).status_at() == 23


def test_twice(shop: Shop, cip: int) -> None:
    sent = control.pay(cip, fault=NotificationFault.TWICE)
    assert len(sent) == len(shop.bodies) == 2
    assert shop.bodies[0] == shop.bodies[1]
    assert shop.together == 1


def test_twice_at_the_same_instant(shop: Shop, cip: int) -> None:
    shop.hold = 0.3
    sent = control.pay(cip, fault=NotificationFault.TWICE_AT_ONCE)
    assert len(sent) == SandboxNotification.objects.count() == 2
    assert shop.bodies[0] == shop.bodies[1]
    assert shop.together == 2


def test_late(api: Api, shop: Shop, cip: int) -> None:
    started = time.monotonic()
    control.pay(cip, fault=NotificationFault.LATE, delay=0.4)
    assert shop.times[0] - started >= 0.4
    with pytest.raises(ValueError, match="delay"):
        control.pay(cip, fault=NotificationFault.LATE, delay=31)


def test_late_after_a_term_that_is_near(api: Api, shop: Shop) -> None:
    cip = api.make(dateExpiry=lima(timedelta(seconds=3)))["cip"]
    (sent,) = control.pay(cip, fault=NotificationFault.LATE_AFTER_EXPIRY)
    code = control.code(cip)
    assert code.paid_at is not None
    assert code.paid_at < code.date_expiry < timezone.now()
    assert sent.accepted


def test_late_after_a_term_that_is_far(shop: Shop, cip: int) -> None:
    control.pay(cip, fault=NotificationFault.LATE_AFTER_EXPIRY)
    code = control.code(cip)
    assert code.paid_at is not None
    assert code.paid_at < code.date_expiry < timezone.now()
    assert shop.events == ["cip.paid"]


def test_a_payment_after_expiry(shop: Shop, cip: int) -> None:
    control.expire(cip)
    (sent,) = control.pay(cip, fault=NotificationFault.LATE_AFTER_EXPIRY)
    assert sent.accepted
    assert control.code(cip).status_at() == 23


def test_never(api: Api, shop: Shop, cip: int) -> None:
    assert control.pay(cip, fault=NotificationFault.NEVER) == []
    assert shop.bodies == []
    assert api.status(cip) == 23


def test_expired_then_paid(shop: Shop, cip: int) -> None:
    control.pay(cip, fault=NotificationFault.EXPIRED_THEN_PAID)
    assert shop.events == ["cip.expired", "cip.paid"]
    assert shop.operations[0] is None
    code = control.code(cip)
    assert code.status_at() == 23
    assert code.date_expiry < timezone.now()


def test_paid_then_an_older_expired(shop: Shop, cip: int) -> None:
    control.pay(cip, fault=NotificationFault.PAID_THEN_EXPIRED)
    assert shop.events == ["cip.paid", "cip.expired"]
    assert control.code(cip).status_at() == 23


def test_a_second_operation(shop: Shop, cip: int) -> None:
    control.pay(cip, operation_number="1253", fault=NotificationFault.SECOND_OPERATION)
    first, second = shop.operations
    assert first == "1253" != second
    assert control.code(cip).operation_number == "1253"


def test_what_is_given_counts(shop: Shop, cip: int) -> None:
    paid_at = timezone.now() - timedelta(hours=1)
    control.pay(
        str(cip),
        amount=Decimal("20.00"),
        currency="USD",
        paid_at=paid_at,
        fault=NotificationFault.NEWER_FORM,
    )
    data = json.loads(shop.bodies[0])["data"]
    assert (data["amount"], data["currency"]) == (20.0, "USD")
    assert data["paymentDate"] == paid_at.astimezone(LIMA).replace(microsecond=0).isoformat()
    assert data["transactionCode"] == "A-1001-1"
    code = control.code(cip)
    assert (code.amount, code.currency, code.paid_at) == (Decimal("22.05"), "PEN", paid_at)


def test_expire_and_tell(shop: Shop, cip: int) -> None:
    assert control.expire(cip) == []
    assert shop.bodies == []
    (sent,) = control.expire(cip, notify=True)
    assert shop.events == ["cip.expired"] == [sent.event_type]


def test_refund(shop: Shop, cip: int) -> None:
    assert control.refund(cip) == []
    control.pay(cip, operation_number="1253")
    (sent,) = control.refund(cip)
    assert shop.events == ["cip.paid", "cip.refunded"]
    assert shop.operations[1] != "1253"
    assert sent.accepted
    assert control.refund(cip) == []


def test_send_anything(shop: Shop) -> None:
    tries = control.send(b"any", "signature", shop.url)
    assert [one.status for one in tries] == [200]
    assert (shop.bodies, shop.signatures) == ([b"any"], ["signature"])


def test_inside_a_transaction_nothing_is_done(shop: Shop, cip: int) -> None:
    with (
        transaction.atomic(),
        pytest.raises(transaction.TransactionManagementError, match="notify=False"),
    ):
        control.pay(cip)
    assert control.code(cip).status_at() == 22
    with transaction.atomic():
        control.pay(cip, notify=False)
    assert control.code(cip).status_at() == 23


# -- where to --------------------------------------------------------------------------


def test_the_shop_that_asked_for_the_code_is_told(api: Api, cip: int) -> None:
    (sent,) = control.pay(cip)
    assert sent.url == f"{api.host}/pagoefectivo/webhook/default/"
    assert sent.statuses == (200,)
    assert WebhookEvent.objects.get().body == sent.body


def test_the_site_url_comes_first(api: Api, cip: int, settings: Any) -> None:
    settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "SITE_URL": "http://127.0.0.1:9"}
    (sent,) = control.pay(cip)
    assert sent.url == "http://127.0.0.1:9/pagoefectivo/webhook/default/"


def test_nowhere_to_go(cip: int) -> None:
    control.SandboxCode.objects.update(origin="")
    with pytest.raises(ImproperlyConfigured, match="CALLBACK_URL"):
        control.pay(cip)
    assert control.code(cip).status_at() == 22


# -- what the shop's webhook makes of each ---------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (NotificationFault.NONE, 200),
        (NotificationFault.TWICE, 200),
        (NotificationFault.TWICE_AT_ONCE, 200),
        (NotificationFault.EXPIRED_THEN_PAID, 200),
        (NotificationFault.PAID_THEN_EXPIRED, 200),
        (NotificationFault.WRONG_SIGNATURE, 403),
        (NotificationFault.MISSING_FIELD, 400),
        (NotificationFault.WRONG_AMOUNT, 200),
        (NotificationFault.WRONG_CURRENCY, 200),
        (NotificationFault.INDENTED, 200),
        (NotificationFault.NUMBERS_AS_TEXT, 200),
        (NotificationFault.TEXT_AS_NUMBERS, 200),
        (NotificationFault.CAPITAL_KEYS, 200),
        (NotificationFault.NEWER_FORM, 200),
        (NotificationFault.UPPER_CASE_SIGNATURE, 200),
        (NotificationFault.UNKNOWN_EVENT, 200),
        (NotificationFault.SECOND_OPERATION, 200),
    ],
)
def test_the_real_webhook(cip: int, fault: NotificationFault, status: int) -> None:
    sent = control.pay(cip, fault=fault)
    assert sent
    assert {one.tries[0].status for one in sent} == {status}

"""What these tests share: notifications signed by hand, payments in any state, a probe."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.db import close_old_connections, connection, connections
from django.http import HttpResponse
from django.test import Client

from django_pagoefectivo.models import Payment
from django_pagoefectivo.services import Customer
from tests.servers import PAID, Call, PagoEfectivo, Reply

SECRET = "test-secret-key-not-real-0123456789abcdef"
URL = "/pagoefectivo/webhook/"
EMAIL = "rosa.quispe@correo.example"
PHONE = "987654321"
DOCUMENT = "46718293"
CUSTOMER = Customer(
    email=EMAIL,
    first_name="Rosa",
    last_name="Quispe",
    document_type="DNI",
    document_number=DOCUMENT,
    phone=PHONE,
    phone_country_code="+51",
)


def hmac_of(body: bytes, secret: str = SECRET) -> str:
    """The signature as the protocol says, made without the package's own code."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def body_of(
    payment: Payment | None = None,
    *,
    event: str = "cip.paid",
    operation: str | None = "1253",
    amount: Any = None,
    currency: str | None = None,
    cip: str | None = None,
    code: str | None = None,
    **data: Any,
) -> bytes:
    """A notification's body, without white space; numbers exactly as given."""
    if payment is not None:
        amount = payment.amount if amount is None else amount
        currency = payment.currency if currency is None else currency
        cip = payment.cip if cip is None else cip
    parts = []
    for name, value in {
        "cip": cip,
        "currency": currency,
        "amount": amount,
        "transactionCode": code,
        **data,
    }.items():
        if value not in (None, ""):
            text = str(value) if isinstance(value, Decimal) else json.dumps(value)
            parts.append(f'"{name}":{text}')
    number = "" if operation is None else f'"operationNumber":"{operation}",'
    return f'{{"eventType":"{event}",{number}"data":{{{",".join(parts)}}}}}'.encode()


def post(
    body: bytes,
    *,
    signature: str | None = None,
    secret: str = SECRET,
    url: str = URL,
    client: Client | None = None,
    content_type: str = "application/json",
    **extra: Any,
) -> Any:
    """Post ``body`` to the webhook as PagoEfectivo would."""
    client = client or Client(enforce_csrf_checks=True)
    if signature is None:
        signature = hmac_of(body, secret)
    return client.generic(
        "POST", url, body, content_type, headers={"PE-Signature": signature}, **extra
    )


def notify(payment: Payment, **kwargs: Any) -> Any:
    """A genuine notification for ``payment``; the answer must be 200."""
    answer = post(body_of(payment, **kwargs))
    assert answer.status_code == 200, (answer.status_code, answer.content)
    return answer


# -- the probe: who was told what ---------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """One call of the probe."""

    signal: str
    payment_id: int
    source: str
    event_id: int | None
    extra: tuple[tuple[str, Any], ...]
    status: str
    in_transaction: bool

    def __getattr__(self, name: str) -> Any:
        try:
            return dict(self.extra)[name]
        except KeyError:
            raise AttributeError(name) from None


class Probe:
    """Listens to signals under one name and remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.lock = threading.Lock()
        self.then: Callable[[Heard], None] | None = None

    def __call__(
        self, sender: Any, payment: Payment, source: str, event: Any, **kwargs: Any
    ) -> None:
        signal = kwargs.pop("signal")
        assert sender is Payment
        heard = Heard(
            signal.name,
            payment.pk,
            source,
            event.pk if event is not None else None,
            tuple(sorted(kwargs.items())),
            payment.status,
            connection.in_atomic_block,
        )
        with self.lock:
            self.heard.append(heard)
        if self.then is not None:
            self.then(heard)

    def of(self, signal: str, payment: Payment | None = None) -> list[Heard]:
        with self.lock:
            return [
                h
                for h in self.heard
                if h.signal == signal and (payment is None or h.payment_id == payment.pk)
            ]

    @property
    def signals(self) -> list[str]:
        with self.lock:
            return [h.signal for h in self.heard]


# -- threads ------------------------------------------------------------------------------


def at_once(*works: Callable[[], Any], patience: float = 60) -> list[Any]:
    """Run all at the same instant, each with a connection of its own; results or errors."""
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(index: int, work: Callable[[], Any]) -> None:
        try:
            connections["default"].ensure_connection()
            barrier.wait(30)
            results[index] = work()
        except BaseException as error:  # noqa: BLE001
            results[index] = error
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=(i, work), daemon=True) for i, work in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience)
        assert not thread.is_alive(), "a thread hangs"
    close_old_connections()
    return results


def say(pe: PagoEfectivo, payment: Payment, **changes: Any) -> None:
    """Have each status query call ``payment`` paid, with other values; ``None`` leaves one out."""

    def answer(server: PagoEfectivo, call: Call) -> Reply:
        server.codes[str(payment.cip)].status = PAID
        status, said = server.do(call)
        (item,) = said["data"]
        item.update(changes)
        said["data"] = [{name: value for name, value in item.items() if value is not None}]
        return Reply(status, json.dumps(said).encode())

    pe.fail_next("search", *[answer] * 20)


def refresh(payment: Payment) -> Payment:
    return Payment.objects.get(pk=payment.pk)


def stored_payments() -> list[dict[str, Any]]:
    """Every payment as it is in the database, column by column."""
    columns = [field.attname for field in Payment._meta.concrete_fields]
    return list(Payment.objects.order_by("pk").values(*columns))


# -- statements ---------------------------------------------------------------------------

_NOT_COUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "START", "SET ", "PRAGMA")


def is_counted(sql: str) -> bool:
    """Whether a statement is more than transaction control."""
    return not sql.lstrip().upper().startswith(_NOT_COUNTED)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL statements of the block, transaction control aside."""
    seen: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if is_counted(sql):
            seen.append(sql)
        return execute(sql, params, many, context)

    connection.ensure_connection()
    with connection.execute_wrapper(note):
        yield seen


def kinds(seen: Sequence[str]) -> list[str]:
    """``UPDATE payment`` and the like."""
    result = []
    for sql in seen:
        words = sql.replace('"', " ").replace("`", " ").split()
        verb = words[0].upper()
        table = next((w for w in words if w.startswith("pagoefectivo_")), "?")
        result.append(f"{verb} {table.removeprefix('pagoefectivo_').partition('.')[0]}")
    return result


# -- hostile surroundings -----------------------------------------------------------------


class BrokenCache(BaseCache):
    """A cache whose server is away."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _away(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("the cache is away")

    add = get = set = delete = incr = _away


def raise_behind_the_view(get_response: Callable[[Any], HttpResponse]) -> Callable[[Any], Any]:
    """Middleware that fails after the view has done its work."""

    def middleware(request: Any) -> HttpResponse:
        get_response(request)
        raise RuntimeError("something else broke")

    return middleware


def nested(levels: int) -> dict[str, Any]:
    """An object within an object, ``levels`` of them."""
    whole: dict[str, Any] = {}
    for _ in range(levels - 1):
        whole = {"a": whole}
    return whole

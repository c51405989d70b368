"""Everything the app writes or says in a day of trouble, searched for what must stay put."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db.models import Model
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from django_pagoefectivo.conf import get_config
from django_pagoefectivo.gateways import gateway_for
from django_pagoefectivo.gateways.signing import token_hash
from django_pagoefectivo.models import (
    ApiExchange,
    Payment,
    SignalDelivery,
    TimelineEntry,
    WebhookEvent,
)
from django_pagoefectivo.services import (
    Customer,
    breaker,
    cancel_payment,
    create_payment,
    deliver_due,
    extend_payment,
    poll,
    sync_payment,
)
from django_pagoefectivo.testing.captured import listening
from tests.servers import PAID, Call, PagoEfectivo, Reply

from .kit import body_of, post

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "s3cr3t-key-that-nobody-may-see-0123456789"
FALLBACK = "s3cr3t-fallback-that-nobody-may-see-98765"
ACCESS = "ACCESSKEYNOBODYSEES1"
EMAIL = "rosa.quispe-huaman@correo.example.pe"
ADMIN = "caja.privada@tienda.example.pe"
PHONE = "987650123"
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


class Everything(logging.Handler):
    """Collects all that was said, with where it was said."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record) + " " + repr(record.args)
        self.said.append((f"log {record.name}", text))

    def add(self, where: str, value: Any) -> None:
        self.said.append((where, value if isinstance(value, str) else repr(value)))

    def error(self, error: BaseException) -> None:
        seen: set[int] = set()
        waiting: list[Any] = [error]
        while waiting:
            current = waiting.pop()
            if not isinstance(current, BaseException) or id(current) in seen:
                continue
            seen.add(id(current))
            self.add(f"error {type(current).__name__}", f"{current} {current!r}")
            for name, value in vars(current).items():
                self.add(f"error {type(current).__name__}.{name}", value)
            if not current.__suppress_context__:
                waiting.append(current.__context__)
            waiting.append(current.__cause__)

    def rows(self, *models: type[Model]) -> None:
        for model in models:
            for row in model._default_manager.all():
                self.add(f"row {model.__name__}", f"{row} {row!r}")
                for field in row._meta.concrete_fields:
                    value = getattr(row, field.attname)
                    if isinstance(value, bytes | memoryview):
                        value = bytes(value).decode("utf-8", "replace")
                    self.add(f"row {model.__name__}.{field.name}", str(value))


@pytest.fixture
def everything() -> Any:
    handler = Everything()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("django_pagoefectivo")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def shop(pe: PagoEfectivo, configure: Any) -> PagoEfectivo:
    configure(
        merchant={
            "SECRET_KEY": SECRET,
            "SECRET_KEY_FALLBACKS": [FALLBACK],
            "ACCESS_KEY": ACCESS,
            "ADMIN_EMAIL": ADMIN,
        },
        TIMEOUT=(1, 1),
    )
    return pe


def echo(status: int, content_type: str = "application/json", *, as_json: bool = True) -> Any:
    """A fault that says back all it was told, as error pages like to do."""

    def fault(server: PagoEfectivo, call: Call) -> Reply:
        told = f"{call.headers} {call.body.decode()}"
        if not as_json:
            return Reply(status, f"<html><pre>{told}</pre></html>".encode(), content_type)
        data = {
            "code": "111",
            "message": f"Solicitud inválida: {told}",
            "data": [{"code": "113", "message": f"{told}", "field": "userPhone"}],
            "request": json.loads(call.body or b"{}"),
            "headers": call.headers,
        }
        return Reply(status, json.dumps(data, ensure_ascii=False).encode(), content_type)

    return fault


def truncated_token(server: PagoEfectivo, call: Call) -> Reply:
    """The answer with the token, cut off by a proxy that says no length."""
    status, answer = server.do(call)
    return Reply(status, json.dumps(answer).encode()[:-30], declare_length=False)


def padded_echo(what: str) -> Any:
    """An error page so long that what is kept of it ends within a secret."""

    def fault(server: PagoEfectivo, call: Call) -> Reply:
        word = call.headers["Authorization"][7:] if what == "token" else what
        return Reply(502, ("x" * 1970 + word).encode(), "text/html")

    return fault


def forbidden(server: PagoEfectivo) -> dict[str, re.Pattern[str]]:
    """Each thing that must not be said, and enough of it to know it by."""
    calls = server.of("authorize")
    bases = [f"1234.{ACCESS}", *(c.data["hashString"] for c in calls)]
    hashes = [token_hash("1234", ACCESS, SECRET, c.data["dateRequest"]) for c in calls]
    words = {
        "secret key": [SECRET, FALLBACK, SECRET[:12], FALLBACK[:14]],
        "access key": [ACCESS, ACCESS[:10]],
        "token": [*server.tokens, *(t[:27] for t in server.tokens)],
        "hash string": [*bases, *hashes],
        "e-mail": [EMAIL, ADMIN, EMAIL.partition("@")[0], ADMIN.partition("@")[0]],
        "phone": [PHONE],
        "document": [DOCUMENT],
        "name": [CUSTOMER.first_name, CUSTOMER.last_name],
    }
    return {
        name: re.compile("|".join(re.escape(word) for word in found), re.IGNORECASE)
        for name, found in words.items()
    }


def run_flows(shop: PagoEfectivo, everything: Everything) -> None:  # noqa: PLR0915
    number = 0

    def create(*faults: Any, operation: str = "create", **kwargs: Any) -> Payment | None:
        nonlocal number
        number += 1
        if faults:
            shop.fail_next(operation, *faults)
        try:
            payment = create_payment(
                **{
                    "order_reference": f"S-{number}",
                    "amount": Decimal("22.05"),
                    "customer": CUSTOMER,
                    "description": "Zapatos",
                    **kwargs,
                }
            )
            everything.add("repr payment", f"{payment} {payment!r}")
            return payment
        except Exception as error:  # noqa: BLE001
            everything.error(error)
            return None

    def attempt(work: Any) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001
            everything.error(error)

    # Failures of every kind, with echoes.
    create(truncated_token, truncated_token, operation="authorize")
    create(echo(500, as_json=False), echo(500, as_json=False), operation="authorize")
    create(echo(401), operation="authorize")
    create(echo(400), operation="authorize")
    for fault in (
        echo(400),
        echo(400, as_json=False, content_type="text/html"),
        echo(500),
        echo(500, as_json=False, content_type="text/html"),
        echo(201),
        padded_echo("token"),
        padded_echo(EMAIL),
        padded_echo(SECRET),
        Reply(does_it=True, cut=True),
        Reply(201, b"{}", delay=2.5),
        Reply(302, b""),
    ):
        create(fault)
    create(echo(401), echo(401))
    for wrong in (
        {"customer": dataclasses.replace(CUSTOMER, email=EMAIL + " x")},
        {"customer": dataclasses.replace(CUSTOMER, phone=PHONE + "x")},
        {"customer": dataclasses.replace(CUSTOMER, document_number=DOCUMENT * 2)},
        {"customer": dataclasses.replace(CUSTOMER, document_number=DOCUMENT * 9)},
        {"customer": dataclasses.replace(CUSTOMER, phone=PHONE * 9)},
        {"customer": dataclasses.replace(CUSTOMER, document_type=EMAIL)},
        {"customer": dataclasses.replace(CUSTOMER, ubigeo=PHONE[:6])},
        {"metadata": {"phone": object()}},
    ):
        create(**wrong)
    everything.add("repr customer", CUSTOMER)

    # A good one, its whole life long, with a receiver that tells all it knows.
    def chatty(sender: Any, payment: Payment, **kwargs: Any) -> None:
        raise ValueError(
            f"cannot write to {payment.customer_email} or call {payment.customer_phone}, "
            f"DNI {payment.customer_document_number}"
        )

    with listening(chatty, "shop.chatty", ["payment_confirmed", "payment_pending"]):
        payment = create()
        assert payment is not None
        for fault in (echo(500, as_json=False), echo(400), Reply(cut=True), echo(200)):
            shop.fail_next("search", fault, fault)
            attempt(lambda: sync_payment(payment))
            shop.faults["search"].clear()
            shop.fail_next("extend", fault)
            attempt(lambda: extend_payment(payment, expires_in=timedelta(hours=30)))
            shop.fail_next("delete", fault)
            attempt(lambda: cancel_payment(payment))
        for body, signature in (
            (body_of(payment, amount=1), None),
            (body_of(payment), "00"),
            (b"not json", None),
            (b'{"eventType":"cip.paid","data":{}}', None),
            (body_of(payment), None),
            (body_of(payment, operation="9"), None),
        ):
            answer = post(body, signature=signature, secret=SECRET)
            everything.add("answer", answer.content.decode())
        other = create()
        assert other is not None
        shop.codes[str(other.cip)].status = PAID
        attempt(lambda: poll(everything=True))
        late = create()
        assert late is not None
        shop.codes[str(late.cip)].status = 99
        attempt(lambda: poll(everything=True))
        with time_machine.travel(timezone.now() + timedelta(minutes=10)):
            deliver_due()
    for row in Payment.objects.all():
        for view in ("payment", "payment-status", "payment-return"):
            try:
                url = reverse(f"pagoefectivo:{view}", kwargs={"token": row.token})
            except NoReverseMatch:
                continue
            client = Client(raise_request_exception=False)
            everything.add(f"page {view}", client.get(url, follow=False).content.decode())
    config = get_config()
    merchant = config.merchant("default")
    gateway = gateway_for(merchant, config)
    for thing in (config, merchant, gateway, gateway._transport, gateway._tokens):  # type: ignore[attr-defined]
        everything.add(f"repr {type(thing).__name__}", f"{thing} {thing!r}")
    attempt(lambda: config.merchant("nobody"))


@pytest.mark.timeout(120)
def test_nothing_that_was_said_gives_anything_away(
    shop: PagoEfectivo, everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every fault is to be met, however many came before it.
    monkeypatch.setattr(breaker, "LIMIT", 1000)
    run_flows(shop, everything)
    everything.rows(ApiExchange, WebhookEvent, TimelineEntry, SignalDelivery)
    for row in Payment.objects.all():
        everything.add("row Payment", f"{row} {row!r}")
        everything.add("row Payment.failure", f"{row.failure_code} {row.failure_message}")
        everything.add("row Payment.attention", row.attention_note)
    for model in apps.get_app_config("pagoefectivo").get_models():
        for entry in model._default_manager.all()[:50]:
            everything.add(f"row {model.__name__}", f"{entry} {entry!r}")

    said = everything.said
    assert sum(where.startswith("log ") for where, _ in said) > 50
    assert ApiExchange.objects.count() > 40
    assert {e.operation for e in ApiExchange.objects.all()} >= {"authorize", "create", "search"}
    found = sorted(
        {
            f"{name} in {where}: …{text[max(0, hit.start() - 60) : hit.end() + 10]!r}"
            for name, pattern in forbidden(shop).items()
            for where, text in said
            if (hit := pattern.search(text))
        }
    )
    assert not found, f"{len(found)} places:\n" + "\n".join(found[:40])


def test_the_search_would_notice(shop: PagoEfectivo, everything: Everything) -> None:
    """Each pattern finds what it is for."""
    create_payment(order_reference="S", amount=1, customer=CUSTOMER)
    patterns = forbidden(shop)
    (token,) = shop.tokens
    for name, text in {
        "secret key": f"x{SECRET}x",
        "access key": f'"{ACCESS.lower()}"',
        "token": f"Bearer {token}",
        "hash string": shop.of("authorize")[0].data["hashString"],
        "e-mail": f"to {EMAIL}.",
        "phone": f"+51{PHONE}",
        "document": f"DNI{DOCUMENT}",
        "name": f"for {CUSTOMER.last_name.upper()}",
    }.items():
        assert patterns[name].search(text), name
    logging.getLogger("django_pagoefectivo.anything").debug("hello %s", "there")
    assert ("log django_pagoefectivo.anything", "DEBUG hello there ('there',)") in everything.said


def test_what_is_kept_is_still_of_use(shop: PagoEfectivo) -> None:
    """Masked is not emptied: the exchange log shows what was asked and answered."""
    payment = create_payment(order_reference="S", amount=1, customer=CUSTOMER)
    exchange = ApiExchange.objects.get(operation="create")
    assert payment.transaction_code in exchange.request
    assert "r***@correo.example.pe" in exchange.request
    assert str(payment.cip) in exchange.response
    assert (exchange.http_status, exchange.api_code) == (201, "100")
    assert exchange.payment == payment
    assert post(body_of(payment), secret=FALLBACK).content == b"applied"

"""What a stranger sends is text: it forges no log line, unpacks nothing and stalls nobody."""

from __future__ import annotations

import gzip
import hmac
import importlib
import importlib.util
import json
import logging
import pkgutil
import re
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

import django_pagoefectivo
from django_pagoefectivo.discretion import Discretion
from django_pagoefectivo.exceptions import OutcomeUnknown, PagoEfectivoError
from django_pagoefectivo.gateways.masking import masker
from django_pagoefectivo.logs import logger_for, one_line
from django_pagoefectivo.models import ApiExchange, Payment, WebhookEvent
from django_pagoefectivo.services import (
    cancel_payment,
    create_payment,
    extend_payment,
    poll,
    sync_payment,
)
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import listening
from tests.promises.kit import CUSTOMER, SECRET, URL, body_of, hmac_of, post
from tests.servers import PagoEfectivo, Reply

BREAKS = "\r\nERROR:root:payment 7 is paid\x1b[2K\x85\u2028\u2029\x00"


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    formatter = logging.Formatter("%(name)s %(message)s")
    return [formatter.format(record) for record in caplog.records]


def assert_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    told = [line for line in lines_of(caplog) if line.startswith("django_pagoefectivo")]
    assert told, "nothing was logged, so nothing was checked"
    for line in told:
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line), repr(line)


# -- log lines -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("where", ["event", "operation", "cip", "code", "currency"])
def test_a_signed_notification_forges_no_log_line(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever makes an order chooses words that PagoEfectivo then signs and sends back."""
    caplog.set_level(logging.DEBUG)
    said: dict[str, Any] = {
        "cip": "11546901",
        "amount": Decimal("22.05"),
        "currency": "PEN",
        where: BREAKS,
    }
    assert post(body_of(**said)).status_code in (200, 400)
    assert_one_line_each(caplog)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("header", ["HTTP_PE_SIGNATURE", "HTTP_USER_AGENT", "CONTENT_TYPE"])
def test_a_forged_notification_forges_no_log_line(
    header: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    headers: dict[str, Any] = {"HTTP_PE_SIGNATURE": "00" * 32, header: BREAKS}
    content_type = headers.pop("CONTENT_TYPE", "application/json")
    answer = Client().post(URL, BREAKS.encode(), content_type=content_type, **headers)
    assert answer.status_code == 403
    assert_one_line_each(caplog)


@pytest.mark.django_db(transaction=True)
def test_an_address_in_a_header_forges_no_log_line(
    configure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    configure(
        IP_HEADER="X-Forwarded-For",
        TRUSTED_PROXIES=["127.0.0.1"],
        ALLOWED_IPS=["203.0.113.0/24"],
    )
    caplog.set_level(logging.DEBUG)
    answer = post(body_of(cip="1", amount=1, currency="PEN"), HTTP_X_FORWARDED_FOR=BREAKS)
    assert answer.status_code == 403
    assert_one_line_each(caplog)


@pytest.mark.django_db(transaction=True)
def test_a_strange_status_forges_no_log_line(
    pe: PagoEfectivo, caplog: pytest.LogCaptureFixture
) -> None:
    payment = create_payment(order_reference="A-1", amount=25, customer=CUSTOMER)
    answer = {
        "code": 100,
        "message": BREAKS,
        "data": [{"cip": payment.cip, "status": 777, "statusName": BREAKS, "amount": 25}],
    }
    pe.fail_next("search", Reply(200, json.dumps(answer).encode()))
    caplog.set_level(logging.DEBUG)
    sync_payment(payment)
    assert_one_line_each(caplog)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [400, 401, 500])
@pytest.mark.parametrize("operation", ["authorize", "create", "search", "extend", "delete"])
def test_an_answer_forges_no_log_line(
    operation: str, status: int, pe: PagoEfectivo, caplog: pytest.LogCaptureFixture
) -> None:
    payment = create_payment(order_reference="A-1", amount=25, customer=CUSTOMER)
    Payment.objects.update(next_poll_at=timezone.now())
    cache.clear()
    details = [{"code": BREAKS, "field": BREAKS, "message": BREAKS}]
    body = json.dumps({"code": f"9{BREAKS}", "message": BREAKS, "data": details}).encode()
    pe.fail_next(operation, *(Reply(status, body) for _ in range(4)))
    caplog.set_level(logging.DEBUG)
    for act in (
        lambda: create_payment(order_reference="A-2", amount=25, customer=CUSTOMER),
        poll,
        lambda: Client().get(f"{payment.get_absolute_url()}return/"),
        lambda: extend_payment(payment),
        lambda: cancel_payment(payment),
    ):
        with suppress(PagoEfectivoError):
            act()
    assert_one_line_each(caplog)
    if status == 400:
        assert any("payment 7 is paid" in line for line in lines_of(caplog))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("database_is_away", [False, True])
def test_a_receivers_words_forge_no_log_line(
    database_is_away: bool, pe: PagoEfectivo, caplog: pytest.LogCaptureFixture
) -> None:
    """They may hold whatever the shopper typed."""
    typed = f"a vase{BREAKS}".replace("\x00", "")
    payment = create_payment(order_reference="A-1", amount=25, customer=CUSTOMER, description=typed)

    def no_account(sender: Any, payment: Payment, **kwargs: Any) -> None:
        raise ValueError(f"no account for {payment.description}")

    def away(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE") and "last_error" in sql and database_is_away:
            raise OperationalError("the database is away")
        return execute(sql, params, many, context)

    caplog.set_level(logging.DEBUG)
    with (
        listening(no_account, "shop.no_account", ["payment_confirmed"]),
        connection.execute_wrapper(away),
    ):
        assert post(body_of(payment)).status_code == 200
    for record in caplog.records:
        # What its own code raised is shown below the line, without the receiver's words.
        if record.exc_info:
            assert database_is_away
            assert "payment 7 is paid" not in str(record.exc_text)
            record.exc_info = record.exc_text = None
    assert_one_line_each(caplog)
    assert any("no account for a vase" in line for line in lines_of(caplog))


@pytest.mark.django_db(transaction=True)
def test_what_a_command_prints_stays_on_its_line(
    pe: PagoEfectivo, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cron's mail and log are read as logs are."""
    create_payment(order_reference="A-1", amount=25, customer=CUSTOMER)
    Payment.objects.update(next_poll_at=timezone.now())
    body = json.dumps({"code": "111", "message": BREAKS}).encode()
    pe.fail_next("search", Reply(400, body))
    with pytest.raises(CommandError) as refused:
        call_command("pagoefectivo_poll")
    assert "payment 7 is paid" in str(refused.value)
    assert str(refused.value).isprintable()


def test_every_logger_keeps_its_records_on_their_line() -> None:
    package = Path(django_pagoefectivo.__file__).parent
    with_a_logger = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "getLogger" in path.read_text("utf-8")
    ]
    assert with_a_logger == ["logs.py"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Señora Ñañez 💸 pays\\n", "Señora Ñañez 💸 pays\\n"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\u2028\u2029\x85\x1b[2K", "\\u2028\\u2029\\x85\\x1b[2K"),
        # What turns the reading direction, and what no stream can encode.
        ("\u202e\ud800", "\\u202e\\ud800"),
        ("", ""),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_record_that_cannot_be_formatted_is_the_handlers_business() -> None:
    logger = logger_for("django_pagoefectivo.tests")
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, "%d", ("x",), None)
    assert logger.filter(record)


# -- unpacking -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_the_webhook_unpacks_nothing(encoding: str) -> None:
    """What is signed and counted is what came over the wire; a packed body is no JSON."""
    packed = gzip.compress(b'{"eventType":"' + b"a" * 50_000_000 + b'"}', mtime=0)
    assert len(packed) < 64 * 1024
    tracemalloc.start()
    try:
        signed = post(packed, signature=hmac_of(packed), HTTP_CONTENT_ENCODING=encoding)
        forged = post(packed, signature="00" * 32, HTTP_CONTENT_ENCODING=encoding)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (signed.status_code, forged.status_code) == (400, 403)
    assert peak < 10_000_000
    assert all(len(event.body) <= 64 * 1024 for event in WebhookEvent.objects.all())


@pytest.mark.django_db(transaction=True)
def test_a_packed_answer_is_read_no_further_than_an_answer_may_be_long(pe: PagoEfectivo) -> None:
    packed = gzip.compress(b" " * 300_000_000, compresslevel=9, mtime=0)
    pe.fail_next("create", Reply(201, packed, content_encoding="gzip"))
    tracemalloc.start()
    try:
        with pytest.raises(OutcomeUnknown):
            create_payment(order_reference="A-1", amount=25, customer=CUSTOMER)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000_000
    assert "longer than" in ApiExchange.objects.latest("pk").error


# -- addresses -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_no_address_that_came_from_outside_is_opened(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    """The hosted page's address is PagoEfectivo's word, the return address the shop's."""
    with PagoEfectivo() as trap:
        configure(RETURN_URL=f"{trap.url}/back?order=A-1")
        made = {
            "cip": 10000001,
            "amount": 25,
            "currency": "PEN",
            "cipUrl": f"{trap.url}/{'A' * 32}.html",
        }
        answer = {"code": 100, "message": "ok", "data": made}
        pe.fail_next("create", Reply(201, json.dumps(answer).encode()))
        payment = create_payment(order_reference="A-1", amount=25, customer=CUSTOMER)
        assert payment.cip_url.startswith(trap.url)
        page = payment.get_absolute_url()
        for address in (page, f"{page}status/", f"{page}return/"):
            assert Client().get(address).status_code == 200
        poll(everything=True)
        assert post(body_of(payment)).status_code == 200
        connections = trap.connections
    assert connections == 0
    assert pe.counts["search"] >= 1


# -- patterns --------------------------------------------------------------------------

LONG = 32 * 1024
#: Long runs of what patterns repeat, each ended by what fits nothing.
NASTY = [
    *(run * (LONG // len(run)) + "\x00" for run in ("0", "a", " ", "\t", "á", "-", ".", ",", "=")),
    *(run * (LONG // len(run)) + "!" for run in ("a@", "a.", "1,", "1.", "- ", "\\", '"', '\\"')),
    *(run * (LONG // len(run)) for run in ("a@a.", "1 000,", '" "', "0-0 ", "\n ", "%0", "+1 ")),
    '"' + "\\" * LONG,
    "a@" + "a." * (LONG // 2) + "@",
]


#: Django has them since 6.0.
HAS_TASKS = importlib.util.find_spec("django.tasks") is not None


def patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    found = {}
    for module in pkgutil.walk_packages(django_pagoefectivo.__path__, "django_pagoefectivo."):
        if ".migrations" in module.name or (not HAS_TASKS and module.name.endswith("django_tasks")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                found[f"{module.name.removeprefix('django_pagoefectivo.')}.{name}"] = value
    return found


def test_the_walk_finds_patterns() -> None:
    assert "gateways.signing._STRING_OR_SPACE" in patterns()
    assert len(patterns()) > 15


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_no_pattern_can_be_stalled() -> None:
    """Quadratic work over 32 KiB would be a thousand million steps: far beyond the time limit."""
    for pattern in patterns().values():
        for text in NASTY:
            if isinstance(pattern.pattern, bytes):
                list(pattern.finditer(text.encode()))
            else:
                list(pattern.finditer(text))


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_no_mask_can_be_stalled() -> None:
    """The patterns that are made of what is known of a shopper."""
    of_everything = masker([SECRET], ["aa aaa", "ana@shop.example", "00000", "1,1,1", "- - -"])
    shopper = Payment(
        customer_email="a@a.example",
        customer_first_name="aaa a.a.a",
        customer_last_name="ááá ---",
        customer_phone="000000000",
    )
    for text in NASTY:
        of_everything[1](text)
        of_everything[0]({"note": text, text[:99]: [text]})
        Discretion(whole=False).text(text, shopper)


# -- comparison ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = hmac.compare_digest
    compared: list[tuple[bytes, bytes]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return genuine(left, right)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    payment = make_payment()
    body = body_of(payment)
    assert post(body, signature="0" * 64).status_code == 403
    assert [right for _left, right in compared] == [b"0" * 64]
    assert post(body).status_code == 200
    assert compared[-1] == (hmac_of(body, SECRET).encode(),) * 2

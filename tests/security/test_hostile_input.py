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
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

import django_pagoefectivo
from django_pagoefectivo.discretion import Discretion
from django_pagoefectivo.exceptions import OutcomeUnknown
from django_pagoefectivo.gateways.masking import masker
from django_pagoefectivo.models import ApiExchange, Payment, WebhookEvent
from django_pagoefectivo.services import create_payment, poll, sync_payment
from django_pagoefectivo.testing import make_payment
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

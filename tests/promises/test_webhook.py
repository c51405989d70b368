"""The webhook's answers, limits and costs, through the URL."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests
import time_machine
from django.core.handlers.asgi import ASGIRequest
from django.db import OperationalError, connection, connections
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from django_pagoefectivo.gateways.signing import key_label
from django_pagoefectivo.models import Outcome, Payment, SignalDelivery, WebhookEvent
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import listening
from django_pagoefectivo.views import webhook

from .kit import (
    SECRET,
    URL,
    Probe,
    body_of,
    hmac_of,
    is_counted,
    kinds,
    notify,
    post,
    refresh,
    statements,
)

OTHER_SECRET = "another-merchants-secret-key-not-real-0000"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def two_merchants(configure: Callable[..., None], settings: Any) -> None:
    merchants = settings.PAGOEFECTIVO["MERCHANTS"]
    other = {**merchants["default"], "SECRET_KEY": OTHER_SECRET, "SERVICE_ID": "77"}
    configure(MERCHANTS={**merchants, "dollars": other})


# -- answers -----------------------------------------------------------------------------


def test_200_applied_duplicate_ignored_unmatched_mismatch() -> None:
    payment = make_payment()
    for body, outcome in (
        (body_of(payment, amount=1), "mismatch"),
        (body_of(payment, event="cip.printed"), "ignored"),
        (body_of(payment), "applied"),
        (body_of(payment), "duplicate"),
        (body_of(payment, cip="999999"), "unmatched"),
    ):
        answer = post(body)
        assert (answer.status_code, answer.content.decode()) == (200, outcome)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert "no-store" in answer.headers["Cache-Control"]
    assert refresh(payment).status == "paid"
    assert WebhookEvent.objects.count() == 4


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'"cip.paid"',
        b"null",
        b"\xff\xfe{}",
        b'{"eventType":"cip.paid"}',
        b'{"eventType":"","data":{"cip":"1"}}',
        b'{"data":{"cip":"1","amount":1,"currency":"PEN"}}',
        b'{"eventType":"cip.paid","data":[]}',
        b'{"eventType":"cip.paid","data":{"currency":"PEN","amount":1}}',
        b'{"eventType":"cip.paid","data":{"cip":"1","currency":"PEN"}}',
        b'{"eventType":"cip.paid","data":{"cip":"1","currency":"PEN","amount":"a lot"}}',
        b'{"eventType":"cip.paid","data":{"cip":"1","currency":"PEN","amount":-1}}',
        b'{"eventType":"cip.paid","data":{"cip":"1","currency":"PEN","amount":NaN}}',
        b'{"eventType":"cip.paid","data":{"cip":"1","amount":1}}',
        b'{"eventType":"cip.paid","data":{"cip":true,"amount":1,"currency":"PEN"}}',
        b"[" * 20_000 + b"]" * 20_000,
        b'{"eventType":"cip.paid","data":{"cip":"1","amount":1e999999999999,"currency":"PEN"}}',
    ],
)
def test_400_signed_but_not_usable(body: bytes) -> None:
    answer = post(body)
    assert answer.status_code == 400
    (event,) = WebhookEvent.objects.all()
    assert (event.outcome, event.digest) == (Outcome.REJECTED, None)
    assert event.error


@pytest.mark.parametrize("signature", ["", "00" * 32, "é", "\u2028", "x" * 5000, "0" * 63])
def test_403_wrong_signature_changes_nothing(signature: str) -> None:
    payment = make_payment()
    answer = post(body_of(payment), signature=signature.encode().decode("latin-1"))
    assert answer.status_code == 403
    assert refresh(payment).status == "pending"
    assert WebhookEvent.objects.get().outcome == Outcome.REJECTED


def test_403_no_signature_header_at_all() -> None:
    payment = make_payment()
    answer = Client().post(URL, body_of(payment), content_type="application/json")
    assert answer.status_code == 403


def test_a_signature_of_the_parsed_and_dumped_body_is_refused() -> None:
    payment = make_payment(amount=Decimal("22.50"))
    body = body_of(payment)
    assert b"22.50" in body
    dumped = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert post(body, signature=hmac_of(dumped)).status_code == 403


def test_indented_body_with_the_compact_signature_and_upper_case_hex() -> None:
    payment = make_payment()
    body = body_of(payment)
    indented = json.dumps(json.loads(body), indent=4).encode()
    assert b"22.05" in indented
    assert post(indented, signature=hmac_of(body).upper()).content == b"applied"
    assert post(body).content == b"duplicate"
    assert WebhookEvent.objects.get().times_received == 2


def test_fallback_keys_are_accepted_and_removed_ones_are_not(configure: Any) -> None:
    configure(merchant={"SECRET_KEY": "the-new-key", "SECRET_KEY_FALLBACKS": [SECRET]})
    payment = make_payment()
    assert post(body_of(payment)).content == b"applied"
    assert WebhookEvent.objects.get().signed_with == key_label(SECRET)
    configure(merchant={"SECRET_KEY": "the-new-key", "SECRET_KEY_FALLBACKS": []})
    assert post(body_of(payment)).status_code == 403


@pytest.mark.parametrize("url", [URL, URL + "default/"])
def test_405_for_everything_but_post(url: str) -> None:
    client = Client(enforce_csrf_checks=True)
    for method in ("get", "head", "put", "patch", "delete", "options"):
        assert getattr(client, method)(url).status_code == 405, method
    assert WebhookEvent.objects.count() == 0


@pytest.mark.parametrize("name", ["nobody", "Default", "default%00", "%F0%9F%92%B8"])
def test_404_merchant_unknown(name: str) -> None:
    payment = make_payment()
    assert post(body_of(payment), url=f"{URL}{name}/").status_code == 404
    assert WebhookEvent.objects.count() == 0


def test_another_merchants_key_makes_that_merchants_event(two_merchants: None) -> None:
    payment = make_payment()
    answer = post(body_of(payment), secret=OTHER_SECRET)
    assert (answer.status_code, answer.content) == (200, b"unmatched")
    event = WebhookEvent.objects.get()
    assert (event.merchant, event.payment) == ("dollars", None)
    assert refresh(payment).status == "pending"
    assert post(body_of(payment)).content == b"applied"


def test_another_merchants_key_at_ones_own_url_confirms_nothing(two_merchants: None) -> None:
    payment = make_payment()
    answer = post(body_of(payment), secret=OTHER_SECRET, url=URL + "default/")
    assert answer.status_code in (200, 403)
    assert refresh(payment).status == "pending"


def test_the_same_cip_at_two_merchants_is_two_payments(two_merchants: None) -> None:
    ours = make_payment(cip="31000001")
    theirs = make_payment(cip="31000001", merchant="dollars")
    assert post(body_of(theirs), secret=OTHER_SECRET).content == b"applied"
    assert (refresh(ours).status, refresh(theirs).status) == ("pending", "paid")


# -- length ------------------------------------------------------------------------------


def test_64_kib_and_not_a_byte_more() -> None:
    payment = make_payment()
    body = body_of(payment)
    padded = body[:-1] + b" " * (64 * 1024 - len(body)) + b"}"
    assert len(padded) == 64 * 1024
    assert post(padded).status_code == 200
    assert post(padded[:-1] + b" }").status_code == 413
    assert WebhookEvent.objects.count() == 1


def test_413_is_decided_before_the_body_is_read() -> None:
    class Endless(io.RawIOBase):
        def readinto(self, buffer: Any) -> int:
            raise AssertionError("the body was read")

        def readable(self) -> bool:
            return True

    request = RequestFactory().post(URL, b"", content_type="application/json")
    request.META["CONTENT_LENGTH"] = str(10**9)
    request._stream = Endless()  # type: ignore[assignment]
    assert webhook(request).status_code == 413


def asgi_post(body: bytes, signature: str) -> Any:
    scope = {
        "type": "http",
        "method": "POST",
        "path": URL,
        "query_string": b"",
        "headers": [(b"pe-signature", signature.encode()), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1234),
        "server": ("testserver", 80),
    }
    return webhook(ASGIRequest(scope, io.BytesIO(body)))


def test_64_kib_without_a_content_length() -> None:
    payment = make_payment()
    body = body_of(payment)
    too_long = body[:-1] + b" " * (64 * 1024) + b"}"
    assert asgi_post(too_long, hmac_of(body)).status_code == 413
    assert asgi_post(body, hmac_of(body)).status_code == 200
    assert refresh(payment).status == "paid"


@pytest.mark.parametrize("length", ["", "abc", "-1", "²", "٣", "9" * 5000, "1e3", "+5", " 7 "])
def test_an_odd_content_length_is_never_a_500(length: str) -> None:
    payment = make_payment()
    answer = post(body_of(payment), CONTENT_LENGTH=length, client=Client())
    assert 200 <= answer.status_code < 500


def test_a_length_beyond_djangos_own_limit_is_413(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert post(b"x" * 2000).status_code == 413


# -- addresses ---------------------------------------------------------------------------


def test_allow_list(configure: Any) -> None:
    configure(ALLOWED_IPS=["203.0.113.0/24", "2001:db8::/32"])
    payment = make_payment()
    for address, status in (
        ("198.51.100.7", 403),
        ("2001:db9::1", 403),
        ("", 403),
        ("203.0.113.7", 200),
        ("::ffff:203.0.113.9", 200),
        ("2001:db8::5", 200),
    ):
        answer = post(body_of(payment), REMOTE_ADDR=address)
        assert answer.status_code == status, address
        if status == 403:
            assert refresh(payment).status == "pending"
    spoofed = post(body_of(payment), REMOTE_ADDR="198.51.100.7", HTTP_X_FORWARDED_FOR="203.0.113.7")
    assert spoofed.status_code == 403


def test_the_header_is_believed_only_from_a_trusted_proxy(configure: Any) -> None:
    configure(
        ALLOWED_IPS=["203.0.113.7"], IP_HEADER="X-Forwarded-For", TRUSTED_PROXIES=["10.0.0.0/8"]
    )
    payment = make_payment()
    for address, header, status in (
        ("198.51.100.7", "203.0.113.7", 403),
        ("10.0.0.1", "198.51.100.7", 403),
        ("10.0.0.1", "203.0.113.7, 198.51.100.7", 403),
        ("10.0.0.1", "", 403),
        ("10.0.0.1", "nonsense", 403),
        ("10.0.0.1", "203.0.113.7, 10.9.9.9", 200),
    ):
        answer = post(body_of(payment), REMOTE_ADDR=address, HTTP_X_FORWARDED_FOR=header)
        assert answer.status_code == status, (address, header)
    assert WebhookEvent.objects.get(outcome="applied").address == "203.0.113.7"


@pytest.mark.parametrize("address", ["", "unix:", "fe80::1%eth0", "::1", "fe80::1%" + "e" * 60])
def test_an_odd_address_never_loses_a_genuine_notification(address: str) -> None:
    payment = make_payment()
    answer = post(body_of(payment), REMOTE_ADDR=address)
    assert (answer.status_code, refresh(payment).status) == (200, "paid")


# -- refused ones ------------------------------------------------------------------------


def test_refused_ones_are_kept_ten_a_minute_and_merchant(two_merchants: None) -> None:
    with time_machine.travel("2026-11-23T12:00:05Z", tick=False) as clock:
        for number in range(30):
            post(b"forged %d" % number, signature="00", url=URL + "default/")
        assert WebhookEvent.objects.filter(merchant="default").count() == 10
        post(b"forged", signature="00", url=URL + "dollars/")
        assert WebhookEvent.objects.filter(merchant="dollars").count() == 1
        clock.shift(61)
        for number in range(30):
            post(b"forged again %d" % number, signature="00", url=URL + "default/")
        assert WebhookEvent.objects.filter(merchant="default").count() == 20


def test_refused_ones_are_trimmed_to_the_newest(configure: Any, two_merchants: None) -> None:
    configure(REJECTED_EVENTS_KEPT=3)
    payment = make_payment()
    notify(payment)
    with time_machine.travel("2026-11-23T12:00:05Z", tick=False):
        post(b"theirs", signature="00", url=URL + "dollars/")
        for number in range(8):
            post(b"forged %d" % number, signature="00", url=URL + "default/")
    kept = WebhookEvent.objects.filter(merchant="default", outcome="rejected").order_by("pk")
    assert [bytes(e.body) for e in kept] == [b"forged 5", b"forged 6", b"forged 7"]
    assert WebhookEvent.objects.filter(merchant="dollars").count() == 1
    assert WebhookEvent.objects.filter(outcome="applied").count() == 1


def test_refused_ones_can_be_kept_not_at_all(configure: Any) -> None:
    configure(REJECTED_EVENTS_KEPT=0)
    with statements() as seen:
        assert post(b"forged", signature="00").status_code == 403
    assert seen == []
    assert WebhookEvent.objects.count() == 0


def test_4_kib_of_a_refused_one() -> None:
    post(b"z" * 60_000, signature="00")
    assert bytes(WebhookEvent.objects.get().body) == b"z" * 4096


def test_a_flood_of_forged_ones_costs_no_statement() -> None:
    payment = make_payment()
    with time_machine.travel("2026-11-23T12:00:05Z", tick=False):
        for _ in range(10):
            post(body_of(payment), signature="00")
        with statements() as seen:
            for _ in range(50):
                assert post(body_of(payment), signature="00").status_code == 403
    assert seen == []


def test_a_forged_copy_never_blocks_the_genuine_one() -> None:
    payment = make_payment()
    for _ in range(12):
        assert post(body_of(payment), signature="ab" * 32).status_code == 403
    assert post(body_of(payment)).content == b"applied"
    assert post(body_of(payment), signature="ab" * 32).status_code == 403
    assert post(body_of(payment)).content == b"duplicate"
    assert WebhookEvent.objects.get(outcome="applied").times_received == 2


def test_the_counting_cache_being_away_is_never_a_500(settings: Any, configure: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "broken": {"BACKEND": "tests.promises.kit.BrokenCache"},
    }
    configure(CACHE="broken")
    payment = make_payment()
    assert post(b"forged", signature="00").status_code == 403
    assert post(b"not json").status_code == 400
    assert post(body_of(payment)).content == b"applied"


# -- in hostile surroundings -------------------------------------------------------------


def test_under_login_required_and_csrf_over_http(live_server: Any, settings: Any) -> None:
    assert "django.contrib.auth.middleware.LoginRequiredMiddleware" in settings.MIDDLEWARE
    payment = make_payment()
    body = body_of(payment)
    with requests.Session() as http:
        for url in (URL, URL + "default/"):
            answer = http.post(
                live_server.url + url,
                data=body,
                headers={"PE-Signature": hmac_of(body), "Content-Type": "application/json"},
                timeout=20,
            )
            assert answer.status_code == 200, answer.text
        assert http.get(live_server.url + URL, timeout=20).status_code == 405
        forged = http.post(
            live_server.url + URL, data=body, headers={"PE-Signature": "00"}, timeout=20
        )
        assert forged.status_code == 403
        long = http.post(
            live_server.url + URL,
            data=body[:-1] + b" " * 70_000 + b"}",
            headers={"PE-Signature": hmac_of(body)},
            timeout=20,
        )
        assert long.status_code == 413
    assert refresh(payment).status == "paid"
    assert WebhookEvent.objects.get(outcome="applied").times_received == 2


@pytest.fixture
def atomic_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django reads this from the settings of all connections."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


def test_atomic_requests_and_an_error_behind_the_view(
    settings: Any, atomic_requests: None, probe: Probe
) -> None:
    """What was committed stays though the answer is lost, and receivers run outside."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.promises.kit.raise_behind_the_view"]
    payment = make_payment()
    client = Client(raise_request_exception=False)
    answer = post(body_of(payment), client=client)
    assert answer.status_code == 500
    assert refresh(payment).status == "paid"
    (heard,) = probe.of("payment_confirmed")
    assert not heard.in_transaction
    assert heard.status == "paid"


def test_atomic_requests_wraps_no_transaction_around_the_receivers(
    atomic_requests: None, probe: Probe
) -> None:
    payment = make_payment()
    assert post(body_of(payment)).content == b"applied"
    assert [h.in_transaction for h in probe.of("payment_confirmed")] == [False]


class _Refusing:
    """Raises at the nth statement, like a server that has gone."""

    def __init__(self, nth: int) -> None:
        self.left = nth

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.left -= is_counted(sql)
        if self.left < 0:
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, params, many, context)


def one_of_several() -> Payment:
    """A payment that is not its order's only one, and is not written as one statement."""
    earlier = make_payment("cancelled")
    return make_payment(order_reference=earlier.order_reference)


@pytest.mark.parametrize("make", [make_payment, one_of_several], ids=["usual", "with care"])
def test_503_wherever_the_database_goes_away(make: Callable[[], Payment], probe: Probe) -> None:
    body = body_of(make())
    with statements() as seen:
        assert post(body).content == b"applied"
    # What comes after the last of the writes comes after the commit.
    writes = [at for at, kind in enumerate(kinds(seen)) if kind.startswith(("INSERT", "WITH"))]
    WebhookEvent.objects.all().delete()
    for nth in range(len(seen)):
        probe.heard.clear()
        payment = make()
        with connection.execute_wrapper(_Refusing(nth)):
            answer = post(body_of(payment))
        is_committed = nth > writes[-1]
        assert answer.status_code == (200 if is_committed else 503), nth
        if not is_committed:
            assert refresh(payment).status == "pending"
            assert not WebhookEvent.objects.filter(payment=payment).exists()
            assert not SignalDelivery.objects.filter(payment=payment).exists()
            assert probe.heard == []
            assert post(body_of(payment)).content == b"applied"
        assert len(probe.of("payment_confirmed")) == 1


@pytest.mark.parametrize("atomic", [False, True], ids=["plain", "ATOMIC_REQUESTS"])
def test_503_when_the_commit_fails(
    atomic: bool, monkeypatch: pytest.MonkeyPatch, probe: Probe
) -> None:
    """Under ATOMIC_REQUESTS too the commit is the view's own, and its failure answered."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic)
    payment = one_of_several()
    wrapper = connections["default"]

    def fail() -> None:
        wrapper.rollback()
        raise OperationalError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(wrapper, "commit", fail)
        assert post(body_of(payment)).status_code == 503
    assert refresh(payment).status == "pending"
    assert probe.heard == []
    assert post(body_of(payment)).content == b"applied"
    assert len(probe.of("payment_confirmed")) == 1


@pytest.mark.parametrize(
    "url",
    ["postgres://postgres@127.0.0.1:9/nowhere", "sqlite:////nowhere/at/all.sqlite3"],
)
def test_503_when_there_is_no_database(url: str) -> None:
    if url.startswith("postgres"):
        pytest.importorskip("psycopg")
    body = body_of(cip="1", amount=1, currency="PEN")
    code = f"""
import django
django.setup()
from django.conf import settings
settings.ROOT_URLCONF = "tests.promises.urls"
from django.test import Client
answer = Client(raise_request_exception=False).generic(
    "POST", {URL!r}, {body!r}, "application/json", headers={{"PE-Signature": {hmac_of(body)!r}}})
forged = Client(raise_request_exception=False).generic(
    "POST", {URL!r}, {body!r}, "application/json", headers={{"PE-Signature": "00"}})
print(answer.status_code, forged.status_code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "PATH": "/usr/bin:/bin",
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["503", "403"], done.stderr[-2000:]


# -- what it costs -----------------------------------------------------------------------


def _listen_once(sender: Any, **kwargs: Any) -> None:
    pass


@pytest.fixture
def one_receiver() -> Any:
    with listening(_listen_once, "tests.one", ["payment_confirmed"]):
        yield


@pytest.fixture(autouse=True)
def _warm() -> None:
    Client()  # middleware is loaded lazily
    Payment.objects.count()


def writing(*rows: str) -> list[str]:
    """What reading and paying a payment costs: PostgreSQL writes ``rows`` with it as one."""
    if connection.vendor == "postgresql":
        return ["SELECT payment", "WITH payment"]
    return ["SELECT payment", "UPDATE payment", *(f"INSERT {row}" for row in rows)]


def test_cost_inline_with_one_receiver(one_receiver: None) -> None:
    payment = make_payment()
    body = body_of(payment)
    with statements() as seen:
        assert post(body).content == b"applied"
    assert kinds(seen) == [*writing("webhookevent", "signaldelivery"), "UPDATE signaldelivery"]
    with statements() as seen:
        assert post(body).content == b"duplicate"
    assert kinds(seen) == ["SELECT payment", "UPDATE webhookevent"]


def test_cost_in_worker_mode(one_receiver: None, configure: Any) -> None:
    configure(SIGNAL_DELIVERY="worker")
    payment = make_payment()
    with statements() as seen:
        assert post(body_of(payment)).content == b"applied"
    assert kinds(seen) == writing("webhookevent", "signaldelivery")


def test_cost_with_nobody_listening() -> None:
    payment = make_payment()
    with statements() as seen:
        assert post(body_of(payment)).content == b"applied"
    assert kinds(seen) == writing("webhookevent")


def test_cost_of_an_order_with_several_payments(one_receiver: None) -> None:
    """It is not the usual one: what was assumed does not hold, and it is taken in with care."""
    make_payment("cancelled", order_reference="A-1")
    payment = make_payment(order_reference="A-1")
    with statements() as seen:
        assert post(body_of(payment)).content == b"applied"
    # On MariaDB nothing is assumed.
    in_vain = [] if connection.vendor == "mysql" else writing()
    assert kinds(seen) == [
        *in_vain,
        "SELECT payment",
        "UPDATE payment",
        "INSERT webhookevent",
        "INSERT signaldelivery",
        "UPDATE signaldelivery",
    ]


def test_one_statement_needs_no_transaction_around_it(one_receiver: None, configure: Any) -> None:
    configure(SIGNAL_DELIVERY="worker")
    payment = make_payment()
    with CaptureQueriesContext(connection) as seen:
        assert post(body_of(payment)).content == b"applied"
    around = [query["sql"] for query in seen if not is_counted(query["sql"])]
    assert len(around) == (0 if connection.vendor == "postgresql" else 2), around


def test_what_is_logged_names_the_outcome(caplog: pytest.LogCaptureFixture) -> None:
    payment = make_payment()
    with caplog.at_level(logging.INFO, "django_pagoefectivo.webhook"):
        notify(payment)
        post(body_of(payment), signature="00")
    levels = [(r.levelno, r.name) for r in caplog.records if "django_pagoefectivo" in r.name]
    assert levels == [
        (logging.INFO, "django_pagoefectivo.webhook"),
        (logging.WARNING, "django_pagoefectivo.webhook"),
    ]

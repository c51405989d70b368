"""Error reports by mail show the variables of every frame; none of ours may hold a secret."""

from __future__ import annotations

import dataclasses
import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from django_pagoefectivo.conf import get_config
from django_pagoefectivo.exceptions import GatewayUnavailable, PagoEfectivoError
from django_pagoefectivo.gateways import Charge, Customer, Gateway, IssuedCode, gateway_for
from django_pagoefectivo.services import (
    cancel_payment,
    create_payment,
    extend_payment,
    sync_payment,
)
from django_pagoefectivo.testing import make_payment
from tests.gateways.samples import CHARGE
from tests.gateways.server import TOKEN, Reply, WireServer, cut, issued, token_reply
from tests.people import browser_of, member_of_staff
from tests.promises.kit import URL, body_of, post

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "s3cr3t-key-that-nobody-may-see-0123456789"
FALLBACK = "s3cr3t-fallback-that-nobody-may-see-98765"
ACCESS = "ACCESSKEYNOBODYSEES1"
SHOPPER = Customer(
    email="rosalinda.quispehuaman@correo.example",
    first_name="Rosalinda",
    last_name="Quispehuamán",
    document_type="DNI",
    document_number="46718293",
    phone="987650123",
    phone_country_code="+51",
    customer_id="C-7712345",
)
FORBIDDEN = (
    SECRET,
    FALLBACK,
    ACCESS,
    TOKEN,
    SHOPPER.email,
    SHOPPER.first_name,
    SHOPPER.last_name,
    SHOPPER.document_number,
    SHOPPER.phone,
    SHOPPER.customer_id,
)
REFUSED = Reply(400, {"code": "111", "message": "no", "data": []})
DENIED = Reply(401, {"code": "401", "message": "no"})
BROKEN = Reply(502, "<h1>Bad Gateway</h1>")
#: Kind of failure → what the server answers to each call.
FAILURES: dict[str, tuple[Reply, ...]] = {
    "refused": (REFUSED,),
    "denied": (DENIED,),
    "broken": (BROKEN,),
    "cut": (cut(),),
}
BY_API = {"cip": ("/cips", "/cips/search"), "payment": ("/payment", "/payment/status")}


@pytest.fixture(autouse=True)
def _like_a_real_server(settings: Any) -> Iterator[None]:
    settings.DEBUG = False
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def server() -> Iterator[WireServer]:
    with WireServer() as running:
        yield running


@pytest.fixture(params=BY_API)
def api(request: pytest.FixtureRequest, server: WireServer, configure: Any) -> str:
    """Each contract in turn, as the merchant's."""
    use(configure, request.param, server.url)
    return str(request.param)


def use(configure: Any, api: str, url: str, **changes: Any) -> None:
    configure(
        merchant={
            "API": api,
            "BASE_URL": url,
            "ACCESS_KEY": ACCESS,
            "SECRET_KEY": SECRET,
            "SECRET_KEY_FALLBACKS": [FALLBACK],
            **changes,
        }
    )


def report_of(exc_info: Any, request: Any = None) -> str:
    reporter = ExceptionReporter(request or RequestFactory().get("/"), *exc_info)
    return reporter.get_traceback_html() + reporter.get_traceback_text()


def reports_of(work: Callable[[], object], kind: type[Exception] = PagoEfectivoError) -> list[str]:
    try:
        work()
    except kind:
        return [report_of(sys.exc_info())]
    raise AssertionError("nothing was raised, so nothing was checked")


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reports that an ``AdminEmailHandler`` would make of what was logged."""
    return [
        report_of(record.exc_info, getattr(record, "request", None))
        for record in caplog.records
        if record.exc_info
    ]


def assert_silent(reports: list[str], *hidden: str) -> None:
    """Nothing that must stay put stands in any of ``reports``."""
    assert reports
    for report in reports:
        # It does show variables.
        assert "Local vars" in report
        found = [word for word in (*FORBIDDEN, *hidden) if word in report]
        assert not found, [report[max(0, report.index(w) - 200) :][:250] for w in found]


def signed(server: WireServer) -> list[str]:
    """The hashes and signatures that were sent."""
    sent = [r.headers.get("x-signature", "") for r in server.requests]
    sent += [json.loads(r.body).get("hashString", "") for r in server.requests if r.body]
    return [value for value in sent if value]


def create() -> object:
    return create_payment(order_reference="A-1", amount=25, customer=SHOPPER)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_create_call(api: str, failure: str, server: WireServer) -> None:
    server.on(f"POST {BY_API[api][0]}", *FAILURES[failure])
    assert_silent(reports_of(create), *signed(server))
    assert server.calls[f"POST {BY_API[api][0]}"] >= 1


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_token_call(failure: str, server: WireServer, configure: Any) -> None:
    use(configure, "cip", server.url)
    server.on("POST /authorizations", *FAILURES[failure])
    assert_silent(reports_of(create), *signed(server))
    assert signed(server)


def test_a_token_that_is_refused_twice(server: WireServer, configure: Any) -> None:
    use(configure, "cip", server.url)
    newer = "eyJ0ZXN0Ijoib3RoZXIifQ.b3RoZXItdG9rZW4tbm90LXJlYWw.c2ln"
    server.on("POST /authorizations", token_reply(), token_reply(newer))
    server.on("POST /cips", DENIED)
    assert_silent(reports_of(create), newer, *signed(server))
    assert server.calls["POST /cips"] == 2


@pytest.mark.parametrize("api", BY_API)
def test_nobody_listens(api: str, configure: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    use(configure, api, f"http://127.0.0.1:{port}/v1")
    assert_silent(reports_of(create))


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_question(api: str, failure: str, server: WireServer) -> None:
    payment = make_payment(remote_id="PAY-1")
    if api == "cip":
        server.on("POST /cips/search", *FAILURES[failure])
    else:
        query = "merchantId=1234&paymentId=PAY-1"
        server.on(f"GET /payment/status?{query}", *FAILURES[failure])
    assert_silent(reports_of(lambda: sync_payment(payment)), *signed(server))
    assert signed(server)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(
    ("method", "act"),
    [
        ("PATCH", lambda payment: extend_payment(payment, expires_in=timedelta(hours=9))),
        ("DELETE", cancel_payment),
    ],
)
def test_a_failed_change(
    method: str, act: Callable[..., object], failure: str, server: WireServer, configure: Any
) -> None:
    use(configure, "cip", server.url)
    payment = make_payment()
    server.on(f"{method} /cips/{payment.cip}", *FAILURES[failure])
    assert_silent(reports_of(lambda: act(payment)), *signed(server))
    assert server.tokens


@pytest.mark.parametrize("api", BY_API)
def test_a_gateway_that_is_called_without_a_service(
    api: str, server: WireServer, configure: Any
) -> None:
    """The commands that check a merchant do, and so may a shop's own code."""
    use(configure, api, server.url)
    server.on(f"POST {BY_API[api][0]}", DENIED)
    config = get_config()
    gateway = gateway_for(config.merchant("default"), config)
    charge = dataclasses.replace(CHARGE, customer=SHOPPER)
    assert_silent(reports_of(lambda: gateway.create(charge)), *signed(server))


class NewGateway(Gateway):
    """A shop's own, whose author has thought of none of this."""

    def create(self, charge: Charge) -> IssuedCode:
        header = f"Basic {self.merchant.secret_key}"
        return self._send(header, charge.customer.email)

    def _send(self, header: str, email: str) -> IssuedCode:
        raise GatewayUnavailable("There is nobody.")


def test_a_gateway_of_the_shops_own(configure: Any) -> None:
    use(configure, f"{__name__}.NewGateway", "https://nowhere.example")
    config = get_config()
    gateway = gateway_for(config.merchant("default"), config)
    charge = dataclasses.replace(CHARGE, customer=SHOPPER)
    assert_silent(reports_of(lambda: gateway.create(charge)))


# -- the database is away ----------------------------------------------------------------


def away(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if sql.startswith(("INSERT", "UPDATE", "WITH")):
        raise OperationalError("the server closed the connection unexpectedly")
    return execute(sql, params, many, context)


def test_a_payment_that_cannot_be_written(server: WireServer, configure: Any) -> None:
    use(configure, "cip", server.url)
    with connection.execute_wrapper(away):
        assert_silent(reports_of(create, OperationalError))


def test_a_code_that_cannot_be_written(server: WireServer, configure: Any) -> None:
    use(configure, "cip", server.url)
    server.on("POST /cips", issued)

    def later(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if server.calls["POST /cips"]:
            return away(execute, sql, params, many, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(later):
        assert_silent(reports_of(create, OperationalError), *signed(server))
    assert signed(server)


def test_a_notification_that_cannot_be_kept(
    server: WireServer, configure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    use(configure, "cip", server.url)
    body = body_of(cip="1", amount=1, currency="PEN", userName=SHOPPER.first_name)
    with connection.execute_wrapper(away):
        assert post(body, secret=FALLBACK).status_code == 503
    assert_silent(logged(caplog))


@pytest.mark.parametrize(
    "wrong",
    [
        {"SECRET_KEY": f"{SECRET} "},
        {"CURRENCIES": ["soles"]},
        {"SECRET_KEY_FALLBACKS": [FALLBACK, ""]},
    ],
)
@pytest.mark.parametrize("url", [URL, f"{URL}default/"])
def test_a_merchant_that_is_set_up_wrongly(
    wrong: dict[str, Any],
    url: str,
    server: WireServer,
    configure: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use(configure, "cip", server.url, **wrong)
    assert post(body_of(cip="1", amount=1, currency="PEN"), url=url).status_code == 503
    assert_silent(logged(caplog))


# -- the REST API ------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OperationalError, RuntimeError])
def test_a_request_to_the_rest_api(
    error: type[Exception],
    server: WireServer,
    configure: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(configure, "cip", server.url)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error("it broke")

    monkeypatch.setattr("django_pagoefectivo.api.creation.create_payment", fail)
    client = browser_of(member_of_staff("ana", ["add_payment"]))
    client.raise_request_exception = False
    caplog.set_level(logging.ERROR)
    answer = client.post(
        "/pagoefectivo/api/payments/",
        {
            "order_reference": "A-1",
            "amount": "25.00",
            "customer": {"email": SHOPPER.email, "phone": SHOPPER.phone},
        },
        content_type="application/json",
        headers={"Idempotency-Key": "one"},
    )
    assert answer.status_code in (500, 503), answer.content
    assert_silent(logged(caplog))

"""Every error in one shape, whatever is sent; and how often somebody may ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from rest_framework.test import APIClient

from django_pagoefectivo.api import views
from django_pagoefectivo.api.problems import CODES, TYPE_PREFIX
from django_pagoefectivo.conf import get_config
from django_pagoefectivo.exceptions import PagoEfectivoError
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import BrokenCache
from tests.servers import PagoEfectivo, Reply

from .conftest import PAYMENTS, STATISTICS, body, path_of

pytestmark = pytest.mark.django_db


def problem_of(answer: Any) -> dict[str, Any]:
    """The problem in an answer, having checked its shape."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "errors", "payment"}
    assert problem["type"] == TYPE_PREFIX + problem["code"]
    assert problem["status"] == answer.status_code
    assert problem["code"] in CODES
    assert "no-store" in answer.headers["Cache-Control"]
    return problem


@pytest.fixture
def root(client_of: Callable[[str], APIClient]) -> APIClient:
    return client_of("superuser")


@pytest.mark.parametrize(
    ("sent", "kind", "status", "code"),
    [
        (b"", "application/json", 400, "invalid"),
        (b"{", "application/json", 400, "malformed"),
        (b"[]", "application/json", 400, "invalid"),
        (b"null", "application/json", 400, "invalid"),
        (b'"text"', "application/json", 400, "invalid"),
        (b"17", "application/json; charset=utf-8", 400, "invalid"),
        (b"\xff\xfe", "application/json", 400, "malformed"),
        (b'{"a": NaN}', "application/json", 400, "malformed"),
        (b'{"a": 1, "a": 2}', "application/json", 400, "malformed"),
        (b"[" * 30_000, "application/json", 400, "malformed"),
        (b'{"a":' * 10_000, "application/json", 400, "malformed"),
        (b'{"amount": ' + b"9" * 6000 + b"}", "application/json", 400, "malformed"),
        (b'{"amount": 1e999}', "application/json", 400, "invalid"),
        (b" " * (64 * 1024 + 1), "application/json", 413, "too_large"),
        (b"amount=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"<a/>", "application/xml", 415, "unsupported_media_type"),
        (b"{}", "", 415, "unsupported_media_type"),
        (b"{}", "nonsense", 415, "unsupported_media_type"),
    ],
)
def test_bodies_that_cannot_be(
    sent: bytes, kind: str, status: int, code: str, root: APIClient
) -> None:
    # The stubs know of text alone.
    answer = root.generic("POST", PAYMENTS, sent, content_type=kind)  # type: ignore[arg-type]
    assert (answer.status_code, problem_of(answer)["code"]) == (status, code)


@pytest.mark.parametrize("act", ["sync", "cancel", "extend"])
def test_acts_take_no_more_than_they_say(act: str, root: APIClient) -> None:
    answer = root.post(path_of(make_payment(), act), {"force": True})
    assert [error["field"] for error in problem_of(answer)["errors"]] == ["force"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_methods_that_are_not_there(method: str, root: APIClient) -> None:
    for url in (PAYMENTS, path_of(make_payment()), STATISTICS):
        answer = getattr(root, method)(url)
        assert problem_of(answer)["code"] == "method_not_allowed"
        assert "GET" in answer.headers["Allow"]


def test_whatever_is_accepted_it_is_json(root: APIClient) -> None:
    for accepted in ("text/html", "application/xml", "nonsense"):
        answer = root.get(PAYMENTS, headers={"Accept": accepted})
        assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("days=0", "days"),
        ("days=9999", "days"),
        ("days=7&first=2026-01-01&last=2026-01-02", "days"),
        ("first=2026-01-01", "last"),
        ("last=2026-01-01", "first"),
        ("first=2026-01-02&last=2026-01-01", "last"),
        ("first=2016-01-02&last=2026-01-01", "last"),
        ("first=yesterday&last=today", "first"),
        ("first=9999-12-30&last=9999-12-31", "last"),
        ("first=0001-01-01&last=0001-01-01", "last"),
        ("period=1", "period"),
    ],
)
def test_periods_are_bounded(query: str, field: str, root: APIClient) -> None:
    answer = root.get(f"{STATISTICS}?{query}")
    assert answer.status_code == 400
    assert problem_of(answer)["errors"][0]["field"] == field


def test_the_figures_are_those_of_the_period_and_merchant(root: APIClient) -> None:
    make_payment("paid")
    make_payment("paid", merchant="usd", currency="USD")
    everything = root.get(STATISTICS, {"days": 1}).json()
    assert everything["totals"]["paid"] == 2
    assert everything["first"] == everything["last"]
    assert {row["currency"]: row["amount"] for row in everything["money"]} == {
        "PEN": "22.05",
        "USD": "22.05",
    }
    one = root.get(STATISTICS, {"merchant": "usd"}).json()
    assert (one["totals"]["paid"], one["totals"]["success_rate"]) == (1, 1.0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("status", "act", "code"),
    [
        ("paid", "cancel", "invalid_transition"),
        ("paid", "extend", "invalid_transition"),
        ("failed", "cancel", "invalid_transition"),
    ],
)
def test_what_the_state_does_not_allow(
    status: str, act: str, code: str, root: APIClient, pe: PagoEfectivo
) -> None:
    payment = make_payment(status)
    problem = problem_of(root.post(path_of(payment, act)))
    assert (problem["status"], problem["code"]) == (409, code)
    assert problem["payment"] == {"token": str(payment.token), "status": status}


@pytest.mark.django_db(transaction=True)
def test_what_the_contract_has_not(root: APIClient, configure: Callable[..., None]) -> None:
    configure(merchant={"API": "payment", "BASE_URL": "http://127.0.0.1:9/api/v1"})
    payment = make_payment()
    for act in ("cancel", "extend"):
        assert problem_of(root.post(path_of(payment, act)))["code"] == "not_supported"


@pytest.mark.django_db(transaction=True)
def test_pagoefectivo_away_or_unreadable(root: APIClient, pe: PagoEfectivo) -> None:
    payment = make_payment()
    pe.fail_next("search", Reply(500, b"<html>"), Reply(500, b"<html>"))
    assert problem_of(root.post(path_of(payment, "sync")))["code"] == "gateway_unavailable"
    pe.fail_next("delete", Reply(cut=True))
    assert problem_of(root.post(path_of(payment, "cancel")))["code"] == "outcome_unknown"


@pytest.mark.django_db(transaction=True)
def test_a_merchant_that_is_gone(root: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    problem = problem_of(root.post(path_of(make_payment(merchant="gone"), "sync")))
    assert (problem["status"], problem["code"]) == (500, "misconfigured")
    assert "gone" not in problem["detail"]
    assert 'There is no merchant "gone"' in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_transaction_around_it_is_the_shops_fault(root: APIClient, pe: PagoEfectivo) -> None:
    with transaction.atomic():
        answer = root.post(PAYMENTS, body())
    assert problem_of(answer)["code"] == "misconfigured"
    assert not pe.calls


def test_a_database_that_is_away(root: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("server closed the connection; password=hunter2")

    monkeypatch.setattr(views, "page_of", away)
    answer = root.get(PAYMENTS)
    assert problem_of(answer)["code"] == "busy"
    assert answer.headers["Retry-After"]
    assert "hunter2" not in answer.content.decode()


def test_an_error_of_a_kind_that_is_new(root: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise PagoEfectivoError("new")

    monkeypatch.setattr(views, "sync_payment", fail)
    assert problem_of(root.post(path_of(make_payment(), "sync")))["code"] == "busy"


def test_a_fault_that_nobody_foresaw_is_not_hidden(
    root: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(views, "page_of", fail)
    with pytest.raises(ZeroDivisionError):
        root.get(PAYMENTS)


def test_sentences_are_in_the_callers_language_and_codes_are_not(root: APIClient) -> None:
    spanish = root.get(path_of("x"), headers={"Accept-Language": "es"})
    assert problem_of(spanish)["code"] == "not_found"
    assert spanish.headers["Content-Language"] == "es"


# -- throttling -------------------------------------------------------------------------------


def test_each_scope_is_counted_by_itself(
    client_of: Callable[[str], APIClient],
    account: Callable[[str], User],
    configure: Callable[..., None],
) -> None:
    configure(api={"THROTTLE_RATES": {"create": "1/h", "read": "2/h", "act": "1/h"}})
    owner, payment = client_of("owner"), make_payment(user=account("owner"))
    acts = [owner.post(path_of(payment, "cancel"), {"x": 1}) for _ in range(2)]
    assert [answer.status_code for answer in acts] == [400, 429]
    creates = [owner.post(PAYMENTS, {}) for _ in range(2)]
    assert [answer.status_code for answer in creates] == [400, 429]
    reads = [owner.get(PAYMENTS) for _ in range(3)]
    assert [answer.status_code for answer in reads] == [200, 200, 429]
    problem = problem_of(reads[2])
    assert problem["code"] == "throttled"
    assert 3500 < int(reads[2].headers["Retry-After"]) <= 3600
    # Another user has a count of their own.
    assert client_of("other").get(PAYMENTS).status_code == 200


def test_no_rate_is_no_limit(
    client_of: Callable[[str], APIClient], configure: Callable[..., None]
) -> None:
    configure(api={"THROTTLE_RATES": {"read": None}})
    client = client_of("owner")
    assert {client.get(PAYMENTS).status_code for _ in range(5)} == {200}
    assert get_config().rest_api.throttle_rates["create"] == "30/min"


def test_a_cache_that_is_away_stops_nobody(
    client_of: Callable[[str], APIClient],
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = client_of("owner")
    settings.CACHES = {
        "default": {"BACKEND": f"{BrokenCache.__module__}.{BrokenCache.__qualname__}"}
    }
    assert client.get(PAYMENTS).status_code == 200
    assert "not counted" in caplog.text

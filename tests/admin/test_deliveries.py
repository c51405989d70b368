"""Deliveries and API exchanges in the admin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_pagoefectivo.models import ApiExchange, DeliveryState, SignalDelivery
from django_pagoefectivo.services import staff
from django_pagoefectivo.services.delivery import retry_now
from django_pagoefectivo.signals import payment_confirmed
from django_pagoefectivo.testing import make_payment

from .conftest import EMAIL, make_failing, notes_of

URL = "/admin/pagoefectivo/signaldelivery/"
CALLS = "/admin/pagoefectivo/apiexchange/"
pytestmark = pytest.mark.django_db


def said(answer: Any) -> str:
    return [str(message) for message in get_messages(answer.wsgi_request)][-1]


def retry(client: Any, delivery: SignalDelivery) -> Any:
    return client.post(f"{URL}{delivery.pk}/act/retry/")


@pytest.fixture
def shop() -> Iterator[dict[str, Any]]:
    """A receiver that fails as long as it is told to."""
    state: dict[str, Any] = {"fails": True, "calls": 0}

    def on_paid(**kwargs: Any) -> None:
        state["calls"] += 1
        if state["fails"]:
            raise RuntimeError("still no stock")

    payment_confirmed.connect(on_paid, weak=False, dispatch_uid="shop.receivers.on_paid")
    yield state
    payment_confirmed.disconnect(dispatch_uid="shop.receivers.on_paid")


@pytest.mark.parametrize("url", [URL, CALLS])
def test_the_lists_cost_the_same_with_2_and_200_rows(as_role: Any, url: str) -> None:
    client = as_role("viewer")
    counts = []
    for rows in (2, 198):
        for _ in range(rows):
            delivery = make_failing()
            ApiExchange.objects.create(
                payment=delivery.payment, merchant="default", request="x", response="y"
            )
        client.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_retry(as_role: Any, shop: dict[str, Any]) -> None:
    delivery = make_failing()
    client = as_role("clerk")
    assert "failed again: RuntimeError: still no stock" in said(retry(client, delivery))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 3)
    shop["fails"] = False
    assert said(retry(client, delivery)) == "shop.receivers.on_paid was told."
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.DONE
    assert "clerk had shop.receivers.on_paid told on" in said(retry(as_role("boss"), delivery))
    assert shop["calls"] == 2
    called = "Called shop.receivers.on_paid for payment_confirmed again"
    assert notes_of(delivery.payment) == [
        ("change", "clerk", f"{called}: it failed again."),
        ("change", "clerk", f"{called}: it succeeded."),
    ]
    assert LogEntry.objects.count() == 3


def test_a_delivery_that_another_process_works_on_is_left_alone(
    as_role: Any, shop: dict[str, Any]
) -> None:
    delivery = make_failing(claimed_by="elsewhere:1:1")
    assert "Another process is just telling" in said(retry(as_role("clerk"), delivery))
    assert shop["calls"] == 0


@pytest.mark.parametrize("ends", [DeliveryState.PENDING, DeliveryState.DONE])
def test_a_delivery_that_another_process_takes_just_now_is_left_alone(
    as_role: Any, shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    delivery = make_failing(attempts=0, last_error="")
    row = SignalDelivery.objects.filter(pk=delivery.pk)

    def after_another(delivery: SignalDelivery) -> bool | None:
        done = ends == DeliveryState.DONE
        row.update(state=ends, claimed_by="" if done else "elsewhere:1:1", attempts=1)
        return retry_now(delivery)

    monkeypatch.setattr(staff, "retry_now", after_another)
    sentence = {
        DeliveryState.PENDING: "Another process is just telling",
        DeliveryState.DONE: "shop.receivers.on_paid was told",
    }
    assert sentence[DeliveryState(ends)] in said(retry(as_role("clerk"), delivery))
    assert shop["calls"] == 0
    assert notes_of(delivery.payment) == []


def test_a_receiver_that_is_gone_is_a_sentence(as_role: Any) -> None:
    delivery = make_failing(receiver="shop.gone")
    assert "No receiver of payment_confirmed" in said(retry(as_role("clerk"), delivery))


@pytest.mark.parametrize("role", ["viewer", "privy", "outsider", "blind"])
def test_retry_without_the_right(as_role: Any, shop: dict[str, Any], role: str) -> None:
    delivery = make_failing()
    client = as_role(role)
    assert retry(client, delivery).status_code == 403
    assert client.get(f"{URL}{delivery.pk}/act/retry/").status_code == 403
    assert shop["calls"] == 0
    assert not LogEntry.objects.exists()


def test_retry_by_get_only_asks(as_role: Any, shop: dict[str, Any]) -> None:
    delivery = make_failing()
    assert as_role("clerk").get(f"{URL}{delivery.pk}/act/retry/").status_code == 200
    assert shop["calls"] == 0


def test_search_by_payment(as_role: Any) -> None:
    one, other = make_failing(), make_failing()
    calls = [
        ApiExchange.objects.create(payment=d.payment, merchant="default") for d in (one, other)
    ]
    client = as_role("viewer")
    for term in (one.payment.cip, one.payment.order_reference, one.payment.transaction_code):
        rows = client.get(URL, {"q": term}).context["cl"].result_list
        assert [row.pk for row in rows] == [one.pk]
        rows = client.get(CALLS, {"q": term}).context["cl"].result_list
        assert [row.pk for row in rows] == [calls[0].pk]
    assert not client.get(URL, {"q": EMAIL}).context["cl"].result_list
    for url in (URL, CALLS):
        answer = client.get(url, {"payment__customer_email__startswith": "r"})
        assert answer.status_code == 400


def test_filters(as_role: Any) -> None:
    failing = make_failing()
    make_failing(last_error="")
    make_failing(state="done")
    client = as_role("viewer")
    rows = client.get(URL, {"trouble": "failing"}).context["cl"].result_list
    assert [row.pk for row in rows] == [failing.pk]
    made = {"merchant": "default", "operation": "search"}
    good = ApiExchange.objects.create(http_status=200, **made)
    bad = {
        ApiExchange.objects.create(http_status=500, failed=True, **made).pk,
        ApiExchange.objects.create(error="timed out", failed=True, **made).pk,
    }
    rows = client.get(CALLS, {"result": "failed"}).context["cl"].result_list
    assert {row.pk for row in rows} == bad
    rows = client.get(CALLS, {"result": "ok"}).context["cl"].result_list
    assert {row.pk for row in rows} == {good.pk}


def test_pages_mask_and_escape(as_role: Any) -> None:
    delivery = make_failing(last_error=f"<b>{EMAIL}</b>")
    call = ApiExchange.objects.create(
        payment=make_payment(), merchant="default", response="<script>alert(1)</script>"
    )
    html = as_role("clerk").get(f"{URL}{delivery.pk}/change/").content.decode()
    assert EMAIL not in html
    assert "&lt;b&gt;" in html
    html = as_role("clerk").get(f"{CALLS}{call.pk}/change/").content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


@pytest.mark.parametrize("url", [URL, CALLS])
def test_nothing_can_be_edited(admin_client: Any, url: str) -> None:
    delivery = make_failing()
    call = ApiExchange.objects.create(merchant="default")
    pk = delivery.pk if url == URL else call.pk
    assert admin_client.get(f"{url}add/").status_code == 403
    assert admin_client.post(f"{url}{pk}/change/", {"state": "done"}).status_code == 403
    assert admin_client.post(f"{url}{pk}/delete/", {"post": "yes"}).status_code == 403
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.PENDING


def test_the_slowest_or_the_failing_calls_come_first_on_demand(as_role: Any) -> None:
    made = {"merchant": "default", "operation": "search"}
    slow = ApiExchange.objects.create(milliseconds=9000, **made)
    failed = ApiExchange.objects.create(milliseconds=5, failed=True, **made)
    newest = ApiExchange.objects.create(milliseconds=10, **made)
    client = as_role("viewer")

    def listed(**query: str) -> list[int]:
        return [row.pk for row in client.get(CALLS, query).context["cl"].result_list]

    assert listed() == [newest.pk, failed.pk, slow.pk]
    assert listed(first="slowest") == [slow.pk, newest.pk, failed.pk]
    assert listed(first="failing") == [failed.pk, newest.pk, slow.pk]
    assert listed(first="failing", result="ok") == [newest.pk, slow.pk]
    assert listed(first="x") == listed()
    html = client.get(CALLS).content.decode()
    for words in ("newest first", "slowest first", "failing first"):
        assert words in html

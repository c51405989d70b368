from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import create_autospec, patch

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.dateparse import parse_datetime

from django_pagoefectivo.exceptions import GatewayUnavailable
from django_pagoefectivo.models import Payment
from django_pagoefectivo.pages import views
from django_pagoefectivo.services import sync_payment
from tests.servers import PAID, Code, PagoEfectivo, Reply

from .conftest import DOCUMENT, EMAIL, PHONE, STATES

Make = Callable[..., Payment]
NAMES = ("payment", "payment-status", "payment-return")


def url(name: str, payment: Payment | None = None) -> str:
    token = payment.token if payment else uuid.uuid4()
    return reverse(f"pagoefectivo:{name}", kwargs={"token": token})


def status(client: Client, payment: Payment, query: str = "", **headers: str) -> Any:
    return client.get(url("payment-status", payment) + query, headers=headers)


@pytest.mark.parametrize("name", NAMES)
def test_headers(name: str, client: Client, make_payment: Make, settings: Any) -> None:
    # Ours must hold whatever the project's middleware would add.
    settings.SECURE_REFERRER_POLICY = "unsafe-url"
    settings.X_FRAME_OPTIONS = "SAMEORIGIN"
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]
    response = client.get(url(name, make_payment("paid")))
    assert response.status_code == 200
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "noindex" in response.headers["X-Robots-Tag"]
    expected = "private, no-cache" if name == "payment-status" else "no-store"
    assert response.headers["Cache-Control"] == expected


@pytest.mark.parametrize("name", NAMES)
def test_read_only(name: str, client: Client, make_payment: Make) -> None:
    payment = make_payment("paid")
    assert client.head(url(name, payment)).status_code == 200
    for method in ("post", "put", "patch", "delete"):
        assert getattr(client, method)(url(name, payment)).status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize("name", NAMES)
def test_unknown_token(
    name: str, client: Client, make_payment: Make, django_assert_num_queries: Any
) -> None:
    make_payment()
    with django_assert_num_queries(1):
        assert client.get(url(name)).status_code == 404
    assert client.get("/pagoefectivo/payment/1/").status_code == 404


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", STATES)
def test_one_query(
    name: str,
    state: str,
    client: Client,
    make_payment: Make,
    django_assert_num_queries: Any,
) -> None:
    payment = make_payment(state)
    # The return view has just asked.
    cache.set(f"pagoefectivo:asked:{payment.token}", 1)
    with django_assert_num_queries(1):
        client.get(url(name, payment))


@pytest.mark.parametrize("name", NAMES)
def test_a_visitor_with_a_session_costs_no_more(
    name: str, client: Client, make_payment: Make, settings: Any, django_assert_num_queries: Any
) -> None:
    # That middleware looks up the user before it asks whether the view wants one.
    settings.MIDDLEWARE = [
        path for path in settings.MIDDLEWARE if not path.endswith("LoginRequiredMiddleware")
    ]
    payment = make_payment("paid")
    client.force_login(User.objects.create_user("rosa"))
    with django_assert_num_queries(1):
        client.get(url(name, payment))


def test_a_poll_reads_only_what_it_tells(
    client: Client, make_payment: Make, django_assert_num_queries: Any
) -> None:
    payment = make_payment()
    with django_assert_num_queries(1) as captured:
        status(client, payment)
    columns = captured[0]["sql"].partition(" FROM ")[0]
    assert "status" in columns
    for private in ("email", "phone", "document", "name", "metadata"):
        assert private not in columns


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", STATES)
def test_no_personal_data(name: str, state: str, client: Client, make_payment: Make) -> None:
    payment = make_payment(
        state,
        metadata={"note": "private-metadata"},
        failure_message="private-failure",
        attention_note="private-note",
        customer_first_name="Rosamunda",
    )
    cache.set(f"pagoefectivo:asked:{payment.token}", 1)
    body = client.get(url(name, payment)).content.decode()
    for private in (EMAIL, PHONE, DOCUMENT, "private-", "Rosamunda", payment.transaction_code):
        assert private not in body


# -- the status ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "paid", "final", "pace"),
    [
        ("preparing", False, False, 3),
        ("waiting", False, False, 5),
        ("overdue", False, False, 5),
        ("checking", False, False, 5),
        ("confirming", False, False, 5),
        ("paid", True, True, None),
        ("expired", False, True, None),
        ("cancelled", False, True, None),
        ("refunded", False, True, None),
        ("failed", False, True, None),
    ],
)
def test_status(
    state: str, paid: bool, final: bool, pace: int | None, client: Client, make_payment: Make
) -> None:
    payment = make_payment(state)
    data = status(client, payment).json()
    assert set(data) == {
        "status", "status_display", "paid", "final", "expires_at", "next_poll"
    }  # fmt: skip
    assert data["status"] == payment.status
    assert data["status_display"]
    assert data["paid"] is paid
    assert data["final"] is final
    assert data["next_poll"] == pace
    assert data["expires_at"].endswith("-05:00")
    assert parse_datetime(data["expires_at"]) == payment.expires_at.replace(microsecond=0)


def test_status_words_follow_the_language(client: Client, make_payment: Make) -> None:
    payment = make_payment("paid")
    with translation.override("es"):
        words = str(Payment.Status.PAID.label)
    response = status(client, payment, Accept_Language="es")
    assert response.json()["status_display"] == words
    assert "Accept-Language" in response.headers["Vary"]


@pytest.mark.parametrize(
    ("query", "pace"),
    [
        ("?watched=0", 5),
        ("?watched=119", 5),
        ("?watched=120", 10),
        ("?watched=90000", 60),
        # Nonsense counts as not given: then the payment's age sets the pace.
        ("", 20),
        ("?watched=", 20),
        ("?watched=-1", 20),
        ("?watched=1e9", 20),
        ("?watched=nan", 20),
        ("?watched=%D9%A3", 20),
        ("?watched=9999999999999999", 20),
    ],
)
def test_pace(query: str, pace: int, client: Client, make_payment: Make) -> None:
    payment = make_payment(created_at=timezone.now() - timedelta(minutes=20))
    assert status(client, payment, query).json()["next_poll"] == pace


def test_unchanged_state_is_304(
    client: Client, make_payment: Make, django_assert_num_queries: Any
) -> None:
    payment = make_payment()
    first = status(client, payment)
    tag = first.headers["ETag"]
    with django_assert_num_queries(1):
        again = status(client, payment, If_None_Match=tag)
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["ETag"] == tag
    assert again.headers["Cache-Control"] == "private, no-cache"
    assert status(client, payment, If_None_Match=f"W/{tag}").status_code == 304
    assert status(client, payment, If_None_Match='"other"').status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"status": "paid"},
        {"status": "expired"},
        {"expires_at": timezone.now() + timedelta(days=9)},
        {"expires_at": timezone.now() - timedelta(days=9)},
        {"attention": "amount_mismatch"},
        {"created_at": timezone.now() - timedelta(hours=1)},
    ],
)
def test_changed_state_is_told(change: dict[str, Any], client: Client, make_payment: Make) -> None:
    payment = make_payment()
    tag = status(client, payment).headers["ETag"]
    Payment.objects.filter(pk=payment.pk).update(**change)
    response = status(client, payment, If_None_Match=tag)
    assert response.status_code == 200
    assert response.headers["ETag"] != tag


def test_what_changes_nothing_on_the_page_changes_no_tag(
    client: Client, make_payment: Make
) -> None:
    payment = make_payment()
    tag = status(client, payment).headers["ETag"]
    Payment.objects.filter(pk=payment.pk).update(
        updated_at=timezone.now(), metadata={"a": 1}, customer_email="x@y.example"
    )
    assert status(client, payment, If_None_Match=tag).status_code == 304


def test_unknown_token_s_status_is_json(client: Client, db: None) -> None:
    response = client.get(url("payment-status"))
    assert response.status_code == 404
    assert response.json() == {"detail": "unknown token"}


# -- the way back ----------------------------------------------------------------------


@pytest.fixture
def pe(configure: Callable[..., None]) -> Iterator[PagoEfectivo]:
    with PagoEfectivo() as server:
        configure(merchant={"BASE_URL": server.url})
        yield server


def known_there(pe: PagoEfectivo, payment: Payment, status: int) -> None:
    assert payment.cip is not None
    pe.codes[payment.cip] = Code(
        payment.cip,
        payment.transaction_code,
        payment.amount,
        payment.currency,
        "2099-01-01T00:00:00-05:00",
        status,
    )


@pytest.mark.django_db(transaction=True)
def test_return_shows_what_pagoefectivo_says(
    client: Client, make_payment: Make, pe: PagoEfectivo
) -> None:
    payment = make_payment()
    known_there(pe, payment, PAID)
    response = client.get(url("payment-return", payment))
    assert 'data-pe-state="paid"' in response.content.decode()
    payment.refresh_from_db()
    assert payment.is_paid
    assert pe.counts["search"] == 1


@pytest.mark.django_db(transaction=True)
def test_return_believes_no_address(client: Client, make_payment: Make, pe: PagoEfectivo) -> None:
    payment = make_payment()
    known_there(pe, payment, 22)
    response = client.get(
        url("payment-return", payment)
        + "?status=paid&paid=1&cip=1&next=https://evil.example/&return_url=//evil.example"
    )
    body = response.content.decode()
    assert response.status_code == 200
    assert 'data-pe-state="waiting"' in body
    assert "evil.example" not in body
    assert "has not confirmed" in body
    payment.refresh_from_db()
    assert payment.status == "pending"


@pytest.mark.django_db(transaction=True)
def test_reloading_does_not_hammer(client: Client, make_payment: Make, pe: PagoEfectivo) -> None:
    payment, other = make_payment(), make_payment()
    for _ in range(5):
        client.get(url("payment-return", payment))
    assert pe.counts["search"] == 1
    client.get(url("payment-return", other))
    assert pe.counts["search"] == 2
    cache.delete(f"pagoefectivo:asked:{payment.token}")
    client.get(url("payment-return", payment))
    assert pe.counts["search"] == 3


@pytest.mark.parametrize(
    "state", sorted(set(STATES) - {"waiting", "overdue", "checking", "confirming"})
)
def test_return_asks_only_where_it_can_tell_something(
    state: str, client: Client, make_payment: Make
) -> None:
    asked = create_autospec(sync_payment)
    with patch.object(views, "sync_payment", asked):
        client.get(url("payment-return", make_payment(state)))
    asked.assert_not_called()


@pytest.mark.django_db(transaction=True)
def test_a_link_checker_does_not_ask(client: Client, make_payment: Make, pe: PagoEfectivo) -> None:
    client.head(url("payment-return", make_payment()))
    assert not pe.calls


@pytest.mark.django_db(transaction=True)
def test_return_without_an_answer(client: Client, make_payment: Make, pe: PagoEfectivo) -> None:
    payment = make_payment()
    pe.fail_next("search", *[Reply(500, b"<html>down</html>", "text/html")] * 3)
    response = client.get(url("payment-return", payment))
    assert response.status_code == 200
    assert "cannot be asked right now" in response.content.decode()
    assert payment.cip is not None
    assert f'data-pe-copy="{payment.cip}"' in response.content.decode()


def test_return_without_a_cache_shows_the_page_and_asks_nobody(
    client: Client, make_payment: Make, caplog: pytest.LogCaptureFixture
) -> None:
    payment = make_payment()
    asked = create_autospec(sync_payment)
    with (
        patch.object(views, "sync_payment", asked),
        patch.object(cache, "add", side_effect=RuntimeError("the cache is away")),
    ):
        response = client.get(url("payment-return", payment))
    assert response.status_code == 200
    asked.assert_not_called()
    assert "the cache is away" in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", NAMES)
def test_no_transaction_around_a_view(
    name: str, client: Client, make_payment: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    inside: list[bool] = []

    def ask(payment: Payment) -> Payment:
        inside.append(connection.in_atomic_block)
        raise GatewayUnavailable("not now")

    monkeypatch.setattr(views, "sync_payment", ask)
    payment = make_payment()
    statements: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        statements.append(sql)
        inside.append(connection.in_atomic_block)
        return execute(sql, *args)

    with connection.execute_wrapper(note):
        assert client.get(url(name, payment)).status_code == 200
    assert len(statements) == 1
    assert inside
    assert not any(inside)

"""The list of payments: what it shows, finds and filters, and what it costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.db import connection
from django.test.html import parse_html
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from django_pagoefectivo.admin import paging
from django_pagoefectivo.models import Payment
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import stored_payments

from .conftest import EMAIL, make_flagged

URL = "/admin/pagoefectivo/payment/"
pytestmark = pytest.mark.django_db


def listed(client: Any, **params: str) -> set[str]:
    """The order references that the list shows."""
    answer = client.get(URL, params)
    assert answer.status_code == 200, answer.status_code
    return {payment.order_reference for payment in answer.context["cl"].result_list}


@pytest.mark.parametrize("role", ["clerk", "viewer"])
def test_the_list_costs_the_same_with_2_and_200_rows(as_role: Any, role: str) -> None:
    client = as_role(role)
    counts = []
    for rows in (2, 198):
        for _ in range(rows):
            make_payment()
        make_flagged("late_payment", "paid")
        client.get(URL)
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(URL)
        assert answer.status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8, [q["sql"] for q in queries]


def test_the_list_never_counts_the_whole_table(as_role: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(paging, "MOST_ROWS", 5)
    for _ in range(9):
        make_payment()
    client = as_role("viewer")
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(URL)
    counting = [q["sql"] for q in queries if "COUNT(" in q["sql"]]
    assert counting
    assert all("LIMIT" in sql for sql in counting)
    assert answer.context["cl"].result_count == 5
    assert b"There are more." in answer.content


def test_search_finds_by_each_key_exactly(as_role: Any) -> None:
    client = as_role("privy")
    for number in range(3):
        make_payment(
            order_reference=f"A 100{number}",
            transaction_code=f"A-100{number}-X",
            cip=f"1154690{number}",
            customer_email=f"ana{number}@correo.example",
        )
    for term in (
        "A 1001",
        "A-1001-X",
        "11546901",
        "1154 6901",
        " 0011546901 ",
        "ana1@correo.example",
    ):
        assert listed(client, q=term) == {"A 1001"}, term
    for term in ("A 100", "1154690", "ana1", "x@y.example", "\x00", "' OR 1=1 --"):
        expected = set() if term.strip("\x00") else {"A 1000", "A 1001", "A 1002"}
        assert listed(client, q=term) == expected, term


def test_search_of_an_e_mail_ignores_how_it_was_typed(as_role: Any) -> None:
    make_payment(order_reference="B-1", customer_email="ana@correo.example")
    assert listed(as_role("privy"), q="Ana@Correo.Example") == {"B-1"}


def test_without_the_right_search_and_parameters_tell_nothing_of_e_mails(as_role: Any) -> None:
    make_payment(order_reference="B-1")
    client = as_role("clerk")
    assert listed(client, q=EMAIL) == set()
    for name in (
        "customer_email",
        "customer_email__startswith",
        "customer_phone__contains",
        "user__email__startswith",
        "metadata__icontains",
        "description__icontains",
    ):
        assert client.get(URL, {name: "r"}).status_code == 400, name
    # Not even with the right: no index would cover it.
    assert as_role("privy").get(URL, {"customer_email__startswith": "r"}).status_code == 400
    # Of the columns only the date sorts: an order by masked values would tell them.
    columns = len(client.get(URL).context["cl"].list_display)
    orders = {
        client.get(URL, {"o": str(n)}).context["cl"].queryset.query.order_by
        for n in range(1, columns)
    }
    assert orders == {("created_at", "-pk"), ("-pk",)}


def test_personal_data_is_masked_in_the_list(as_role: Any) -> None:
    make_payment()
    assert EMAIL.encode() not in as_role("clerk").get(URL).content
    assert b"r***@correo.example" in as_role("clerk").get(URL).content
    assert EMAIL.encode() in as_role("privy").get(URL).content


def test_filters(as_role: Any) -> None:
    client = as_role("viewer")
    make_payment("pending", order_reference="pending")
    make_payment("paid", order_reference="paid")
    make_payment("paid", order_reference="done", reconciled_at=timezone.now())
    make_flagged("late_payment", "expired", order_reference="late")
    assert listed(client, status__exact="paid") == {"paid", "done"}
    assert listed(client, attention="any") == {"late"}
    assert listed(client, attention="late_payment") == {"late"}
    assert listed(client, attention="amount_mismatch") == set()
    assert listed(client, reconciled="no") == {"paid"}
    assert listed(client, reconciled="yes") == {"done"}


def test_filter_by_merchant_takes_its_choices_from_the_setting(as_role: Any, settings: Any) -> None:
    merchants = settings.PAGOEFECTIVO["MERCHANTS"]
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {
        "MERCHANTS": merchants | {"usd": merchants["default"]}
    }
    make_payment(order_reference="soles")
    make_payment(order_reference="dollars", merchant="usd")
    client = as_role("viewer")
    assert listed(client, merchant="usd") == {"dollars"}
    with CaptureQueriesContext(connection) as queries:
        client.get(URL)
    assert not [q for q in queries if "DISTINCT" in q["sql"]]


@time_machine.travel(datetime(2026, 11, 23, 15, tzinfo=UTC), tick=False)
def test_days_are_days_in_lima(as_role: Any) -> None:
    for name, moment in {
        "before": datetime(2026, 11, 23, 4, 59, 59, tzinfo=UTC),
        "first": datetime(2026, 11, 23, 5, 0, 0, tzinfo=UTC),
        "last": datetime(2026, 11, 24, 4, 59, 59, tzinfo=UTC),
        "after": datetime(2026, 11, 24, 5, 0, 0, tzinfo=UTC),
    }.items():
        make_payment(order_reference=name, created_at=moment)
    client = as_role("viewer")
    day = {"from_day": "2026-11-23", "to_day": "2026-11-23"}
    assert listed(client, **day) == {"first", "last"}
    assert listed(client, from_day="2026-11-24") == {"after"}
    assert listed(client, to_day="2026-11-22", from_day="") == {"before"}
    page = client.get(URL).content.decode()
    assert "?from_day=2026-11-23&amp;to_day=2026-11-23" in page
    assert client.get(URL, {"from_day": "yesterday"}).status_code == 302
    assert client.get(URL, {"to_day": "9999-12-31"}).status_code in (200, 302)


def test_deadlines_are_shown_in_lima_time(as_role: Any) -> None:
    make_payment(expires_at=datetime(2026, 11, 24, 3, 30, tzinfo=UTC))
    assert b"2026-11-23 22:30" in as_role("viewer").get(URL).content


def test_the_day_form_carries_the_other_filters(as_role: Any) -> None:
    page = as_role("viewer").get(URL, {"status__exact": "paid", "q": "<x>"}).content.decode()
    assert '<input type="hidden" name="status__exact" value="paid">' in page
    assert '<input type="hidden" name="q" value="&lt;x&gt;">' in page


def test_nobody_adds_deletes_or_edits_even_a_superuser(admin_client: Any) -> None:
    payment = make_payment()
    before = stored_payments()
    page = f"{URL}{payment.pk}/change/"
    assert admin_client.get(f"{URL}add/").status_code == 403
    assert admin_client.post(f"{URL}add/", {"amount": "1"}).status_code == 403
    assert admin_client.post(f"{URL}{payment.pk}/delete/", {"post": "yes"}).status_code == 403
    answer = admin_client.post(page, {"status": "paid", "amount": "1.00", "_save": "Save"})
    assert answer.status_code == 405
    data = {"action": "delete_selected", "_selected_action": [payment.pk], "post": "yes"}
    admin_client.post(URL, data)
    assert stored_payments() == before


def test_outsiders_see_nothing(as_role: Any, client: Any) -> None:
    payment = make_payment()
    for path in ("", f"{payment.pk}/change/", "inbox/", f"{payment.pk}/history/"):
        assert client.get(f"{URL}{path}").status_code == 302, path
        assert as_role("outsider").get(f"{URL}{path}").status_code == 403, path
        assert as_role("blind").get(f"{URL}{path}").status_code == 403, path


def test_pages_in_time(as_role: Any) -> None:
    for hours in range(120):
        make_payment(created_at=timezone.now() - timedelta(hours=hours))
    first = as_role("viewer").get(URL)
    second = as_role("viewer").get(URL, {"p": "2"})
    assert len(first.context["cl"].result_list) == len(second.context["cl"].result_list) == 40


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_box_of_a_row_is_djangos(language: str, settings: Any, db: None) -> None:
    """It is written without Django's template for it, and must say the same."""
    payment = make_payment(order_reference='A"<b>')
    own = admin.site.get_model_admin(Payment)
    with translation.override(language):
        djangos = admin.ModelAdmin.action_checkbox(own, payment)
        assert parse_html(own.action_checkbox(payment)) == parse_html(djangos)

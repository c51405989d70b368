"""The dashboard: the figures of some days, for eyes, ears and keyboards, at a bounded cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext

from django_pagoefectivo.admin.dashboard_figures import duration
from django_pagoefectivo.gateways.wire import LIMA
from django_pagoefectivo.models import Payment, WebhookEvent
from django_pagoefectivo.testing import make_payment
from tests.admin.conftest import make_event

from .conftest import DASHBOARD, Page

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=LIMA)


@pytest.fixture(autouse=True)
def noon() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def make(status: str, days: int = 0, **fields: Any) -> Payment:
    """A payment that was created ``days`` ago."""
    created = NOW - timedelta(days=days, hours=3)
    if status in ("paid", "refunded"):
        fields = {"paid_at": created + timedelta(hours=1)} | fields
    return make_payment(status, **{"created_at": created} | fields)


def a_day_of_each() -> None:
    for _ in range(3):
        make("paid")
    make("paid", 1, paid_amount=Decimal("7.50"), currency="USD")
    make("refunded", 2)
    make("expired", 2)
    make("cancelled", 2)
    make("pending", amount=Decimal("30.00"))
    make("failed", 3, failure_code="111")
    make("failed", 3, failure_code="GatewayUnavailable")
    make("created", 3, attention="outcome_unknown")
    payment = make("paid", 4)
    assert payment.paid_at is not None
    make_event(payment, paid_at=payment.paid_at, received_at=payment.paid_at + timedelta(seconds=8))


def show(client: Any, **query: str) -> Any:
    answer = client.get(DASHBOARD, query)
    assert answer.status_code == 200
    return answer


def chart(answer: Any, name: str) -> Any:
    return next(each for each in answer.context["dashboard"].charts if each.name == name)


def test_the_tiles_say_what_came_in_and_what_is_open(as_role: Any) -> None:
    a_day_of_each()
    tiles = show(as_role("viewer")).context["dashboard"].tiles
    assert {str(tile.name): (list(tile.values), tile.note) for tile in tiles} == {
        "Money in": (["88.20 PEN", "7.50 USD"], "paid in these days"),
        "Paid": (["6"], "of 12 created"),
        "Success rate": (["60.0 %"], "of what is not open"),
        "Open now": (["30.00 PEN"], "waiting for payment"),
        "From code to payment": (["1 h"], "nine of ten within 1 h"),
        "Delay of notifications": (["8 s"], "nine of ten within 8 s"),
    }


def test_the_tables_have_each_day(as_role: Any) -> None:
    a_day_of_each()
    answer = show(as_role("viewer"), period="7")
    rows = {row[0]: row[1:] for row in map(tuple, chart(answer, "outcomes").table.rows)}
    assert len(rows) == 7
    assert rows["23 Nov 2026"] == ("4", "3", "0", "1", "0", "0", "0", "100.0 %")
    assert rows["21 Nov 2026"] == ("3", "0", "1", "0", "1", "1", "0", "33.3 %")
    assert rows["20 Nov 2026"] == ("3", "0", "0", "1", "0", "0", "2", "0.0 %")
    assert rows["18 Nov 2026"][-1] == "-"
    money = {row[0]: row[1:] for row in map(tuple, chart(answer, "money-pen").table.rows)}
    assert money["23 Nov 2026"] == (3, "66.15 PEN")
    assert money["22 Nov 2026"] == (0, "0.00 PEN")
    assert chart(answer, "money-usd").text == "7.50 USD in all, most on 22 Nov 2026: 7.50 USD."


def test_why_payments_fail(as_role: Any) -> None:
    a_day_of_each()
    make("failed", 3, failure_code="111")
    reasons = chart(show(as_role("viewer")), "reasons")
    assert tuple(reasons.table.rows[0]) == (
        "Refused by PagoEfectivo: code 111",
        2,
        "40.0 %",
    )
    assert {row[0] for row in reasons.table.rows} == {
        "Refused by PagoEfectivo: code 111",
        "System error: PagoEfectivo not reachable",
        "The shopper gave up (expired unpaid)",
        "Nobody knows whether a code was made",
    }
    assert reasons.rects[0].css == "reason-refused"


def test_one_merchant_alone_and_all_beside_each_other(as_role: Any, settings: Any) -> None:
    merchants = settings.PAGOEFECTIVO["MERCHANTS"]
    settings.PAGOEFECTIVO = {
        **settings.PAGOEFECTIVO,
        "MERCHANTS": {**merchants, "store": merchants["default"]},
    }
    make("paid")
    make("expired", merchant="store")
    client = as_role("viewer")
    table = show(client).context["dashboard"].merchants
    assert [(row[0], row[1], row[-1]) for row in map(tuple, table.rows)] == [
        ("default", "1", "100.0 %"),
        ("store", "1", "0.0 %"),
    ]
    alone = show(client, period="30", merchant="store")
    assert alone.context["dashboard"].merchants is None
    assert alone.context["dashboard"].tiles[1].note == "of 1 created"


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ({}, "25 Oct 2026", "23 Nov 2026"),
        ({"period": "7"}, "17 Nov 2026", "23 Nov 2026"),
        ({"period": "90"}, "26 Aug 2026", "23 Nov 2026"),
        (
            {"period": "custom", "first": "2026-11-01", "last": "2026-11-05"},
            "1 Nov 2026",
            "5 Nov 2026",
        ),
        # Days that were left in the form do not matter for a usual period.
        (
            {"period": "7", "first": "2026-11-05", "last": "2026-11-01"},
            "17 Nov 2026",
            "23 Nov 2026",
        ),
    ],
)
def test_periods(as_role: Any, query: dict[str, str], first: str, last: str) -> None:
    assert show(as_role("viewer"), **query).context["dashboard"].period == f"{first} to {last}"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"period": "custom"}, "Give the first and the last day."),
        ({"period": "custom", "first": "2026-11-01"}, "Give the first and the last day."),
        (
            {"period": "custom", "first": "2026-11-05", "last": "2026-11-01"},
            "The last day is before the first.",
        ),
        (
            {"period": "custom", "first": "2020-01-01", "last": "2026-11-01"},
            "The period is longer than 731 days.",
        ),
        (
            {"period": "custom", "first": "0001-01-01", "last": "0001-01-02"},
            "The first day must be between 2000-01-01 and today.",
        ),
        (
            {"period": "custom", "first": "9999-12-31", "last": "9999-12-31"},
            "The first day must be between 2000-01-01 and today.",
        ),
        ({"period": "custom", "first": "yesterday", "last": "2026-11-01"}, "Enter a valid date."),
        ({"period": "365"}, "365 is not one of the available choices."),
        ({"period": "7", "merchant": "nobody"}, "nobody is not one of the available choices."),
    ],
)
def test_a_period_that_cannot_be_is_said(
    as_role: Any, query: dict[str, str], sentence: str
) -> None:
    answer = show(as_role("viewer"), **query)
    errors = [str(each) for found in answer.context["form"].errors.values() for each in found]
    assert any(sentence in error for error in errors), errors
    assert sentence in answer.content.decode()
    assert answer.context["dashboard"] is None


def test_long_periods_are_drawn_by_weeks_and_told_by_days(as_role: Any) -> None:
    make("paid")
    answer = show(as_role("viewer"), period="custom", first="2026-01-01", last="2026-11-23")
    success = chart(answer, "success")
    assert len(success.table.rows) == 327
    assert success.dots[-1].title == "19 Nov 2026 to 23 Nov 2026: 100.0 %"


def test_a_shop_without_payments(as_role: Any) -> None:
    answer = show(as_role("viewer"))
    assert chart(answer, "reasons").text == "No payment failed."
    assert [chart.name for chart in answer.context["dashboard"].charts] == [
        "outcomes",
        "success",
        "reasons",
    ]


# -- for everybody to read -------------------------------------------------------------------------


def test_each_chart_has_a_name_a_text_and_a_table(as_role: Any) -> None:
    a_day_of_each()
    answer = show(as_role("viewer"))
    html = answer.content.decode()
    page = Page(html)
    plots = [attrs for attrs in page.of("svg") if attrs.get("class") == "pe-plot"]
    assert len(plots) == len(answer.context["dashboard"].charts) == 5
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    for plot in plots:
        assert plot["role"] == "img"
        assert set(plot["aria-labelledby"].split()) <= ids
    assert len(page.of("summary")) >= 5
    assert html.count("pe-figures") == html.count("<caption>", html.index("pe-figures")) == 5
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.of("th"))
    regions = [attrs for attrs in page.of("div") if attrs.get("class") == "pe-scroll"]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)
    for swatch in page.of("svg"):
        if swatch.get("class") == "pe-swatch":
            assert swatch["aria-hidden"] == "true"


def test_the_drawing_is_the_same_in_spanish(as_role: Any) -> None:
    a_day_of_each()
    client = as_role("viewer")
    english = Page(show(client).content.decode())
    spanish = Page(client.get(DASHBOARD, headers={"accept-language": "es"}).content.decode())
    for tag in ("rect", "circle", "line"):
        assert english.of(tag) == spanish.of(tag) != []


@pytest.mark.parametrize(
    ("took", "words"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=8.4), "8 s"),
        (timedelta(seconds=59.7), "1 min"),
        (timedelta(seconds=90), "1 min 30 s"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=2, minutes=5, seconds=59), "2 h 5 min"),
        (timedelta(days=1, hours=3), "1 d 3 h"),
    ],
)
def test_durations(took: timedelta, words: str) -> None:
    assert duration(took) == words


# -- cost and rights -------------------------------------------------------------------------------


def test_the_dashboard_costs_the_same_with_30_and_300_payments(as_role: Any) -> None:
    client = as_role("viewer")
    costs: list[list[str]] = []
    for count in (30, 270):
        for number in range(count):
            payment = make("paid", number % 30)
            make_event(payment, paid_at=payment.paid_at)
        client.get(DASHBOARD)
        with CaptureQueriesContext(connection) as queries:
            show(client)
        costs.append([q["sql"] for q in queries])
    figures = [[sql for sql in cost if "pagoefectivo_" in sql] for cost in costs]
    assert len(figures[0]) == len(figures[1]) == 11
    assert len(costs[0]) == len(costs[1]) <= 15
    assert WebhookEvent.objects.count() == 300


@pytest.mark.parametrize(
    ("role", "status"),
    [
        ("viewer", 200),
        ("clerk", 200),
        ("seller", 200),
        ("auditor", 403),
        ("blind", 403),
        ("outsider", 403),
    ],
)
def test_who_may_look(as_role: Callable[[str], Any], role: str, status: int) -> None:
    assert as_role(role).get(DASHBOARD).status_code == status


def test_it_needs_a_login_and_takes_no_post(as_role: Any, client: Any) -> None:
    assert "login" in client.get(DASHBOARD)["Location"]
    assert as_role("viewer").post(DASHBOARD, {}).status_code == 405


def test_the_link_for_other_pages_leads_there() -> None:
    html = render_to_string("django_pagoefectivo/admin/dashboard_link.html")
    assert Page(html).of("a")[0]["href"] == DASHBOARD
    assert admin.site.is_registered(Payment)

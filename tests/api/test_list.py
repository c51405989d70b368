"""The list: filters, order, pages that stay right, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from django_pagoefectivo.api.pagination import Cursor
from django_pagoefectivo.models import Payment
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import statements
from tests.shop.models import Order

from .conftest import PAYMENTS, STATISTICS, path_of

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 23, 15, tzinfo=UTC)


@pytest.fixture
def staff(client_of: Callable[[str], APIClient]) -> APIClient:
    return client_of("staff who view")


def shown(client: APIClient, **query: Any) -> list[str]:
    answer = client.get(PAYMENTS, query)
    assert answer.status_code == 200, answer.content
    return [row["order_reference"] for row in answer.json()["results"]]


def test_each_filter(staff: APIClient, account: Callable[[str], User]) -> None:
    make_payment("pending", order_reference="A", created_at=DAY)
    make_payment("paid", order_reference="B", created_at=DAY + timedelta(hours=1), merchant="usd")
    make_payment(
        "expired",
        order_reference="C",
        created_at=DAY + timedelta(hours=2),
        attention="late_payment",
        currency="USD",
        user=account("staff who view"),
    )
    Payment.objects.filter(order_reference="B").update(reconciled_at=DAY)
    assert shown(staff) == ["C", "B", "A"]
    assert shown(staff, ordering="created_at") == ["A", "B", "C"]
    assert shown(staff, status="paid") == ["B"]
    assert shown(staff, status=["paid", "pending"]) == ["B", "A"]
    assert shown(staff, merchant="usd") == ["B"]
    assert shown(staff, currency="USD") == ["C"]
    assert shown(staff, order_reference="A") == ["A"]
    assert shown(staff, created_from="2026-11-23T11:00:00-05:00") == ["C", "B"]
    assert shown(staff, created_before="2026-11-23T16:00:00Z") == ["A"]
    assert shown(staff, attention="any") == ["C"]
    assert shown(staff, attention="none") == ["B", "A"]
    assert shown(staff, attention="late_payment") == ["C"]
    assert shown(staff, reconciled="true") == ["B"]
    assert shown(staff, reconciled="false") == ["C", "A"]
    assert shown(staff, mine="true") == ["C"]
    assert shown(staff, status="paid", currency="USD") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=gone", "status.0"),
        ("stauts=paid", "stauts"),
        ("currency=pen", "currency"),
        ("merchant=a&merchant=b", "merchant"),
        ("merchant=%00", "merchant"),
        ("merchant=", "merchant"),
        ("created_from=2026-11-23", "created_from"),
        ("created_from=2026-11-23T10:00:00", "created_from"),
        ("created_from=0001-01-01T00:00:00%2B14:00", "created_from"),
        ("reconciled=yes", "reconciled"),
        ("ordering=amount", "ordering"),
        ("page_size=0", "page_size"),
        ("page_size=201", "page_size"),
        ("page_size=" + "9" * 5000, "page_size"),
        ("cursor=x", "cursor"),
        ("cursor=" + "A" * 100, "cursor"),
        ("cursor=%F0%9F%92%A9", "cursor"),
    ],
)
def test_a_question_that_is_not_understood(query: str, field: str, staff: APIClient) -> None:
    answer = staff.get(f"{PAYMENTS}?{query}")
    assert answer.status_code == 400, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("name", ["attention=any", "reconciled=true"])
def test_filters_of_staff_tell_others_nothing(
    name: str, client_of: Callable[[str], APIClient]
) -> None:
    answer = client_of("owner").get(f"{PAYMENTS}?{name}")
    assert answer.status_code == 403
    assert name.partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_pages_forth_and_back(ordering: str, staff: APIClient) -> None:
    # Several of the same instant, as an import makes them.
    for number in range(11):
        make_payment(order_reference=f"{number:02}", created_at=DAY + timedelta(hours=number // 4))
    expected = [f"{number:02}" for number in range(11)]
    if ordering.startswith("-"):
        expected.reverse()
    url: str | None = f"{PAYMENTS}?page_size=3&ordering={ordering}"
    pages = []
    while url:
        page = staff.get(url).json()
        pages.append([row["order_reference"] for row in page["results"]])
        last, url = page, page["next"]
    assert [reference for page in pages for reference in page] == expected
    assert [len(page) for page in pages] == [3, 3, 3, 2]
    back = []
    while last["previous"]:
        last = staff.get(last["previous"]).json()
        back.append([row["order_reference"] for row in last["results"]])
    assert back == pages[-2::-1]


def test_what_comes_in_meanwhile_moves_nothing(staff: APIClient) -> None:
    for number in range(4):
        make_payment(order_reference=str(number), created_at=DAY + timedelta(seconds=number))
    first = staff.get(f"{PAYMENTS}?page_size=2").json()
    make_payment(order_reference="new", created_at=DAY + timedelta(hours=1))
    second = staff.get(first["next"]).json()
    assert [row["order_reference"] for row in second["results"]] == ["1", "0"]
    assert second["next"] is None


def test_links_keep_the_filters(staff: APIClient) -> None:
    for status in ("paid", "pending", "paid", "paid"):
        make_payment(status)
    first = staff.get(f"{PAYMENTS}?page_size=2&status=paid").json()
    second = staff.get(first["next"]).json()
    assert [row["status"] for row in second["results"]] == ["paid"]


def test_a_cursor_survives_its_text() -> None:
    for moment in (DAY, DAY.replace(microsecond=1), DAY.replace(microsecond=999999)):
        for backwards in (True, False):
            cursor = Cursor(moment, 10**17, backwards)
            assert Cursor.read(str(cursor)) == cursor


def test_the_page_size_is_a_setting(staff: APIClient, configure: Callable[..., None]) -> None:
    for _ in range(3):
        make_payment()
    configure(api={"PAGE_SIZE": 2})
    assert len(shown(staff)) == 2
    assert len(shown(staff, page_size=3)) == 3


# -- what it costs ----------------------------------------------------------------------------

#: Endpoint → statements: the session and the account, the rights of staff, and its own.
COST = {
    ("owner", "list"): 3,
    ("owner", "read"): 3,
    ("superuser", "list"): 3,
    ("superuser", "read"): 3,
    ("staff who view", "list"): 5,
    ("staff who view", "read"): 5,
}


@pytest.mark.parametrize(("role", "what"), COST)
def test_statements(
    role: str,
    what: str,
    client_of: Callable[[str], APIClient],
    account: Callable[[str], User],
) -> None:
    payments = [
        make_payment(user=account("owner"), order=Order.objects.create(number=str(number)))
        for number in range(5)
    ]
    client = client_of(role)
    with statements() as made:
        answer = client.get(PAYMENTS if what == "list" else path_of(payments[0]))
    assert answer.status_code == 200
    assert len(made) == COST[role, what], made


def test_the_figures_cost_the_same_for_few_and_many(
    client_of: Callable[[str], APIClient],
) -> None:
    client, counts = client_of("superuser"), []
    for many in (2, 30):
        for _ in range(many):
            make_payment("paid")
        with statements() as made:
            assert client.get(STATISTICS).status_code == 200
        counts.append(len(made))
    assert counts[0] == counts[1] <= 14


def fill(count: int, user: User) -> None:
    """Many payments at once, a second apart."""
    template = make_payment(user=user)
    values = {
        field.attname: getattr(template, field.attname)
        for field in Payment._meta.concrete_fields
        if field.attname not in ("id", "token") and not field.generated
    }
    start = DAY - timedelta(seconds=count)
    first = Payment.objects.count()
    Payment.objects.bulk_create(
        (
            Payment(
                **{
                    **values,
                    "transaction_code": f"bulk-{first + number}",
                    "cip": str(30_000_000 + first + number),
                    "open_key": None,
                    "created_at": start + timedelta(seconds=number),
                }
            )
            for number in range(count)
        ),
        batch_size=2000,
    )


@pytest.mark.slow
# MariaDB commits at ANALYZE TABLE, so what was made is not rolled back with the test.
@pytest.mark.django_db(transaction=True)
def test_the_list_costs_the_same_for_a_hundred_and_for_a_hundred_thousand(
    client_of: Callable[[str], APIClient], account: Callable[[str], User]
) -> None:
    pages = {
        "all": ("superuser", f"{PAYMENTS}?page_size=20"),
        "own": ("owner", f"{PAYMENTS}?page_size=20"),
        "deep": (
            "superuser",
            f"{PAYMENTS}?page_size=20&cursor={Cursor(DAY - timedelta(seconds=50), 1)}",
        ),
    }
    counts: dict[int, dict[str, int]] = {}
    for size in (100, 100_000):
        fill(size - Payment.objects.count() - 1, account("owner"))
        assert Payment.objects.count() == size
        with connection.cursor() as cursor:
            if connection.vendor == "mysql":
                cursor.execute("ANALYZE TABLE pagoefectivo_payment")
                cursor.fetchall()
            else:
                cursor.execute("ANALYZE")
        counts[size] = {}
        for name, (role, url) in pages.items():
            client = client_of(role)
            with statements() as made:
                answer = client.get(url)
            assert len(answer.json()["results"]) == 20, name
            counts[size][name] = len(made)
    assert counts[100] == counts[100_000]
    # No statement goes through the whole table or sorts it.
    for role, url in pages.values():
        client = client_of(role)
        plan = plan_of(partial(client.get, url))
        assert plan, "no statement on payments was explained"
        assert not any(bad in plan for bad in ("TEMP B-TREE", "Sort", "filesort")), plan


def plan_of(act: Callable[[], Any]) -> str:
    """How the database reads the payments in what ``act`` does."""
    found: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "LIMIT" in sql and "pagoefectivo_payment" in sql:
            found.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        act()
    lines = []
    explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        for sql, params in found:
            cursor.execute(explain + sql, params)
            lines += [str(row) for row in cursor.fetchall()]
    return "\n".join(lines)

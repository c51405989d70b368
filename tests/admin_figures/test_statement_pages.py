"""A statement's pages: its lines by state, its totals, what is missing; at a bounded cost."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_pagoefectivo.admin import statement_paging, statements
from django_pagoefectivo.admin.statement_paging import Place, page_of_lines
from django_pagoefectivo.models import LineState, Payment, Statement, StatementLine
from django_pagoefectivo.services import statement_acts

from .conftest import DASHBOARD, IMPORT, LINE_URL, URL, line, load, paid, pending, person

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def everything() -> Statement:
    """A line in each state, and one put aside."""
    for number in (1, 2, 7):
        paid(number)
    pending(3)
    paid(6, status="refunded")
    load(line(7), name="earlier.csv")
    statement = load(
        line(1),
        line(2, amount="20,00"),
        line(3),
        line(4),
        line(5, amount="twenty"),
        line(6, status="Devuelto"),
        line(7),
        line(8),
    )
    aside = statement.lines.get(number=9)
    statement_acts.discard(aside, user=person("clerk"), comment="A test of theirs.")
    return statement


def show(client: Any, statement: Statement, query: str = "") -> Any:
    answer = client.get(f"{URL}{statement.pk}/change/{query}")
    assert answer.status_code == 200
    return answer.context["page"]


def numbers(page: Any) -> list[int]:
    return [line.number for line in page.page.lines]


def test_what_waits_comes_first_and_every_state_has_its_tab(as_role: Any) -> None:
    statement = everything()
    client = as_role("viewer")
    page = show(client, statement)
    assert numbers(page) == [3, 4, 5, 6]
    assert {str(tab.label): tab.count for tab in page.tabs} == {
        "to look into": 4,
        "matched": 1,
        "amount differs": 1,
        "paid there but not here": 1,
        "unknown code": 2,
        "seen before": 1,
        "refunded": 1,
        "unreadable": 1,
        "put aside": 1,
        "all lines": 8,
    }
    found = {
        tab.query: numbers(show(client, statement, f"?{tab.query}"))
        for tab in page.tabs
        if "waiting" not in tab.query
    }
    assert found == {
        "tab=matched": [2],
        "tab=amount_differs": [3],
        "tab=not_paid_here": [4],
        "tab=unknown": [5, 9],
        "tab=unreadable": [6],
        "tab=refunded": [7],
        "tab=seen_before": [8],
        "tab=aside": [9],
        "tab=all": [2, 3, 4, 5, 6, 7, 8, 9],
    }


def test_a_refund_that_is_none_here_waits(as_role: Any) -> None:
    paid(1)
    page = show(as_role("viewer"), load(line(1, status="Devuelto")))
    assert numbers(page) == [2]
    assert page.rows[0].row.problem == "Here it is paid."


def test_nothing_waits(as_role: Any) -> None:
    paid(1)
    statement = load(line(1))
    html = as_role("viewer").get(f"{URL}{statement.pk}/change/").content.decode()
    assert "Nothing waits for you here." in html


def test_a_line_put_aside_says_who_when_and_why(as_role: Any) -> None:
    (row,) = show(as_role("viewer"), everything(), "?tab=aside").rows
    assert row.settled.startswith("clerk on 20")
    assert row.settled.endswith("(Lima): A test of theirs.")


@pytest.mark.parametrize("query", ["?tab=nonsense", "?after=x", "?before=-1", "?after=" + "9" * 30])
def test_a_nonsense_place_is_the_first(as_role: Any, query: str) -> None:
    assert numbers(show(as_role("viewer"), everything(), query)) == [3, 4, 5, 6]


@pytest.mark.parametrize("tab", ["all", "matched", "waiting"])
def test_pages_forth_and_back_meet_every_line_once(
    as_role: Any, monkeypatch: pytest.MonkeyPatch, tab: str
) -> None:
    monkeypatch.setattr(statement_paging, "PAGE", 3)
    for number in range(1, 9):
        paid(number)
    statement = load(*(line(number, "22,05" if number % 2 else "1,00") for number in range(1, 9)))
    wanted = {"all": range(2, 10), "matched": range(2, 10, 2), "waiting": range(3, 10, 2)}[tab]
    place: Place | None = Place(tab)
    forth: list[int] = []
    while place is not None:
        page = page_of_lines(statement, place)
        assert (page.previous is None) == (place == Place(tab))
        forth += [each.number for each in page.lines]
        place, last = page.next, page
    assert forth == list(wanted)
    back = [each.number for each in last.lines]
    while last.previous is not None:
        last = page_of_lines(statement, last.previous)
        assert last.next is not None
        back = [each.number for each in last.lines] + back
    assert back == list(wanted)


def many(count: int) -> Statement:
    """A statement of ``count`` lines of every state, deep in other statements' lines."""
    statement = Statement.objects.create(
        merchant="default",
        file_name="big.csv",
        file_digest=str(count),
        line_count=count,
        first_day="2026-11-10",
        last_day="2026-11-10",
    )
    payment = paid(count)
    StatementLine.objects.bulk_create(
        StatementLine(
            statement=statement,
            number=number,
            digest=f"{count}-{number}",
            amount=1,
            currency="PEN",
            state=LineState.values[number % len(LineState.values)],
            problem="Here it is paid." if number % 2 else "",
            payment=payment,
        )
        for number in range(1, count + 1)
    )
    return statement


@pytest.mark.parametrize("query", ["", "?tab=all", "?tab=matched&after={deep}", "?before={deep}"])
def test_a_page_costs_the_same_in_100_and_5000_lines(as_role: Any, query: str) -> None:
    client = as_role("clerk")
    counts = []
    for count in (100, 5000):
        statement = many(count)
        place = query.format(deep=count - 10)
        show(client, statement, place)
        with CaptureQueriesContext(connection) as queries:
            show(client, statement, place)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 20
    statements = [q["sql"].replace("`", '"') for q in queries]
    lines = [sql for sql in statements if '"pagoefectivo_statementline"."number"' in sql]
    assert lines
    assert all("LIMIT" in sql or " IN (" in sql for sql in lines)


def test_a_page_reads_its_lines_through_the_index(as_role: Any) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("reads SQLite's plan")
    statement = many(3000)
    with CaptureQueriesContext(connection) as queries:
        page_of_lines(statement, Place("all", after=2000))
    reading = [q["sql"] for q in queries if "LIMIT" in q["sql"]]
    assert len(reading) == len(LineState.values)
    for sql in reading:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(str(row[-1]) for row in cursor.fetchall())
        assert "pagoefectivo_line_state" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


# -- totals and what is missing --------------------------------------------------------------------


def test_totals_by_day_and_currency_with_the_difference(as_role: Any) -> None:
    paid(1)
    pending(2)
    statement = load(line(1), line(2), line(3).replace("S/", "US$"))
    answer = as_role("viewer").get(f"{URL}{statement.pk}/totals/")
    (first, second) = answer.context["totals"]
    assert (first.day, first.count, first.gross) == ("2026-11-10", 2, "44.10 PEN")
    assert (first.commission, first.net) == ("1.00 PEN", "43.10 PEN")
    assert (first.ours, first.difference, first.agrees) == ("22.05 PEN", "22.05 PEN", False)
    assert second.gross == "22.05 USD"
    assert [each.gross for each in answer.context["sums"]] == ["44.10 PEN", "22.05 USD"]


def test_totals_that_agree_say_so(as_role: Any) -> None:
    paid(1)
    answer = as_role("viewer").get(f"{URL}{load(line(1)).pk}/totals/")
    assert answer.context["totals"][0].agrees
    assert "pe-differs" not in answer.content.decode()


def test_paid_here_but_not_in_the_file(as_role: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_MISSING_PAGE", 2)
    missing = [paid(number) for number in (2, 3, 4)]
    paid(1)
    pending(9)
    statement = load(line(1))
    client = as_role("viewer")
    url = f"{URL}{statement.pk}/missing/"
    first = client.get(url)
    assert [row["payment"] for row in first.context["payments"]] == missing[:2]
    assert first.context["missing_count"] == 3
    html = first.content.decode()
    assert f'href="/admin/pagoefectivo/payment/{missing[0].pk}/change/"' in html
    second = client.get(f"{url}?after={first.context['next']}")
    assert [row["payment"] for row in second.context["payments"]] == missing[2:]
    assert second.context["next"] is None
    assert client.get(f"{url}?after=x").status_code == 200


def test_many_missing_are_not_counted_to_their_end(
    as_role: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_MOST_MISSING", 2)
    for number in range(2, 6):
        paid(number)
    paid(1)
    answer = as_role("viewer").get(f"{URL}{load(line(1)).pk}/change/")
    assert answer.context["missing_count"] == "2+"


@pytest.mark.parametrize("part", ["missing", "totals"])
def test_the_other_parts_cost_the_same_with_few_and_many(as_role: Any, part: str) -> None:
    client = as_role("viewer")
    counts = []
    for first, last in ((100, 105), (1000, 1200)):
        statement = load(*(line(number) for number in range(first, last)), name=f"{first}.csv")
        for number in range(last, last + (last - first)):
            paid(number)
        url = f"{URL}{statement.pk}/{part}/"
        client.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 10


# -- the list ----------------------------------------------------------------------------------


def test_the_list_costs_the_same_with_2_and_60_statements(as_role: Any) -> None:
    client = as_role("clerk")
    counts = []
    for numbers_ in (range(2), range(2, 60)):
        for number in numbers_:
            load(line(number), name=f"{number}.csv", user=person("clerk"))
        client.get(URL)
        with CaptureQueriesContext(connection) as queries:
            html = client.get(URL).content.decode()
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8
    assert IMPORT in html
    assert DASHBOARD in html


def test_the_list_by_merchant(as_role: Any) -> None:
    load(line(1))
    client = as_role("viewer")
    assert "report.csv" in client.get(f"{URL}?merchant=default").content.decode()
    assert client.get(f"{URL}?uploaded_by__password__startswith=x").status_code in (302, 400)


def test_lines_have_no_list_and_no_place_in_the_index(as_role: Any) -> None:
    load(line(1))
    client = as_role("clerk")
    assert client.get(LINE_URL)["Location"] == URL
    html = client.get("/admin/pagoefectivo/").content.decode()
    assert URL in html
    assert LINE_URL not in html


# -- who may look ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "sees", "sees_missing"),
    [
        ("viewer", True, True),
        ("clerk", True, True),
        ("auditor", True, False),
        ("seller", False, False),
        ("blind", False, False),
        ("outsider", False, False),
    ],
)
def test_who_may_look(as_role: Any, role: str, sees: bool, sees_missing: bool) -> None:
    statement = everything()
    line_pk = statement.lines.earliest("number").pk
    client = as_role(role)
    expected = 200 if sees else 403
    for path in ("", f"{statement.pk}/change/", f"{statement.pk}/totals/"):
        assert client.get(f"{URL}{path}").status_code == expected, path
    assert client.get(f"{LINE_URL}{line_pk}/change/").status_code == expected
    missing = client.get(f"{URL}{statement.pk}/missing/").status_code
    assert missing == (200 if sees_missing else 403)


def test_without_the_right_to_see_payments_none_is_shown(as_role: Any) -> None:
    statement = everything()
    payment = Payment.objects.get(cip="1002")
    path = f"{URL}{statement.pk}/change/?tab=all"
    assert payment.order_reference in as_role("viewer").get(path).content.decode()
    html = as_role("auditor").get(path).content.decode()
    assert payment.order_reference not in html
    assert "Paid here, not in the file" not in html


@pytest.mark.parametrize("path", ["change/", "totals/", "missing/"])
def test_a_statement_that_is_not_there(as_role: Any, path: str) -> None:
    assert as_role("viewer").get(f"{URL}999999999999999999999/{path}").status_code == 404


@pytest.mark.parametrize("path", ["change/", "totals/", "missing/"])
def test_the_pages_take_no_post(as_role: Any, path: str) -> None:
    statement = load(line(1))
    assert as_role("clerk").post(f"{URL}{statement.pk}/{path}", {}).status_code == 405


@pytest.mark.parametrize("path", ["add/", "{pk}/delete/"])
def test_nobody_adds_or_deletes_by_hand(as_role: Any, path: str) -> None:
    statement = load(line(1))
    client = as_role("clerk")
    assert client.post(f"{URL}{path.format(pk=statement.pk)}", {"post": "yes"}).status_code == 403
    assert Statement.objects.filter(pk=statement.pk).exists()

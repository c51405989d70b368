"""The inbox: what waits, by reason, with the acts that settle it, at a bounded cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pagoefectivo.admin import inbox
from django_pagoefectivo.models import Attention, Outcome
from django_pagoefectivo.testing import make_payment

from .conftest import EMAIL, ROLES, make_event, make_failing, make_flagged, make_mismatch

URL = "/admin/pagoefectivo/payment/inbox/"
INDEX = "/admin/pagoefectivo/"
pytestmark = pytest.mark.django_db


def groups(client: Any) -> dict[str, Any]:
    answer = client.get(URL)
    assert answer.status_code == 200
    return {group.name: group for group in answer.context["inbox"].groups}


def acts(group: Any) -> list[str]:
    return [offered.act.name for offered in group.items[0].acts]


def everything() -> None:
    """One of each that waits, and some that do not."""
    make_mismatch()
    make_flagged("currency_mismatch")
    make_flagged("late_payment", "paid")
    make_flagged("duplicate_payment", "paid")
    make_flagged("outcome_unknown", "created")
    make_flagged("status_conflict")
    make_event()
    make_failing()
    payment = make_payment("paid")
    make_event(payment)
    for outcome in (Outcome.REJECTED, Outcome.IGNORED, Outcome.DUPLICATE):
        make_event(outcome=outcome)
    make_failing(payment, state="done")
    make_failing(payment, last_error="")


def test_everything_that_waits_with_what_settles_it(as_role: Any) -> None:
    everything()
    found = groups(as_role("boss"))
    assert {name: acts(group) for name, group in found.items()} == {
        "amount_mismatch": ["accept-amount", "settle"],
        "currency_mismatch": ["confirm", "settle"],
        "late_payment": ["settle"],
        "duplicate_payment": ["settle"],
        "outcome_unknown": ["give-up", "confirm"],
        "status_conflict": ["sync", "settle"],
        "unmatched": ["link", "dismiss"],
        "failing": ["retry"],
    }
    assert {group.count for group in found.values()} == {"1"}
    assert set(Attention.values) <= set(found)


def test_acts_by_right(as_role: Any) -> None:
    everything()
    clerk = {name: acts(group) for name, group in groups(as_role("clerk")).items()}
    assert clerk["amount_mismatch"] == ["settle"]
    assert clerk["unmatched"] == ["link", "dismiss"]
    assert not any(acts(group) for group in groups(as_role("viewer")).values())


def test_without_the_right_to_see_them_events_and_deliveries_are_left_out(
    as_role: Any, monkeypatch: Any
) -> None:
    everything()
    monkeypatch.setitem(ROLES, "payments_only", ("view_payment",))
    found = groups(as_role("payments_only"))
    assert "unmatched" not in found
    assert "failing" not in found
    assert "late_payment" in found


def test_the_oldest_first_and_the_rest_counted(as_role: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(inbox, "SHOWN", 2)
    monkeypatch.setattr(inbox, "MOST", 3)
    now = timezone.now()
    for hours in (1, 3, 2):
        make_flagged("late_payment", "paid", created_at=now - timedelta(hours=hours))
    group = groups(as_role("viewer"))["late_payment"]
    since = [item.since for item in group.items]
    assert since == sorted(since)
    assert len(since) == 2
    assert group.count == "3"
    assert group.has_more
    make_flagged("late_payment", "paid")
    assert groups(as_role("viewer"))["late_payment"].count == "3+"


def test_the_inbox_costs_the_same_however_much_waits(as_role: Any, monkeypatch: Any) -> None:
    # Each group is read and counted, no further than so far, whether it has something or not.
    monkeypatch.setattr(inbox, "SHOWN", 2)
    client = as_role("boss")
    counts = []
    for rows in (0, 3, 40):
        for _ in range(rows):
            everything()
        client.get(URL)
        with CaptureQueriesContext(connection) as queries:
            client.get(URL)
        counts.append(len(queries))
    assert len(set(counts)) == 1
    assert counts[0] <= 20
    reading = [q["sql"] for q in queries if "pagoefectivo_" in q["sql"]]
    assert all("LIMIT" in sql for sql in reading)


def test_empty_it_says_so(as_role: Any) -> None:
    html = as_role("viewer").get(URL).content.decode()
    assert "All done. Nothing waits for you." in html


def test_its_count_stands_in_the_apps_index(as_role: Any, monkeypatch: Any) -> None:
    client = as_role("viewer")
    assert '<span class="pe-count">0</span>' in client.get(INDEX).content.decode()
    everything()
    assert '<span class="pe-count">8</span>' in client.get(INDEX).content.decode()
    monkeypatch.setattr(inbox, "MOST", 3)
    assert '<span class="pe-count">3+</span>' in client.get(INDEX).content.decode()


def test_other_pages_do_not_pay_for_the_count(as_role: Any) -> None:
    everything()
    client = as_role("viewer")
    for path in ("/admin/", "/admin/pagoefectivo/payment/", URL):
        client.get(path)
        with CaptureQueriesContext(connection) as queries:
            client.get(path)
        # The index counts all reasons at once, the inbox each group by itself.
        counting = [q["sql"] for q in queries if "COUNT(" in q["sql"] and "IN ('amount" in q["sql"]]
        assert not counting, path


def test_whoever_cannot_see_payments_sees_no_count(as_role: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(ROLES, "events_only", ("view_webhookevent",))
    everything()
    html = as_role("events_only").get(INDEX).content.decode()
    assert "pe-count" not in html
    assert as_role("events_only").get(URL).status_code == 403


def test_personal_data_is_masked(as_role: Any) -> None:
    make_flagged("late_payment", "paid", note=f"Rosa wrote from {EMAIL}")
    make_failing(last_error=f"KeyError: {EMAIL}")
    assert EMAIL not in as_role("boss").get(URL).content.decode()
    assert "Rosa" not in as_role("boss").get(URL).content.decode()
    assert EMAIL in as_role("privy").get(URL).content.decode()

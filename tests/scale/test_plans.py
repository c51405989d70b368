"""The staff's screens over many rows: which plans PostgreSQL has for what they ask.

The same screens as ``python -m benchmarks.screens`` opens, over fewer rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from benchmarks.fill import fill
from benchmarks.plans import recorded, whole_reads, worst_of
from benchmarks.screens import MERCHANTS, SCREENS, Screen, known_of_a_payment

PAYMENTS = 20_000
#: Where a table is this small, reading most of it from end to end can be the best plan.
READS_MUCH = 1_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgresql,
    # Filling takes some seconds, once for all screens.
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def known(django_db_setup: Any, django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """Twenty thousand payments, and what is known of one of them."""
    if connection.vendor != "postgresql":
        pytest.skip("the rows are made by PostgreSQL, and the plans are PostgreSQL's")
    with django_db_blocker.unblock():
        fill(connection, PAYMENTS, PAYMENTS * 3 // 2, days=365)
        User.objects.create_superuser("scale", "", "scale")
        yield known_of_a_payment()
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE pagoefectivo_payment, pagoefectivo_webhookevent CASCADE")
        User.objects.filter(username="scale").delete()


@pytest.fixture
def staff(known: dict[str, Any], db: None, settings: Any) -> Client:
    merchants = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
    settings.PAGOEFECTIVO = {
        **settings.PAGOEFECTIVO,
        "MERCHANTS": {
            name: {**merchants, "SERVICE_ID": str(number)}
            for number, name in enumerate(MERCHANTS, start=1001)
        },
    }
    client = Client()
    client.force_login(User.objects.get(username="scale"))
    return client


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_no_screen_reads_a_large_table(
    screen: Screen, known: dict[str, Any], staff: Client
) -> None:
    url = screen.url(known)
    assert staff.get(url).status_code == 200
    with recorded() as statements:
        assert staff.get(url).status_code == 200
    scan, statement = worst_of(statements)
    assert scan is None or scan.rows <= screen.most_rows, (scan, statement)
    wide = [(scan, sql) for scan, sql in whole_reads(statements) if scan.rows > READS_MUCH]
    assert not wide


def test_filling_makes_what_a_shop_would_have(known: dict[str, Any], db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(DISTINCT status), count(DISTINCT merchant), "
            "count(DISTINCT order_key), count(*) FILTER (WHERE attention <> '') "
            "FROM pagoefectivo_payment"
        )
        payments, statuses, merchants, orders, flagged = cursor.fetchone()
        cursor.execute("SELECT count(*), count(DISTINCT outcome) FROM pagoefectivo_webhookevent")
        events, outcomes = cursor.fetchone()
    assert (payments, events) == (PAYMENTS, PAYMENTS * 3 // 2)
    assert statuses == 7
    assert outcomes >= 5
    assert merchants == len(MERCHANTS)
    assert orders == PAYMENTS * 19 // 20
    assert 0 < flagged < PAYMENTS // 50

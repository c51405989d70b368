"""Measure the staff's screens with 100, 1,000 and 1,000,000 payments in PostgreSQL.

    python -m benchmarks.screens            # or: make bench-admin

makes three databases, fills them, and opens each screen in all of them in turn, several
rounds. It fails unless, of each screen,

- the number of SQL statements is the same in all three,
- with the most payments no statement reads a large table from end to end, nor more than a
  bounded share of its rows,
- the median time with the most payments is at most three times that with 1,000, for the
  dashboard ten times.

The databases are dropped at the end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from . import databases, report

MERCHANTS = ("default", "market", "travel")
SIZES = (100, 1_000, 1_000_000)
ROUNDS = 15
#: Rows that one statement may look at: paging ends, and so does counting, at 10,000.
MOST_ROWS = 20_000
#: A dashboard of 30 days reads these days: a small share of the payments and of the events.
MOST_ROWS_DASHBOARD = 100_000


@dataclass(frozen=True, slots=True)
class Screen:
    """A page of the admin: its address for a given payment, and its bounds."""

    name: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    slower: float = 3
    most_rows: int = MOST_ROWS

    def url(self, known: dict[str, Any]) -> str:
        """The address; ``{…}`` in it is filled with what is ``known`` of a payment."""
        query = {name: value.format(**known) for name, value in self.query.items()}
        address = "/admin/pagoefectivo/" + self.path.format(**known)
        return f"{address}?{urlencode(query)}" if query else address


def _list(name: str, path: str = "payment/", **query: str) -> Screen:
    return Screen(name, path, query)


SCREENS = (
    _list("payment list"),
    _list("payment list, a late page", p="{page}"),
    _list("payments pending", status__exact="pending"),
    _list("payments paid", status__exact="paid"),
    _list("payments failed", status__exact="failed"),
    _list("payments that need attention", attention="any"),
    _list("payments paid late", attention="late_payment"),
    _list("payments of a merchant", merchant="travel"),
    _list("payments of a day", from_day="{day}", to_day="{day}"),
    _list("payments not reconciled", reconciled="no"),
    _list("payments failed of a merchant", status__exact="failed", merchant="travel"),
    _list("payments created of a merchant", status__exact="created", merchant="travel"),
    _list("payments failed of a day", status__exact="failed", from_day="{day}", to_day="{day}"),
    _list("payments to reconcile of a merchant", reconciled="no", merchant="travel"),
    _list("attention of a merchant", attention="any", merchant="travel"),
    _list("search by CIP", q="{cip}"),
    _list("search by order", q="{order}"),
    _list("search by transaction code", q="{code}"),
    _list("search by e-mail", q="{email}"),
    _list("search by e-mail in other letters", q="{other_email}"),
    _list("search without result", q="nothing-has-this"),
    _list("search by e-mail among paid", q="{email}", status__exact="paid"),
    Screen("inbox", "payment/inbox/"),
    Screen("app index with its count", ""),
    Screen("payment page", "payment/{pk}/change/"),
    _list("notifications", "webhookevent/"),
    _list("notifications unmatched", "webhookevent/", outcome__exact="unmatched"),
    _list("notifications of a merchant", "webhookevent/", merchant="travel"),
    _list("notifications of a day", "webhookevent/", from_day="{day}", to_day="{day}"),
    _list("search a notification by CIP", "webhookevent/", q="{cip}"),
    _list("deliveries", "signaldelivery/"),
    _list("deliveries failing", "signaldelivery/", trouble="failing"),
    _list("search a delivery by order", "signaldelivery/", q="{order}"),
    _list("API exchanges", "apiexchange/"),
    _list("API exchanges failed", "apiexchange/", result="failed"),
    Screen(
        "dashboard, 30 days",
        "statement/dashboard/",
        {"period": "30"},
        slower=10,
        most_rows=MOST_ROWS_DASHBOARD,
    ),
)


class Shop:
    """A database of one size, with a signed-in person and a payment that is known of it."""

    def __init__(self, url: str, payments: int) -> None:
        self.name = urlsplit(url).path.removeprefix("/")
        self.payments = payments
        self.client: Any = None
        self.known: dict[str, Any] = {}
        self.seconds_to_fill = 0.0

    def enter(self) -> None:
        """Make this shop's the database that Django talks to."""
        from django.db import connection

        if connection.settings_dict["NAME"] != self.name:
            connection.close()
            connection.settings_dict["NAME"] = self.name

    def make(self) -> None:
        """Make the tables, the payments and the person."""
        from django.contrib.auth.models import User
        from django.core.management import call_command
        from django.db import connection
        from django.test import Client

        from .fill import fill

        self.enter()
        call_command("migrate", verbosity=0)
        began = time.monotonic()
        fill(connection, self.payments, self.payments * 3 // 2)
        self.seconds_to_fill = time.monotonic() - began
        self.client = Client()
        self.client.force_login(User.objects.create_superuser("ana", "", "ana"))
        self.known = known_of_a_payment()

    def open(self, screen: Screen) -> float:
        """Open a screen and return the seconds it took."""
        self.enter()
        url = screen.url(self.known)
        began = time.perf_counter()
        answer = self.client.get(url)
        took = time.perf_counter() - began
        if answer.status_code != 200:
            raise RuntimeError(f"{url}: {answer.status_code}")
        return took


def known_of_a_payment() -> dict[str, Any]:
    """What the addresses need of a payment from the middle of the database."""
    from django_pagoefectivo.admin.base import ReadOnlyAdmin
    from django_pagoefectivo.gateways.wire import LIMA
    from django_pagoefectivo.models import Payment

    rows = Payment.objects.filter(status="paid", attention="", reconciled_at__isnull=False)
    count = Payment.objects.count()
    middle = count // 2
    payment = rows.filter(pk__gte=middle).order_by("pk")[0]
    return {
        "pk": payment.pk,
        "page": min(150, count // ReadOnlyAdmin.list_per_page),
        "cip": payment.cip,
        "order": payment.order_reference,
        "code": payment.transaction_code,
        "email": payment.customer_email,
        "other_email": payment.customer_email.upper(),
        "day": payment.created_at.astimezone(LIMA).date().isoformat(),
    }


def measure(
    shops: list[Shop], rounds: int, names: str = ""
) -> tuple[list[dict[str, Any]], list[str]]:
    """The figures of each screen, and what is wrong with them."""
    from .plans import recorded, whole_reads, worst_of

    found, faults = [], []
    base = shops[1]
    for screen in SCREENS:
        if names and names not in screen.name:
            continue
        counts: list[int] = []
        for shop in shops:
            shop.open(screen)
            with recorded() as seen:
                shop.open(screen)
            counts.append(len(seen))
            statements = seen
        scan, statement = worst_of(statements)
        if len(set(counts)) > 1:
            faults.append(f"{screen.name}: statements {counts}")
        if scan is not None and statement is not None and scan.rows > screen.most_rows:
            faults.append(f"{screen.name}: {scan} in {statement.sql % tuple(statement.params)}")
        faults += [
            f"{screen.name}: {scan} in {statement.sql % tuple(statement.params)}"
            for scan, statement in whole_reads(statements)
        ]
        times: dict[int, list[float]] = {shop.payments: [] for shop in shops}
        for _ in range(rounds):
            for shop in shops:
                # The first after a change of database pays for the connection.
                shop.open(screen)
                times[shop.payments].append(shop.open(screen))
        medians = [statistics.median(times[shop.payments]) for shop in shops]
        ratio = medians[-1] / medians[shops.index(base)]
        if ratio > screen.slower:
            faults.append(f"{screen.name}: {ratio:.1f} times as slow, {screen.slower:g} allowed")
        found.append(
            {
                "screen": screen.name,
                "statements": counts,
                "most_rows_read": scan.rows if scan else 0,
                "milliseconds": [round(1000 * median, 1) for median in medians],
                "ratio": round(ratio, 2),
            }
        )
        print(found[-1], flush=True)
    return found, faults


def main() -> int:
    """Measure and print; 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--payments", type=int, default=SIZES[-1], help="in the largest database")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default="", help="screens whose name has this in it")
    options = parser.parse_args()
    with ExitStack() as stack:
        sizes = (*SIZES[:-1], options.payments)
        urls = [stack.enter_context(databases.postgresql(str(size))) for size in sizes]
        os.environ["DATABASE_URL"] = urls[0]
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
        import django

        django.setup()
        shops = [Shop(url, size) for url, size in zip(urls, sizes, strict=True)]
        for shop in shops:
            shop.make()
        print(f"{sizes[-1]:,} payments made in {shops[-1].seconds_to_fill:.0f} s", flush=True)
        found, faults = measure(shops, options.rounds, options.only)
        from django.db import connections

        connections.close_all()
    headings = ["Screen", "Statements", "Rows read, at most"]
    headings += [f"{size:,}, ms" for size in sizes] + ["Ratio"]
    print(
        report.table(
            headings,
            [
                (
                    row["screen"],
                    row["statements"][-1],
                    f"{row['most_rows_read']:,}",
                    *row["milliseconds"],
                    row["ratio"],
                )
                for row in found
            ],
        )
    )
    figures = {"fill_seconds": round(shops[-1].seconds_to_fill), "sizes": sizes, "screens": found}
    print(f"Written to {report.write('screens', figures)}.")
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

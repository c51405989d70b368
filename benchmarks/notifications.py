"""Measure the webhook against the yardstick: a bare view in raw SQL.

    python -m benchmarks.notifications [--engine postgresql|sqlite] [--rounds 7] [--each 400]

serves both from the same gunicorn processes (2 sync workers) and posts to them in turn, a few
hundred notifications each in every round; the share is the median of the rounds'. First ones,
repeated ones and forged ones; with receivers called inline and by a worker. Afterwards the
database is asked: each payment paid once, each receiver told once.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from . import databases, report
from .load import Load, notification, request_of, send, together
from .site import Site, cpu_seconds, serving

ROUNDS, EACH = 7, 400
YARDSTICK, APP = "/yardstick/", "/pagoefectivo/webhook/"
KINDS = ("first", "repeated", "forged")
DELIVERIES = ("inline", "worker")


@dataclass(slots=True)
class Side:
    """What is measured of the yardstick or of the app."""

    path: str
    loads: list[Load] = field(default_factory=list)
    web: float = 0.0
    database: float = 0.0

    def run(self, site: Site, requests: list[bytes], backends: list[int]) -> Load:
        """Send ``requests`` and note how it went."""
        before = cpu_seconds(site.workers), cpu_seconds(backends)
        load = send(site.port, requests)
        self.web += cpu_seconds(site.workers) - before[0]
        self.database += cpu_seconds(backends) - before[1]
        self.loads.append(load)
        return load


class Bodies:
    """Notifications for payments that are made for them, on both sides."""

    def __init__(self) -> None:
        self.number = 0

    def make(self, count: int) -> list[bytes]:
        """Make payments and return a notification for each."""
        from django.utils import timezone

        from django_pagoefectivo.models import Payment
        from django_pagoefectivo.models.payment import order_key_for

        from .shop.models import BarePayment

        now = timezone.now()
        payments, bare, bodies = [], [], []
        for number in range(self.number + 1, self.number + count + 1):
            cip, code, reference = str(20_000_000 + number), f"T-{number}", f"O-{number}"
            key = order_key_for("default", reference)
            payments.append(
                Payment(
                    merchant="default",
                    order_reference=reference,
                    order_key=key,
                    open_key=key,
                    transaction_code=code,
                    cip=cip,
                    cip_url=f"https://cip.example/{number}.html",
                    amount=Decimal("22.05"),
                    currency="PEN",
                    customer_email=f"cliente{number}@correo.example",
                    status="pending",
                    expires_at=now + timedelta(hours=24),
                    next_poll_at=now + timedelta(hours=1),
                )
            )
            bare.append(
                BarePayment(cip=cip, transaction_code=code, amount=Decimal("22.05"), currency="PEN")
            )
            bodies.append(notification(cip, "22.05", str(5_000_000 + number), code))
        Payment.objects.bulk_create(payments, batch_size=500)
        BarePayment.objects.bulk_create(bare, batch_size=500)
        self.number += count
        return bodies


def backends_of() -> list[int]:
    """The pids of PostgreSQL's processes for this database, this one's own left out."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in cursor.fetchall()]


def measure(site: Site, bodies: Bodies, rounds: int, each: int) -> dict[str, list[Side]]:
    """Post in turn to yardstick and app; both sides of each kind."""
    sides = {kind: [Side(YARDSTICK), Side(APP)] for kind in KINDS}
    # The first request of a worker opens its connection and compiles its queries.
    for path in (YARDSTICK, APP):
        warm_up = [request_of(path, body) for body in bodies.make(20)]
        send(site.port, warm_up * 2)
    backends = backends_of()
    for number in range(rounds):
        fresh = bodies.make(each)
        for kind in KINDS:
            order = list(sides[kind])
            # Whoever comes second may find a warmer or a busier machine.
            if number % 2:
                order.reverse()
            for side in order:
                forged = "0" * 64 if kind == "forged" else None
                requests = [request_of(side.path, body, signature=forged) for body in fresh]
                load = side.run(site, requests, backends)
                expected = 403 if kind == "forged" else 200
                if load.answers != Counter({expected: each}):
                    raise RuntimeError(f"{side.path} {kind}: {load.answers}")
    return sides


def statements_of(bodies: Bodies, path: str) -> dict[str, tuple[float, float]]:
    """Statements and commits of a notification of each kind, counted in this process."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from .load import signature_of

    client, found = Client(), {}
    fresh = bodies.make(20)
    for kind in ("warm-up", *KINDS):
        posted = bodies.make(20) if kind == "warm-up" else fresh
        with CaptureQueriesContext(connection) as queries:
            for body in posted:
                signature = "0" * 64 if kind == "forged" else signature_of(body)
                client.generic(
                    "POST", path, body, "application/json", headers={"PE-Signature": signature}
                )
        statements, commits, inside = 0, 0, False
        for query in queries:
            word = query["sql"].split()[0].upper()
            if word in ("BEGIN", "START"):
                inside = True
            elif word in ("COMMIT", "ROLLBACK"):
                inside, commits = False, commits + 1
            elif word not in ("SAVEPOINT", "RELEASE", "SET"):
                statements += 1
                # By itself: a write is a commit of its own, a read costs no waiting.
                commits += not inside and word != "SELECT"
        found[kind] = (statements / len(posted), commits / len(posted))
    return found


def check(told: Path) -> dict[str, int]:
    """Ask the database what became of all that was posted; raises if it is not as promised."""
    from django.db.models import Count

    from django_pagoefectivo.models import Payment, SignalDelivery, WebhookEvent

    from .shop.models import BarePayment

    heard = Counter(told.read_text().split())
    payments = Payment.objects.count()
    found = {
        "payments": payments,
        "paid": Payment.objects.filter(status="paid").count(),
        "applied events": WebhookEvent.objects.filter(outcome="applied").count(),
        "payments with two applied events": (
            WebhookEvent.objects.filter(outcome="applied")
            .values("payment")
            .annotate(count=Count("pk"))
            .filter(count__gt=1)
            .count()
        ),
        "deliveries done at the first try": SignalDelivery.objects.filter(
            state="done", attempts=1
        ).count(),
        "receivers told": len(heard),
        "receivers told twice": sum(count > 1 for count in heard.values()),
        "paid at the yardstick": BarePayment.objects.filter(status="paid").count(),
    }
    promised = dict.fromkeys(found, payments) | {
        "payments with two applied events": 0,
        "receivers told twice": 0,
    }
    if found != promised:
        raise RuntimeError(f"Not as promised: {found}")
    return found


def run(engine: str, rounds: int, each: int) -> dict[str, Any]:
    """Measure on one engine, in a process of its own: the figures of each kind and delivery."""
    figures: list[dict[str, Any]] = []
    checked: dict[str, Any] = {}
    for delivery in DELIVERIES:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(databases.ENGINES[engine](delivery))
            told = folder / "told"
            told.touch()
            stack.callback(enter(url, delivery, told))
            bodies = Bodies()
            environment = {
                "DATABASE_URL": url,
                "BENCH_DELIVERY": delivery,
                "BENCH_TOLD": str(told),
            }
            with serving(environment, log=folder / "log") as site:
                sides = measure(site, bodies, rounds, each)
            counts = {path: statements_of(bodies, path) for path in (YARDSTICK, APP)}
            finish(bodies)
            checked[delivery] = check(told)
            for kind, (yardstick, app) in sides.items():
                figures.append(figure(engine, delivery, kind, yardstick, app, counts))
                print(figures[-1], flush=True)
    return {"figures": figures, "checked": checked}


def enter(url: str, delivery: str, told: Path) -> Callable[[], None]:
    """Let this process talk to the new database at ``url`` as the site does.

    Returns what closes the connection again.
    """
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "DATABASE_URL": url,
        # As many as the yardstick knows.
        "BENCH_MERCHANTS": "default=1001",
        "BENCH_TOLD": str(told),
    }
    import django

    django.setup()
    import environ
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    # The settings are read once, for the first of the databases.
    connection.settings_dict["NAME"] = environ.Env.db_url_config(url)["NAME"]
    settings.PAGOEFECTIVO["SIGNAL_DELIVERY"] = delivery
    call_command("migrate", run_syncdb=True, verbosity=0)
    return connection.close


def finish(bodies: Bodies) -> None:
    """Post what one side did not get, and make the calls that a worker would."""
    from django.test import Client

    from django_pagoefectivo.models import Payment
    from django_pagoefectivo.services.delivery import deliver_due

    from .load import signature_of
    from .shop.models import BarePayment

    client = Client()
    for path, model in ((APP, Payment), (YARDSTICK, BarePayment)):
        for payment in model.objects.filter(status="pending"):
            cip = str(payment.cip)
            body = notification(cip, "22.05", str(int(cip) - 15_000_000), payment.transaction_code)
            client.generic(
                "POST",
                path,
                body,
                "application/json",
                headers={"PE-Signature": signature_of(body)},
            )
    deliver_due()


def figure(
    engine: str,
    delivery: str,
    kind: str,
    yardstick: Side,
    app: Side,
    counts: dict[str, dict[str, tuple[float, float]]],
) -> dict[str, Any]:
    """What is told of one kind of notification."""
    shares = [ours.rate / bare.rate for ours, bare in zip(app.loads, yardstick.loads, strict=True)]
    made: dict[str, Any] = {
        "engine": engine,
        "delivery": delivery,
        "kind": kind,
        "share": round(statistics.median(shares), 2),
        "shares": [round(share, 2) for share in shares],
    }
    for name, side in (("yardstick", yardstick), ("app", app)):
        load = together(side.loads)
        count = len(load.each)
        statements, commits = counts[side.path][kind]
        made[name] = {
            "rate": round(statistics.median(each.rate for each in side.loads)),
            "p50_ms": round(load.milliseconds(0.5), 1),
            "p99_ms": round(load.milliseconds(0.99), 1),
            "statements": statements,
            "commits": commits,
            "web_cpu_ms": round(1000 * side.web / count, 2),
            "database_cpu_ms": round(1000 * side.database / count, 2),
        }
    return made


HEADINGS = (
    "Database",
    "Delivery",
    "Notification",
    "Share",
    "Yardstick/s",
    "App/s",
    "p50, ms",
    "p99, ms",
    "Statements",
    "Commits",
)


def rows_of(figures: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """The rows of the table: yardstick / app where there are two."""

    def both(made: dict[str, Any], name: str) -> str:
        return f"{made['yardstick'][name]:g} / {made['app'][name]:g}"

    return [
        (
            made["engine"],
            made["delivery"],
            made["kind"],
            f"{made['share']:.2f}",
            made["yardstick"]["rate"],
            made["app"]["rate"],
            both(made, "p50_ms"),
            both(made, "p99_ms"),
            both(made, "statements"),
            both(made, "commits"),
        )
        for made in figures
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=tuple(databases.ENGINES), action="append")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--each", type=int, default=EACH, help="notifications a round and side")
    options = parser.parse_args()
    engines = options.engine or list(databases.ENGINES)
    # One process each: Django makes its connection for one kind of database.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {
            engine: pool.submit(run, engine, options.rounds, options.each) for engine in engines
        }
        found = {engine: future.result() for engine, future in running.items()}
    figures = [made for each in found.values() for made in each["figures"]]
    print(report.table(HEADINGS, rows_of(figures)))
    for engine, each in found.items():
        print(f"{engine}, checked afterwards: {each['checked']}")
    print(f"Written to {report.write('notifications', found)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

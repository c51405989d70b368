"""Measure what the app asks of PagoEfectivo, and what it tells the shop.

    python -m benchmarks.calls [--creates 200] [--polled 100000] [--delivered 3000]

The sandbox plays PagoEfectivo in a process of its own, with a database of its own.

- Create: ``create_payment`` in turn with the least that could be done instead, a bare
  ``requests.Session`` post of the same request and one committed insert.
- Poll: one pass over many open payments whose state has not changed: calls, statements for
  each, and memory at the first tenth and at the end.
- Deliver: what a worker's pass over a queue takes for each call.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from . import databases, report
from .site import Site, memory, serving

CREATES, POLLED, DELIVERED = 200, 100_000, 3_000
BATCH = 50

_CODES = """
INSERT INTO pagoefectivo_sandbox_sandboxcode (
    contract, cip, uuid, service_id, transaction_code, amount, currency, date_expiry, status,
    concept, user_email, details, origin, callback_url, return_url, operation_number, created_at)
SELECT 'cip', 90000000 + i, gen_random_uuid(), '1001', 'P-' || i, 22.05, 'PEN', %s, 22, '',
    'ana@correo.example', '{}'::jsonb, '', '', '', '', now()
FROM generate_series(1, %s) AS i
"""


def create(site: Site, count: int) -> dict[str, Any]:
    """``create_payment`` against a bare post and one insert, in turn, one at a time."""
    import requests

    from django_pagoefectivo.services import Customer, create_payment

    from .plans import recorded
    from .shop.models import BarePayment

    customer = Customer(email="ana@correo.example", first_name="Ana", last_name="Quispe")
    session = requests.Session()
    seen: list[dict[str, Any]] = []
    send = requests.Session.send

    def watch(self: Any, request: Any, **kwargs: Any) -> Any:
        seen.append({"url": request.url, "body": request.body, "headers": dict(request.headers)})
        return send(self, request, **kwargs)

    # What the app sends is what the yardstick sends: the very same, but for the code.
    requests.Session.send = watch  # type: ignore[method-assign]
    try:
        create_payment(order_reference="warm-up", amount=Decimal("22.05"), customer=customer)
    finally:
        requests.Session.send = send  # type: ignore[method-assign]
    sent = seen[-1]
    code = _code_in(sent["body"])

    def bare(number: int) -> None:
        mine = f"Y-{number}".encode()
        headers = {k: v for k, v in sent["headers"].items() if k.lower() != "content-length"}
        body = sent["body"].replace(code, mine)
        answer = session.post(sent["url"], data=body, headers=headers, timeout=20)
        answer.raise_for_status()
        BarePayment.objects.create(
            cip=str(answer.json()["data"]["cip"]),
            transaction_code=mine.decode(),
            amount=Decimal("22.05"),
            currency="PEN",
        )

    def app(number: int) -> None:
        create_payment(order_reference=f"C-{number}", amount=Decimal("22.05"), customer=customer)

    times: dict[str, list[float]] = {"yardstick": [], "app": []}
    for number in range(count):
        sides = (("yardstick", bare), ("app", app))
        for name, work in sides if number % 2 else reversed(sides):
            began = time.perf_counter()
            work(number)
            times[name].append(time.perf_counter() - began)
    with recorded() as made:
        app(count)
    medians = {name: 1000 * statistics.median(each) for name, each in times.items()}
    return {
        "yardstick_ms": round(medians["yardstick"], 2),
        "app_ms": round(medians["app"], 2),
        "overhead_ms": round(medians["app"] - medians["yardstick"], 2),
        "overhead": round(medians["app"] / medians["yardstick"] - 1, 2),
        "statements": sum(
            each.sql.split()[0].upper() in ("SELECT", "INSERT", "UPDATE", "WITH") for each in made
        ),
    }


def _code_in(body: bytes) -> bytes:
    import json

    return str(json.loads(body)["transactionCode"]).encode()


def poll(count: int) -> dict[str, Any]:
    """One pass over ``count`` open payments that are still open at the sandbox."""
    from django.db import connection
    from django.utils import timezone

    from django_pagoefectivo.models import ApiExchange, Payment
    from django_pagoefectivo.models.payment import order_key_for
    from django_pagoefectivo.services import polling, polling_claims

    Payment.objects.all().delete()
    expires_at = _at_the_sandbox(count)
    for first in range(1, count + 1, 1000):
        rows = []
        for number in range(first, min(first + 1000, count + 1)):
            key = order_key_for("default", f"P-{number}")
            rows.append(
                Payment(
                    order_reference=f"P-{number}",
                    order_key=key,
                    open_key=key,
                    transaction_code=f"P-{number}",
                    cip=str(90_000_000 + number),
                    amount=Decimal("22.05"),
                    currency="PEN",
                    customer_email="ana@correo.example",
                    status="pending",
                    expires_at=expires_at,
                    next_poll_at=timezone.now(),
                )
            )
        Payment.objects.bulk_create(rows)
    before = ApiExchange.objects.count()
    statements = 0

    def count_one(execute: Any, *args: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*args)

    memories: list[int] = []
    plan = polling_claims._plan

    def watched(batch: Any, lease: Any) -> None:
        plan(batch, lease)
        if batch:
            memories.append(memory(os.getpid()))

    polling_claims._plan = watched
    try:
        # Counted and not kept: what is kept would be measured as memory.
        with connection.execute_wrapper(count_one):
            began = time.perf_counter()
            found = polling.poll(everything=True).sync
            seconds = time.perf_counter() - began
    finally:
        polling_claims._plan = plan
    if (found.asked, found.changed, found.failed) != (count, 0, 0):
        raise RuntimeError(f"Not as promised: {found}")
    return {
        "payments": count,
        "calls": found.calls,
        "exchanges": ApiExchange.objects.count() - before,
        "statements_a_call": round(statements / found.calls, 2),
        "payments_a_second": round(count / seconds),
        "memory_mib_at_a_tenth": round(memories[len(memories) // 10] / 1024, 1),
        "memory_mib_at_the_end": round(memories[-1] / 1024, 1),
    }


def _at_the_sandbox(count: int) -> Any:
    """Put ``count`` open codes into the sandbox's database; when they expire."""
    import psycopg
    from django.utils import timezone

    expires_at = (timezone.now() + timedelta(hours=24)).replace(microsecond=0)
    with psycopg.connect(os.environ["BENCH_SANDBOX"], autocommit=True) as sandbox:
        sandbox.execute(_CODES, [expires_at, count])
    return expires_at


def deliver(count: int, told: Path) -> dict[str, Any]:
    """A worker's pass over ``count`` calls that are owed."""
    from django_pagoefectivo.models import SignalDelivery
    from django_pagoefectivo.services.delivery import deliver_due
    from django_pagoefectivo.services.webhooks import receive

    from .load import signature_of
    from .notifications import Bodies
    from .plans import recorded

    SignalDelivery.objects.all().delete()
    told.write_bytes(b"")
    for body in Bodies().make(count):
        receive(body, {"PE-Signature": signature_of(body)})
    with recorded() as made:
        began = time.perf_counter()
        deliver_due()
        seconds = time.perf_counter() - began
    heard = told.read_text().split()
    if len(heard) != count or len(set(heard)) != count:
        raise RuntimeError(f"{len(heard)} calls of {len(set(heard))} payments, {count} were owed")
    return {
        "calls": count,
        "calls_a_second": round(count / seconds),
        "statements_a_call": round(len(made) / count, 2),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--creates", type=int, default=CREATES)
    parser.add_argument("--polled", type=int, default=POLLED)
    parser.add_argument("--delivered", type=int, default=DELIVERED)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shop = stack.enter_context(databases.postgresql("shop"))
        sandbox = stack.enter_context(databases.postgresql("sandbox"))
        from .notifications import enter

        os.environ["BENCH_SANDBOX"] = sandbox
        environment = {"DATABASE_URL": sandbox, "BENCH_MERCHANTS": "default=1001"}
        _migrate(environment)
        site = stack.enter_context(serving(environment, log=folder / "log"))
        os.environ["BENCH_BASE_URL"] = f"{site.url}/sandbox/v1"
        stack.callback(enter(shop, "worker", folder / "told"))
        found: dict[str, Any] = {"create": create(site, options.creates)}
        print(found, flush=True)
        found["deliver"] = deliver(options.delivered, folder / "told")
        print(found["deliver"], flush=True)
        found["poll"] = poll(options.polled)
    rows = [(part, name, value) for part, each in found.items() for name, value in each.items()]
    print(report.table(("Measured", "Figure", "Value"), rows))
    print(f"Written to {report.write('calls', found)}.")
    return 0


def _migrate(environment: dict[str, str]) -> None:
    """Make the sandbox's tables, in a process of its own as everything of the sandbox."""
    import subprocess

    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity", "0"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "benchmarks.settings", **environment},
        check=True,
        timeout=300,
    )


if __name__ == "__main__":
    sys.exit(main())

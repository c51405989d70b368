"""Measure the import of a settlement report: its memory and its rate.

    python -m benchmarks.statements [--lines 20000 --lines 200000] [--rounds 3]

makes payments in a PostgreSQL database, reports about them as CSV, and imports each report in
a process of its own, whose peak of memory is measured. The yardstick reads the same file with
the csv module and inserts its lines in bulk into a bare table. Fails if the largest file takes
noticeably more memory than the smallest.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import databases, report

LINES = (20_000, 200_000)
ROUNDS = 3
#: What the allocator may need more for ten times the lines, in KiB.
SLACK = 8 * 1024
_HEADINGS = ("CIP", "Codigo de transaccion", "Nro. operacion", "Monto", "Moneda", "Fecha de pago")


def write_report(path: Path, lines: int) -> None:
    """Write a report of ``lines`` payments; those that are not paid differ from the shop's."""
    from django_pagoefectivo.gateways.wire import LIMA
    from django_pagoefectivo.models import Payment

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(_HEADINGS)
        columns = ("cip", "transaction_code", "operation_number", "amount", "currency")
        rows = Payment.objects.order_by("pk").values_list(*columns, "paid_at", "created_at")
        for *cells, paid_at, created_at in rows[:lines].iterator():
            moment = (paid_at or created_at).astimezone(LIMA)
            writer.writerow([*cells, moment.strftime("%d/%m/%Y %H:%M:%S")])


def import_app(path: Path) -> None:
    """Import the report as the app does."""
    from django_pagoefectivo.services.statements import import_statement

    with path.open("rb") as file:
        import_statement(file, file_name=path.name, merchant="default")


def import_yardstick(path: Path) -> None:
    """Read the report and insert its lines, without looking at them."""
    from datetime import UTC, datetime

    from django.db import transaction

    from .shop.models import BareLine

    with path.open(encoding="utf-8", newline="") as file, transaction.atomic():
        reader = csv.reader(file, delimiter=";")
        next(reader)
        BareLine.objects.bulk_create(
            (
                BareLine(
                    cip=cip,
                    transaction_code=code,
                    operation_number=operation,
                    amount=amount,
                    currency=currency,
                    paid_at=datetime.strptime(moment, "%d/%m/%Y %H:%M:%S").replace(tzinfo=UTC),
                )
                for cip, code, operation, amount, currency, moment in reader
            ),
            batch_size=1000,
        )


def in_this_process(side: str, path: Path) -> None:
    """Import ``path``, print the seconds and the memory it took, and undo it."""
    import django

    django.setup()
    from django.db import connection

    from django_pagoefectivo.models import Statement, StatementLine

    connection.ensure_connection()
    before = _peak()
    began = time.perf_counter()
    {"app": import_app, "yardstick": import_yardstick}[side](path)
    seconds = time.perf_counter() - began
    peak = _peak()
    states = {}
    if side == "app":
        from django.db.models import Count

        counted = StatementLine.objects.values_list("state").annotate(count=Count("pk"))
        states = dict(counted.order_by("state"))
    with connection.cursor() as cursor:
        for model in (Statement, StatementLine):
            cursor.execute(f"TRUNCATE {model._meta.db_table} CASCADE")
        cursor.execute("TRUNCATE bench_line")
    print(json.dumps({"seconds": seconds, "peak": peak, "taken": peak - before, "states": states}))


def _peak() -> int:
    """The most memory that this process has held, in KiB. (ru_maxrss begins with its parent's.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _measured(side: str, path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.statements", "--side", side, "--file", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(lines: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    """The figures of each size."""
    import django
    from django.core.management import call_command

    figures = []
    with ExitStack() as stack:
        url = stack.enter_context(databases.postgresql("statements"))
        os.environ |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "benchmarks.settings"}
        django.setup()
        from django.db import connection

        from .fill import fill

        stack.callback(connection.close)
        call_command("migrate", run_syncdb=True, verbosity=0)
        fill(connection, max(lines), 1)
        with connection.cursor() as cursor:
            # One merchant's, so that the whole report is about payments of its own.
            cursor.execute("UPDATE pagoefectivo_payment SET merchant = 'default' WHERE cip <> ''")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for count in lines:
            path = folder / f"{count}.csv"
            write_report(path, count)
            app: list[dict[str, Any]] = []
            bare: list[dict[str, Any]] = []
            for number in range(rounds):
                sides = [("yardstick", bare), ("app", app)]
                for side, found in sides if number % 2 else reversed(sides):
                    found.append(_measured(side, path))
            figures.append(
                {
                    "lines": count,
                    "bytes": path.stat().st_size,
                    "app_rate": round(count / statistics.median(each["seconds"] for each in app)),
                    "yardstick_rate": round(
                        count / statistics.median(each["seconds"] for each in bare)
                    ),
                    "share": round(
                        statistics.median(
                            one["seconds"] / other["seconds"]
                            for one, other in zip(bare, app, strict=True)
                        ),
                        2,
                    ),
                    "peak_kib": max(each["peak"] for each in app),
                    "taken_kib": max(each["taken"] for each in app),
                    "states": app[0]["states"],
                }
            )
            print(figures[-1], flush=True)
    return figures


def main() -> int:
    """Measure and print; 1 if memory grows with the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--side", choices=("app", "yardstick"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        in_this_process(options.side, options.file)
        return 0
    figures = measure(tuple(options.lines or LINES), options.rounds)
    headings = ("Lines", "File, MB", "Yardstick, lines/s", "App, lines/s", "Share", "Peak, MiB")
    rows = [
        (
            f"{each['lines']:,}",
            f"{each['bytes'] / 1e6:.1f}",
            f"{each['yardstick_rate']:,}",
            f"{each['app_rate']:,}",
            each["share"],
            f"{each['peak_kib'] / 1024:.0f}",
        )
        for each in figures
    ]
    print(report.table(headings, rows))
    print(f"Written to {report.write('statements', figures)}.")
    grown = figures[-1]["peak_kib"] - figures[0]["peak_kib"]
    if grown > SLACK:
        print(f"FAULT: the largest file takes {grown} KiB more than the smallest.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

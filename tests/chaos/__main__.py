"""``python -m tests.chaos [SCENARIO …]``: play them, print the counts, exit 1 on a fault."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time

import django
from django.core.management import call_command

from .cluster import PostgreSQL


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="which; all by default")
    parser.add_argument(
        "--notifications", type=int, default=1000, metavar="N", help="of each scenario (1000)"
    )
    parser.add_argument(
        "--short", action="store_true", help="100 notifications, and half minutes become seconds"
    )
    options = parser.parse_args()
    # So that what was started is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = PostgreSQL.start()
    if server is None:
        print("PostgreSQL is not installed here, and these scenarios break one.", file=sys.stderr)
        return 2
    os.environ["DATABASE_URL"] = server.url
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.chaos.settings"
    try:
        django.setup()
        call_command("migrate", verbosity=0)
        return play(server, options.scenarios, 100 if options.short else options.notifications)
    finally:
        server.remove()


def play(server: PostgreSQL, wanted: list[str], count: int) -> int:
    """Play the scenarios and print each verdict; 1 if one does not hold."""
    from django.db import connection

    from .scenarios import SCENARIOS
    from .stage import clear_database, stage

    unknown = set(wanted) - set(SCENARIOS)
    if unknown:
        print(f"No such scenario: {', '.join(unknown)}. Known: {', '.join(SCENARIOS)}.")
        return 2
    print(
        f"{'scenario':26}{'sent':>6}{'acked':>7}{'lost':>6}{'untold':>8}{'repeated':>10}"
        f"{'again¹':>8}{'stuck':>7}{'seconds':>9}"
    )
    failed = 0
    for name, scenario in SCENARIOS.items():
        if wanted and name not in wanted:
            continue
        clear_database()
        began = time.monotonic()
        with stage(server.url) as made:
            verdict = scenario(made, server, count)
            errors = made.errors.read_text()[-3000:] if made.errors.exists() else ""
        connection.close()
        print(
            f"{name:26}{verdict.sent:6}{verdict.acknowledged:7}{verdict.lost:6}"
            f"{verdict.untold:8}{verdict.repeated:10}{verdict.unnoted:8}{verdict.stuck:7}"
            f"{time.monotonic() - began:9.1f}",
            flush=True,
        )
        answers = ", ".join(f"{said} x {n}" for said, n in sorted(verdict.said.items()))
        for note in [f"answers: {answers}" if answers else "", *verdict.notes]:
            if note:
                print(f"    {note}")
        for fault in verdict.faults:
            print(f"    FAULT: {fault}")
        if verdict.faults:
            failed += 1
            print(errors)
    print("¹ called again because process or database died before the success could be noted")
    print(f"{failed} failed" if failed else "Every scenario held.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Measure the webhook under a flood of forged posts, and over many genuine ones.

    python -m benchmarks.flood [--forged 100000] [--genuine 50000]

posts to gunicorn with 2 sync workers and PostgreSQL.

- Genuine notifications before, while and after forged ones flood the webhook; the forged ones
  that are kept, and how large the table is.
- Memory, threads and open files of the workers over many genuine notifications. It fails if
  memory grows noticeably, or threads or files at all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import databases, report
from .load import Load, request_of, send, together
from .notifications import APP, YARDSTICK, Bodies, enter
from .site import Site, leftovers, memory, serving

FORGED, GENUINE = 100_000, 50_000
STEP = 500
#: Genuine ones among the forged: one in so many.
MIXED = 50
#: Kept a minute and process, times the minutes that a flood may take, is far below this.
MOST_KEPT = 2_000
#: What the workers' memory may grow by after their first thousands, in KiB.
SLACK = 6 * 1024


def flood(site: Site, bodies: Bodies, count: int) -> dict[str, Any]:
    """Genuine notifications alone, among forged ones, and alone again."""
    from django_pagoefectivo.models import WebhookEvent

    before = _both(site, bodies)
    among: list[Load] = []
    forged = request_of(APP, b'{"eventType":"cip.paid","data":{"cip":"1"}}', signature="0" * 64)
    answers: Counter[int] = Counter()
    for _ in range(0, count, STEP):
        load = send(site.port, [forged] * STEP)
        answers += load.answers
        among.append(genuine(site, bodies, STEP // MIXED))
    after = _both(site, bodies)
    if answers != Counter({403: count // STEP * STEP}):
        raise RuntimeError(f"Forged ones were answered {answers}")
    mixed = together(among)
    kept = WebhookEvent.objects.filter(outcome="rejected").count()
    return {
        "forged": count,
        "forged_kept": kept,
        "genuine_p50_ms_before": round(before[0], 1),
        "genuine_p50_ms_among_forged": round(mixed.milliseconds(0.5), 1),
        "genuine_p50_ms_after": round(after[0], 1),
        "yardstick_p50_ms_before": round(before[1], 1),
        "yardstick_p50_ms_after": round(after[1], 1),
        "slower_after": round(after[0] / after[1] / (before[0] / before[1]), 2),
    }


def _both(site: Site, bodies: Bodies) -> tuple[float, float]:
    """Median milliseconds of genuine ones: the app's, and the yardstick's at the same time."""
    app, bare = [], []
    for _ in range(5):
        fresh = bodies.make(STEP // 5)
        app.append(send(site.port, [request_of(APP, body) for body in fresh]))
        bare.append(send(site.port, [request_of(YARDSTICK, body) for body in fresh]))
    return together(app).milliseconds(0.5), together(bare).milliseconds(0.5)


def genuine(site: Site, bodies: Bodies, count: int) -> Load:
    """Post ``count`` genuine notifications; each must be taken in."""
    load = send(site.port, [request_of(APP, body) for body in bodies.make(count)])
    if load.answers != Counter({200: count}):
        raise RuntimeError(f"Genuine ones were answered {load.answers}")
    return load


def endure(site: Site, bodies: Bodies, count: int) -> dict[str, Any]:
    """Many genuine notifications: what the workers hold at the first tenth and at the end."""
    samples = []
    for _ in range(0, count, STEP):
        genuine(site, bodies, STEP)
        samples.append(
            {
                "memory": max(memory(pid) for pid in site.workers),
                "threads": max(leftovers(pid)[0] for pid in site.workers),
                "files": max(leftovers(pid)[1] for pid in site.workers),
            }
        )
    early, late = samples[len(samples) // 10], samples[-1]
    return {
        "genuine": count,
        "memory_mib_at_a_tenth": round(early["memory"] / 1024, 1),
        "memory_mib_at_the_end": round(late["memory"] / 1024, 1),
        "grown_kib": late["memory"] - early["memory"],
        "threads": [early["threads"], late["threads"]],
        "files": [early["files"], late["files"]],
    }


def main() -> int:
    """Measure and print; 1 if something grows that must not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--forged", type=int, default=FORGED)
    parser.add_argument("--genuine", type=int, default=GENUINE)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(databases.postgresql("flood"))
        stack.callback(enter(url, "inline", folder / "told"))
        environment = {
            "DATABASE_URL": url,
            "BENCH_DELIVERY": "inline",
            "BENCH_TOLD": str(folder / "told"),
        }
        site = stack.enter_context(serving(environment, log=folder / "log"))
        bodies = Bodies()
        genuine(site, bodies, STEP)
        found = {"flood": flood(site, bodies, options.forged)}
        print(found, flush=True)
        found["endurance"] = endure(site, bodies, options.genuine)
        heard = Counter((folder / "told").read_text().split())
        twice = sum(times > 1 for times in heard.values())
        found["told"] = {"payments": bodies.number, "told": len(heard), "told_twice": twice}
    rows = [(part, name, value) for part, each in found.items() for name, value in each.items()]
    print(report.table(("Measured", "Figure", "Value"), rows))
    print(f"Written to {report.write('flood', found)}.")
    endurance = found["endurance"]
    faults = [
        name
        for name, wrong in (
            ("too many forged ones were kept", found["flood"]["forged_kept"] > MOST_KEPT),
            ("memory grew", endurance["grown_kib"] > SLACK),
            ("threads were left", endurance["threads"][0] != endurance["threads"][1]),
            ("files were left", endurance["files"][1] > endurance["files"][0] + 1),
            ("not each was told once", twice or len(heard) != bodies.number),
        )
        if wrong
    ]
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""What a measurement found: a table for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django

RESULTS = Path(__file__).parent / "results"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of reStructuredText, which also reads well on a terminal."""
    cells = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(headings))]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def surroundings() -> dict[str, Any]:
    """When and where it was measured, as far as it matters to the figures."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.orig_argv[1:]),
        "python": platform.python_version(),
        "django": django.get_version(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def write(name: str, figures: Any) -> Path:
    """Write ``figures`` to ``benchmarks/results/<name>.json`` and return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    found = {**surroundings(), "figures": figures}
    path.write_text(json.dumps(found, indent=2, default=str) + "\n")
    return path

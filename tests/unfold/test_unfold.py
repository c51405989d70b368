"""Under django-unfold every screen is there, for those who may see it.

In a process of its own: unfold puts itself in the place of Django's admin when it loads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("unfold")
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_screen_under_unfold() -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"),
            *("--ds", "tests.unfold.settings", "-m", "not browser"),
            *("tests/admin/test_rights.py", "-k", "look"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]

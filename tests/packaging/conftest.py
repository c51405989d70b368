"""The wheel, built once, and empty environments to put it into."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path | None = None, status: int = 0, **env: str) -> str:
    """Run it without this project's settings and give its output; a failure shows it.

    Where it ends with another ``status`` than 0, as it shall, what it says of that is added.
    """
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PAGOEFECTIVO", "DJANGO", "PYTHON", "VIRTUAL_ENV", "DATABASE"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**own, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **env},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == status, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr if status else done.stdout


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and the wheel that was built from that sdist.

    Built here, unless ``DISTRIBUTIONS`` names the folder in which they were built just now.
    """
    if built := os.environ.get("DISTRIBUTIONS"):
        return ROOT / built
    pytest.importorskip("build", reason="`make test-package` installs what this needs")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (found,) = distributions.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(distributions: Path) -> Path:
    (found,) = distributions.glob("*.tar.gz")
    return found

"""The example shop with its sandbox, served by a process of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Account and password that the example shop makes for itself.
ACCOUNT = "admin"
_OURS = re.compile(
    r"(PAGOEFECTIVO|DJANGO|SECURE)_"
    r"|(DATABASE_URL|CACHE_URL|SHOP_URL|DEBUG|SECRET_KEY|ALLOWED_HOSTS|ENV_FILE)$"
)
#: Longer than any test here takes; then the server is ended by force.
LIMIT = 600


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    waiting = threading.Event()
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            waiting.wait(0.05)
    raise AssertionError(f"the shop did not start:\n{log.read_text(errors='replace')}")


@contextmanager
def live_shop(folder: Path) -> Iterator[str]:
    """Serve the shop from a database in ``folder``; its address."""
    port = _free_port()
    log = folder / "shop.log"
    kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    environment = kept | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "testproject")]),
        "ENV_FILE": os.devnull,
        "DATABASE_URL": f"sqlite:///{folder / 'shop.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "tests.api.live_settings",
        "SHOP_URL": f"http://127.0.0.1:{port}",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "testproject/serve.py", "--noreload", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        end = threading.Timer(LIMIT, process.kill)
        end.start()
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            end.cancel()
            process.kill()
            process.wait()
            end.join()

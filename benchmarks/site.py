"""The measured site in processes of its own: gunicorn with sync workers on the loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

WORKERS = 2
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Site:
    """A running site: its port and its gunicorn."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def workers(self) -> list[int]:
        """The pids of its workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


@contextmanager
def serving(environment: Mapping[str, str], *, log: Path, workers: int = WORKERS) -> Iterator[Site]:
    """Serve the site with ``environment`` added; ended at the end, by its pid."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "gunicorn", "--workers", str(workers), "--bind"]
    command += [f"127.0.0.1:{port}", "--no-control-socket", "benchmarks.wsgi"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "benchmarks.settings", **environment},
            stdout=output,
            stderr=output,
        )
        try:
            site = Site(port, process.pid)
            _wait(process, site, workers, log)
            yield site
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], site: Site, workers: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if len(site.workers) == workers:
            try:
                with socket.create_connection(("127.0.0.1", site.port), 1):
                    return
            except OSError:
                pass
        time.sleep(0.05)
    raise RuntimeError(f"The site did not start:\n{log.read_text()[-2000:]}")


def cpu_seconds(pids: list[int]) -> float:
    """The processor time these processes have used so far."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory(pid: int) -> int:
    """The resident memory of a process, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def leftovers(pid: int) -> tuple[int, int]:
    """How many threads and open files a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir())), len(
        list(Path(f"/proc/{pid}/fd").iterdir())
    )

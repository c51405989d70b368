"""The shop's own server process, which never outlives the one that started it.

``python -m walkthrough.server PORT SECONDS`` serves on the loopback address until its
standard input is closed, which the system does when the starter ends in whatever way, or
until ``SECONDS`` are over (0: no limit).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.core.management import execute_from_command_line

PROJECT = Path(__file__).resolve().parent.parent


class ServerFailed(Exception):
    """The server did not start; the message has the end of its log."""


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    port: int, environment: Mapping[str, str], log: Path, *, limit: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The shop served on ``port`` by a process of its own, which is ended afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, this module
            [sys.executable, "-m", "walkthrough.server", str(port), str(limit)],
            cwd=PROJECT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_it_answers(process, port, log)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise ServerFailed(f"The shop's server did not start:\n{log_end(log)}")


def log_end(log: Path, lines: int = 25) -> str:
    """The last lines of the server's log."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def _end_with_starter() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main(port: str, limit: str) -> None:
    """Serve until the starter is gone or the time is over."""
    threading.Thread(target=_end_with_starter, daemon=True).start()
    if int(limit):
        timer = threading.Timer(int(limit), os._exit, (1,))
        timer.daemon = True
        timer.start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # Threaded, as it must be: the shop and the sandbox on it call each other.
    execute_from_command_line(["manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"])


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The processes of one scenario, and the load on them."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from django.db import connection

from django_pagoefectivo.models import ApiExchange, Payment, SignalDelivery, WebhookEvent
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import body_of, hmac_of

from .cluster import free_port, wait_for

#: PagoEfectivo's side: how many notifications are on their way at a time.
SENDERS = 6
#: Seconds one notification is waited for before it is sent again.
PATIENCE = 15.0


class Stage:
    """Starts processes for a scenario and ends every one of them."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.log = folder / "log"
        self.errors = folder / "stderr"
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
            "CHAOS_LOG": str(self.log),
        }
        self.pagoefectivo: dict[str, Any] = {}
        self._running: list[subprocess.Popen[bytes]] = []
        self.port = 0

    def configure(self, **pagoefectivo: Any) -> None:
        """Change the ``PAGOEFECTIVO`` setting of the processes started from now on."""
        self.pagoefectivo |= pagoefectivo
        self.environment["CHAOS_PAGOEFECTIVO"] = json.dumps(self.pagoefectivo)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        with self.errors.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=self.environment | environment,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def web(self, workers: int = 2, **environment: str) -> subprocess.Popen[bytes]:
        """gunicorn, as a shop would run it; ready when this returns."""
        self.port = free_port()
        process = self.start(
            "gunicorn",
            *("--bind", f"127.0.0.1:{self.port}", "--workers", str(workers), "--preload"),
            *("--log-level", "critical", "--no-control-socket", "--timeout", "60"),
            "tests.chaos.app:application",
            **environment,
        )
        if not wait_for(self._is_up):
            raise RuntimeError(f"gunicorn did not start: {self.errors.read_text()[-2000:]}")
        return process

    def _is_up(self) -> bool:
        try:
            return requests.get(self.url, timeout=5).status_code == 405
        except requests.RequestException:
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/pagoefectivo/webhook/"

    def supervised(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """A management command that is started again whenever it dies."""
        return self.start("tests.chaos.app", *command, **environment)

    def deliverer(self, **environment: str) -> subprocess.Popen[bytes]:
        return self.supervised("pagoefectivo_deliver", "--loop", "--interval", "0.1", **environment)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)
        if process in self._running:
            self._running.remove(process)

    def close(self) -> None:
        for process in list(self._running):
            self.end(process)

    def lines(self) -> list[list[str]]:
        """What receivers and dying processes wrote down."""
        if not self.log.exists():
            return []
        return [line.split() for line in self.log.read_text().splitlines()]


def children_of(pid: int) -> list[int]:
    """The processes that ``pid`` started and that live."""
    with suppress(OSError):
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def threads_of(pid: int) -> int:
    """How many threads a process has; 0 if it is gone."""
    with suppress(OSError):
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    return 0


def clear_database() -> None:
    """Start with no rows."""
    connection.close()
    tables = ", ".join(
        model._meta.db_table for model in (ApiExchange, SignalDelivery, WebhookEvent, Payment)
    )
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} CASCADE")


class Load:
    """Sends one notification for each payment and again until it is acknowledged."""

    def __init__(self, url: str, payments: Sequence[Payment]) -> None:
        self.url = url
        self.answers: Counter[str] = Counter()
        self.acknowledged: set[int] = set()
        self.slowest = 0.0
        self._waiting: queue.Queue[tuple[int, bytes]] = queue.Queue()
        for number, payment in enumerate(payments):
            self._waiting.put((payment.pk, body_of(payment, operation=str(10_000 + number))))
        self._left = len(payments)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(SENDERS)]

    @property
    def is_over(self) -> bool:
        return self._left == 0

    @contextmanager
    def running(self, patience: float = 240) -> Iterator[None]:
        """Send while the block breaks things, then until all is acknowledged."""
        for thread in self._threads:
            thread.start()
        try:
            yield
            wait_for(lambda: self.is_over, patience)
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(PATIENCE + 5)

    def progress(self, share: float, patience: float = 120) -> None:
        """Wait until so much of it is acknowledged."""
        total = self._left + len(self.acknowledged)
        wait_for(lambda: len(self.acknowledged) >= share * total, patience)

    def _send(self) -> None:
        with requests.Session() as session:
            while not self._stop.is_set():
                try:
                    pk, body = self._waiting.get(timeout=0.1)
                except queue.Empty:
                    if self.is_over:
                        return
                    continue
                began = time.monotonic()
                try:
                    answer = session.post(
                        self.url,
                        data=body,
                        headers={"PE-Signature": hmac_of(body)},
                        timeout=PATIENCE,
                    )
                    said = str(answer.status_code)
                except requests.RequestException as error:
                    said = type(error).__name__
                with self._lock:
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    self.answers[said] += 1
                    if said == "200":
                        self.acknowledged.add(pk)
                        self._left -= 1
                        continue
                self._waiting.put((pk, body))
                self._stop.wait(0.05)


@contextmanager
def stage(database_url: str) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="pagoefectivo-chaos-") as folder:
        made = Stage(Path(folder), database_url)
        try:
            yield made
        finally:
            made.close()


def make_payments(count: int, **fields: Any) -> list[Payment]:
    return [make_payment(**fields) for _ in range(count)]


def second_attempts(count: int) -> list[Payment]:
    """Payments that are not their order's only one: they are written in several statements."""
    earlier = [make_payment("cancelled") for _ in range(count)]
    return [make_payment(order_reference=payment.order_reference) for payment in earlier]

"""A real broker, a real worker, and this process as the one that takes in notifications."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery._state import get_current_app

from django_pagoefectivo import broker as publishing
from django_pagoefectivo.testing.captured import listening
from tests.promises.conftest import _own_urls, probe
from tests.promises.test_crashes import database_url

__all__ = ["_own_urls", "probe"]

BROKERS = {
    "redis": "redis://127.0.0.1:6379/9",
    "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//",
}


def wait_for(condition: Callable[[], Any], patience: float = 60) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return int(probe_socket.getsockname()[1])


@contextmanager
def celery_here(url: str, queue: str) -> Iterator[Celery]:
    """Make ``url`` the broker of this process for the time of the block."""
    before = get_current_app()
    app = Celery("tests", broker=url, set_as_current=True)
    app.conf.update(task_default_queue=queue)
    publishing.close_connections()
    try:
        yield app
    finally:
        publishing.close_connections()
        app.close()
        before.set_current()


class Queue:
    """One queue of one broker, and workers on it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.name = f"pagoefectivo-tests-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.told_file = folder / "told"
        self.app: Celery | None = None

    @property
    def told(self) -> Counter[str]:
        if not self.told_file.exists():
            return Counter()
        return Counter(line.split()[0] for line in self.told_file.read_text().splitlines())

    def pid_that_told(self, name: str) -> int:
        lines = [line.split() for line in self.told_file.read_text().splitlines()]
        return int(next(pid for who, pid in reversed(lines) if who == name))

    def wake_sleepers(self) -> None:
        Path(f"{self.told_file}.wake").touch()

    @contextmanager
    def worker(self, receivers: str = "a:ok", **changed: Any) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "tests.celery.worker", "worker"),
                *("--pool", "prefork", "--concurrency", "2", "--loglevel", "warning"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
            env={
                **os.environ,
                "DATABASE_URL": database_url(),
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "TOLD": str(self.told_file),
                "RECEIVERS": receivers,
                "CHANGED": json.dumps({"SIGNAL_DELIVERY": "celery", **changed}),
                "BROKER": self.url,
                "QUEUE": self.name,
            },
            stdout=subprocess.DEVNULL,
            # A group of its own, so that it can be killed with its children.
            start_new_session=True,
        )
        try:
            yield process
        finally:
            self.end(process, signal.SIGTERM)

    def end(self, process: subprocess.Popen[bytes], how: int = signal.SIGKILL) -> None:
        """End a worker and all its children."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def messages(self) -> list[dict[str, Any]]:
        """Take all waiting messages: headers, properties, body."""
        assert self.app is not None
        taken = []
        with self.app.connection_for_read() as connection:
            queue = self.app.amqp.queues[self.name](connection.default_channel)
            while message := queue.get():
                message.ack()
                assert message.body is not None
                taken.append({"headers": message.headers, "body": json.loads(message.body)})
        return taken

    def delete(self) -> None:
        """Leave nothing at the broker."""
        assert self.app is not None
        with self.app.connection_for_write() as connection:
            # Each broker's has methods of its own.
            channel: Any = connection.default_channel
            channel.queue_delete(self.name)
            with suppress(Exception):
                channel.exchange_delete(self.name)
            client = getattr(channel, "client", None)
            if client is not None:
                client.delete(self.name, f"_kombu.binding.{self.name}")


@pytest.fixture(params=sorted(BROKERS))
def queue(
    request: pytest.FixtureRequest, tmp_path: Path, configure: Callable[..., None]
) -> Iterator[Queue]:
    """An empty queue at a real broker that this process sends to."""
    configure(SIGNAL_DELIVERY="celery")
    own = Queue(BROKERS[request.param], tmp_path)
    with celery_here(own.url, own.name) as app:
        own.app = app
        app.autodiscover_tasks(["django_pagoefectivo"], force=True)
        try:
            yield own
        finally:
            own.delete()


@contextmanager
def receivers_here(*names: str) -> Iterator[None]:
    """This process owes the same receivers as the worker has, and calls none of them."""

    def called_here(**kwargs: Any) -> None:
        raise AssertionError("a receiver ran in the request")

    with ExitStack() as stack:
        for name in names:
            stack.enter_context(listening(called_here, f"child.{name}", ("payment_confirmed",)))
        yield


_SERVERS: dict[int, subprocess.Popen[bytes]] = {}


@contextmanager
def redis_server(port: int, folder: Path, *, instead: bool = False) -> Iterator[None]:
    """A throw-away Redis on this machine."""
    if instead:
        _SERVERS[port].kill()
        _SERVERS[port].wait(10)
    server = _SERVERS[port] = subprocess.Popen(
        ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: _answers(port))
        yield
    finally:
        server.kill()
        server.wait(10)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

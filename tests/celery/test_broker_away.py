"""The broker is away while notifications come in: they are taken in all the same."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from celery import Celery
from celery._state import get_current_app
from django.core.management import call_command
from django.utils import timezone

from django_pagoefectivo import broker, tasks
from django_pagoefectivo.models import SignalDelivery
from django_pagoefectivo.queue_checks import check_celery
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import Probe, notify, refresh

from .conftest import (
    Queue,
    celery_here,
    free_port,
    receivers_here,
    redis_server,
    wait_for,
)

pytestmark = pytest.mark.django_db(transaction=True)


class SilentServer:
    """Takes connections and never says a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.connections.append(self._listener.accept()[0])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self.connections:
            connection.close()


class Cutter:
    """Stands between a client and a server, and can cut or mute every connection."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._mute: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target), 10)
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    thread = threading.Thread(target=self._pump, args=pair, daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source not in self._mute:
                    sink.sendall(data)

    def mute(self) -> None:
        """Take in whatever comes on the present connections, and pass none of it on."""
        self._mute |= set(self._sockets)

    def cut(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def silent() -> Iterator[SilentServer]:
    server = SilentServer()
    yield server
    server.close()


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_nobody_listens(scheme: str, configure: Callable[..., None], probe: Probe) -> None:
    configure(SIGNAL_DELIVERY="celery")
    payments = [make_payment() for _ in range(3)]
    with celery_here(f"{scheme}://127.0.0.1:{free_port()}//", "q"):
        for payment in payments:
            notify(payment)
    assert {refresh(payment).status for payment in payments} == {"paid"}
    assert probe.heard == []
    SignalDelivery.objects.update(due_at=timezone.now())
    call_command("pagoefectivo_deliver", verbosity=0)
    assert len(probe.of("payment_confirmed")) == 3


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_does_not_answer_is_asked_once(
    scheme: str, configure: Callable[..., None], probe: Probe, silent: SilentServer
) -> None:
    """One wait of a second for the process, not one for each notification."""
    configure(SIGNAL_DELIVERY="celery")
    with celery_here(f"{scheme}://127.0.0.1:{silent.port}//", "q"):
        for _ in range(5):
            notify(make_payment())
        assert len(silent.connections) == 1
    assert SignalDelivery.objects.filter(state="pending", attempts=0).count() == 5


@pytest.mark.broker
def test_what_came_while_it_was_away_is_swept(queue: Queue, configure: Callable[..., None]) -> None:
    missed, taken = make_payment(), make_payment()
    with receivers_here("a"):
        with celery_here(f"redis://127.0.0.1:{free_port()}//", "q"):
            notify(missed)
        assert queue.app is not None
        queue.app.set_current()
        broker.close_connections()
        notify(taken)
    with queue.worker("a:ok"):
        wait_for(lambda: queue.told == {"a": 1})
        # A minute later, by the queue's clock, it is due.
        SignalDelivery.objects.filter(payment=missed).update(due_at=timezone.now())
        queue.app.send_task("pagoefectivo.sweep")
        wait_for(lambda: queue.told == {"a": 2})
    assert SignalDelivery.objects.filter(state="pending").count() == 0


@pytest.mark.broker
@pytest.mark.parametrize("how", ["cut", "mute"])
def test_a_connection_that_went_stale_is_replaced(
    how: str, queue: Queue, caplog: pytest.LogCaptureFixture, probe: Probe
) -> None:
    """Idle connections are cut or forgotten on the way; the next message is not lost with one."""
    url = urlsplit(queue.url)
    cutter = Cutter(url.port or 0)
    through = url._replace(netloc=url.netloc.replace(str(url.port), str(cutter.port))).geturl()
    with celery_here(through, queue.name):
        notify(make_payment())
        getattr(cutter, how)()
        notify(make_payment())
    cutter.close()
    assert len(queue.messages()) == 2
    assert "is away" not in caplog.text


@pytest.mark.broker
def test_a_restarted_broker_is_used_again(
    configure: Callable[..., None], tmp_path: Path, probe: Probe
) -> None:
    configure(SIGNAL_DELIVERY="celery")
    port = free_port()
    with redis_server(port, tmp_path), celery_here(f"redis://127.0.0.1:{port}/0", "q") as app:
        notify(make_payment())
        with redis_server(port, tmp_path, instead=True):
            notify(make_payment())
            with app.connection_for_read() as connection:
                channel: Any = connection.default_channel
                assert channel.client.llen("q") == 1


# -- which Celery app -----------------------------------------------------------------------


def test_a_thread_of_the_web_server_uses_the_projects_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Celery gives other threads than the one that made the app an empty app."""
    project = Celery("project", broker="memory://", set_as_current=False)
    monkeypatch.setattr(broker, "_app_at_start", project)
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.extend((get_current_app(), broker.celery_app())))
    thread.start()
    thread.join()
    assert seen[0] is not project, "this test would prove nothing"
    assert seen[1] is project


def test_eager_tasks_run_in_the_request(configure: Callable[..., None], probe: Probe) -> None:
    """``task_always_eager``, as in many shops' own tests."""
    configure(SIGNAL_DELIVERY="celery")
    with celery_here("memory://", "q") as app:
        app.conf.task_always_eager = True
        notify(make_payment())
    assert len(probe.of("payment_confirmed")) == 1
    assert SignalDelivery.objects.get().state == "done"


def test_the_sweep_without_celery_delivery_makes_the_calls(
    configure: Callable[..., None], probe: Probe
) -> None:
    configure(SIGNAL_DELIVERY="worker")
    notify(make_payment())
    assert probe.heard == []
    tasks.sweep()
    assert len(probe.of("payment_confirmed")) == 1


def test_celery_is_not_installed(
    configure: Callable[..., None], probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    configure(SIGNAL_DELIVERY="celery")
    with mock.patch.dict(sys.modules, {"celery": None}):
        del sys.modules["django_pagoefectivo.tasks"]
        notify(make_payment())
    (warning,) = [record for record in caplog.records if record.name.startswith("django_pago")]
    assert 'pip install "django-pagoefectivo[celery]"' in warning.getMessage()
    assert warning.exc_info is None
    assert probe.heard == []
    call_command("pagoefectivo_deliver", "--now", verbosity=0)
    assert len(probe.of("payment_confirmed")) == 1


def test_checks(configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_celery() == []
    configure(SIGNAL_DELIVERY="celery")
    with celery_here("memory://", "q"):
        assert check_celery() == []
    monkeypatch.setattr(broker, "_app_at_start", Celery("default", set_as_current=False))
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(check_celery()))
    thread.start()
    thread.join()
    assert [message.id for message in found] == ["pagoefectivo.W021"]
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert [message.id for message in check_celery()] == ["pagoefectivo.E020"]

"""Processes that end at the worst moment, and what a new process makes of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from django.db import connection

from django_pagoefectivo.models import Payment, SignalDelivery, WebhookEvent
from django_pagoefectivo.testing import make_payment

from .kit import URL, body_of, hmac_of, refresh

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def database_url() -> str:
    """The test database, for a process of its own."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    scheme = "postgres" if connection.vendor == "postgresql" else "mysql"
    user, password = quote(values["USER"] or "root"), quote(values["PASSWORD"] or "")
    return (
        f"{scheme}://{user}{':' + password if password else ''}@{values['HOST'] or '127.0.0.1'}"
        f":{values['PORT']}/{values['NAME']}"
    )


class Children:
    """Starts processes that share the test's database and the file of what was told."""

    def __init__(self, folder: Path) -> None:
        self.told_file = folder / "told"
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TOLD": str(self.told_file),
        }

    def run(self, *arguments: str, receivers: str = "a:ok", **changed: Any) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "tests.promises.child", *arguments],
            env=self.environment | {"RECEIVERS": receivers, "CHANGED": json.dumps(changed)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def told(self) -> Counter[str]:
        if not self.told_file.exists():
            return Counter()
        return Counter(line.split()[0] for line in self.told_file.read_text().splitlines())

    @contextmanager
    def gunicorn(self, receivers: str) -> Iterator[str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"),
                *("--workers", "1", "--log-level", "error", "--no-control-socket"),
                "tests.promises.child:application",
            ],
            env=self.environment | {"RECEIVERS": receivers},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    requests.get(f"http://127.0.0.1:{port}{URL}", timeout=30)
                    break
                except requests.ConnectionError:
                    assert server.poll() is None, "gunicorn did not start"
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}{URL}"
        finally:
            server.terminate()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(5)


@pytest.fixture
def children(tmp_path: Path) -> Children:
    return Children(tmp_path)


def wait_for(condition: Callable[[], bool], patience: float = 20) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def test_killed_after_the_commit_and_before_delivery(children: Children) -> None:
    payment = make_payment()
    died = children.run("notify", body_of(payment).decode(), "after commit", receivers="a:ok,b:ok")
    assert (died.returncode, died.stdout) == (9, ""), died.stderr
    assert refresh(payment).status == "paid"
    assert children.told == {}
    assert SignalDelivery.objects.filter(state="pending").count() == 2
    # At once: nobody waits for the dead process's lease on its own machine.
    done = children.run("pagoefectivo_deliver", receivers="a:ok,b:ok")
    assert done.returncode == 0, done.stderr
    assert "2 delivered, 0 failed" in done.stdout
    assert children.told == {"a": 1, "b": 1}
    children.run("pagoefectivo_deliver", receivers="a:ok,b:ok")
    repeated = children.run("notify", body_of(payment).decode(), "", receivers="a:ok,b:ok")
    assert repeated.stdout.split() == ["200"]
    assert children.told == {"a": 1, "b": 1}


def test_killed_after_the_commit_in_worker_mode(children: Children) -> None:
    payment = make_payment()
    taken = children.run("notify", body_of(payment).decode(), "", SIGNAL_DELIVERY="worker")
    assert taken.stdout.split() == ["200"], taken.stderr
    assert children.told == {}
    children.run("pagoefectivo_deliver", SIGNAL_DELIVERY="worker")
    assert children.told == {"a": 1}


@pytest.mark.parametrize("earlier", [0, 1], ids=["usual", "with care"])
def test_killed_before_the_commit(children: Children, earlier: int) -> None:
    for _ in range(earlier):
        make_payment("cancelled", order_reference="A-1")
    payment = make_payment(order_reference="A-1")
    died = children.run("notify", body_of(payment).decode(), "before commit")
    assert (died.returncode, died.stdout) == (9, ""), died.stderr
    assert refresh(payment).status == "pending"
    assert WebhookEvent.objects.count() == SignalDelivery.objects.count() == 0
    repeated = children.run("notify", body_of(payment).decode(), "")
    assert repeated.stdout.split() == ["200"]
    assert refresh(payment).status == "paid"
    assert children.told == {"a": 1}


def test_killed_between_two_receivers(children: Children) -> None:
    """Who was told is not told again; who was not is told once."""
    payment = make_payment()
    died = children.run("notify", body_of(payment).decode(), "", receivers="a:ok,b:exit,c:ok")
    assert died.returncode == 7
    assert children.told == {"a": 1, "b": 1}
    children.run("pagoefectivo_deliver", receivers="a:ok,b:ok,c:ok")
    assert children.told == {"a": 1, "b": 2, "c": 1}


def test_killed_before_success_could_be_noted(children: Children) -> None:
    """The one case in which a receiver is called again after success."""
    payment = make_payment()
    died = children.run("notify", body_of(payment).decode(), "before bookkeeping")
    assert died.returncode == 9
    assert children.told == {"a": 1}
    children.run("pagoefectivo_deliver")
    children.run("pagoefectivo_deliver")
    assert children.told == {"a": 2}


def test_a_receiver_that_kills_its_process_does_not_starve_the_others(
    children: Children,
) -> None:
    """A crash in native code, out of memory, ``sys.exit``: the others still get told."""
    payment = make_payment()
    receivers = "a:exit,b:ok,c:ok"
    children.run("notify", body_of(payment).decode(), "", receivers=receivers)
    for _ in range(4):
        children.run("pagoefectivo_deliver", receivers=receivers)
    assert children.told["b"] == 1
    assert children.told["c"] == 1


def test_a_payment_behind_one_whose_receiver_kills_is_told(children: Children) -> None:
    one, two = make_payment(), make_payment()
    children.run("notify", body_of(one).decode(), "", receivers="a:exit")
    children.run("notify", body_of(two).decode(), "after commit", receivers="a:ok,b:ok")
    for _ in range(4):
        children.run("pagoefectivo_deliver", receivers="a:exit,b:ok")
    assert children.told["b"] == 1


@pytest.mark.parametrize("signal_number", [signal.SIGKILL])
def test_a_killed_gunicorn_worker(children: Children, signal_number: int) -> None:
    payment = make_payment()
    body = body_of(payment)
    receivers = "a:ok,b:sleep,c:ok"
    with children.gunicorn(receivers) as url:
        with pytest.raises(requests.RequestException):
            _post_and_kill(children, url, body, signal_number)
        assert refresh(payment).status == "paid"
        assert children.told == {"a": 1, "b": 1}
        Path(f"{children.told_file}.wake").touch()
        done = children.run("pagoefectivo_deliver", receivers=receivers)
        assert "2 delivered, 0 failed" in done.stdout, done.stdout + done.stderr
        assert children.told == {"a": 1, "b": 2, "c": 1}
        # PagoEfectivo got no answer and tries once more, at the new worker.
        again = requests.post(url, data=body, headers={"PE-Signature": hmac_of(body)}, timeout=30)
        assert (again.status_code, again.text) == (200, "duplicate")
    assert children.told == {"a": 1, "b": 2, "c": 1}
    assert WebhookEvent.objects.get().times_received == 2
    assert Payment.objects.paid().count() == 1


def _post_and_kill(children: Children, url: str, body: bytes, signal_number: int) -> None:
    import threading

    def kill() -> None:
        wait_for(lambda: children.told["b"] == 1)
        (line,) = [
            one for one in children.told_file.read_text().splitlines() if one.startswith("b ")
        ]
        os.kill(int(line.split()[1]), signal_number)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        answer = requests.post(url, data=body, headers={"PE-Signature": hmac_of(body)}, timeout=30)
        raise AssertionError(f"answered {answer.status_code} by a dead worker")
    finally:
        killer.join(30)

"""Ten installations, each broken in one way: the doctor or the rehearsal names the fault.

Each is a copy of the example shop's settings with one thing changed, examined by the commands
in processes of their own, as its owner would.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.testproject.test_testproject import PROJECT, environment, free_port

from .shops import Shop
from .shops import words as _words

pytestmark = pytest.mark.slow
OFFLINE = ("pagoefectivo_doctor", "--offline")
ONLINE = ("pagoefectivo_doctor",)
REHEARSE = ("pagoefectivo_rehearse", "--patience", "0.2")

ROLLED_BACK = """
DATABASES["default"]["ATOMIC_REQUESTS"] = True
MIDDLEWARE = ["breakages.rolled_back", *MIDDLEWARE]
"""

#: The breakage → what is changed in the settings, the command, its exit status, its words.
BREAKAGES: dict[str, tuple[str, tuple[str, ...], int, str]] = {
    "callback behind login": (
        'MIDDLEWARE = ["breakages.login_wall", *MIDDLEWARE]',
        REHEARSE,
        1,
        "redirects to the login page",
    ),
    "callback behind login, to the doctor": (
        'MIDDLEWARE = ["breakages.login_wall", *MIDDLEWARE]',
        OFFLINE,
        1,
        "[callback.login]",
    ),
    "receiver that raises": (
        'INSTALLED_APPS = ["warehouse.WarehouseConfig", *INSTALLED_APPS]',
        REHEARSE,
        1,
        "warehouse.raises was told 0 times (LookupError: the warehouse is away)",
    ),
    "locmem cache with two processes": ("", OFFLINE, 0, "[cache.shared]"),
    "sandbox on in production": (
        'PAGOEFECTIVO["MERCHANTS"]["default"] |= {"ENVIRONMENT": "production", "BASE_URL": None}',
        OFFLINE,
        1,
        "The sandbox app is installed while merchant default is in production",
    ),
    "sandbox on in production, to the rehearsal": (
        'PAGOEFECTIVO["MERCHANTS"]["default"] |= {"ENVIRONMENT": "production", "BASE_URL": None}',
        REHEARSE,
        2,
        "Merchant default is in production",
    ),
    "USE_TZ off": ("USE_TZ = False", REHEARSE, 2, "USE_TZ is off"),
    "USE_TZ off, to the doctor": ("USE_TZ = False", OFFLINE, 1, "[pagoefectivo.E006]"),
    "URL not included": (
        'ROOT_URLCONF = "urls_without"',
        REHEARSE,
        2,
        "The URLs of django-pagoefectivo are not included",
    ),
    "URL not included, to the doctor": (
        'ROOT_URLCONF = "urls_without"',
        OFFLINE,
        1,
        "[pagoefectivo.E010]",
    ),
    "ATOMIC_REQUESTS": (
        'DATABASES["default"]["ATOMIC_REQUESTS"] = True',
        OFFLINE,
        0,
        "[atomic-requests]",
    ),
    "ATOMIC_REQUESTS with an outer rollback": (
        ROLLED_BACK,
        REHEARSE,
        1,
        "a transaction is open around it",
    ),
    "delivery worker not running": (
        'PAGOEFECTIVO["SIGNAL_DELIVERY"] = "worker"',
        REHEARSE,
        1,
        "left to the delivery worker",
    ),
}


def test_nothing_is_broken(shop: Shop) -> None:
    done = shop.run("", *REHEARSE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "22 passed, 0 failed" in done.stdout
    done = shop.run("", *OFFLINE, CACHE_URL=f"filecache://{shop.folder}/cache")
    assert done.returncode == 0, done.stdout
    for name in ("cache.shared", "callback.login", "pagoefectivo.E", "atomic-requests"):
        assert f"[{name}" not in done.stdout


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_the_fault_is_named(shop: Shop, breakage: str) -> None:
    change, command, status, words = BREAKAGES[breakage]
    done = shop.run(change, *command)
    assert done.returncode == status, done.stdout + done.stderr
    assert words in _words(done), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_delivery_worker_that_stopped_is_named_by_the_doctor(shop: Shop) -> None:
    worker = 'PAGOEFECTIVO["SIGNAL_DELIVERY"] = "worker"'
    owed = """
        from datetime import timedelta
        from django.utils import timezone
        from django_pagoefectivo.testing import make_payment
        from django_pagoefectivo.models import SignalDelivery
        SignalDelivery.objects.create(
            payment=make_payment("paid"), signal="payment_confirmed", source="webhook",
            receiver="shop.mark_order_paid", due_at=timezone.now() - timedelta(hours=2),
        )
    """
    assert shop.run(worker, "shell", "-c", textwrap.dedent(owed)).returncode == 0
    done = shop.run(worker, *OFFLINE)
    assert done.returncode == 1
    assert "since 2 hours: the delivery worker is not running" in _words(done)


class _OffByAnHour(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response_only(404)
        date = datetime.now(UTC) + timedelta(hours=1)
        self.send_header("Date", format_datetime(date, usegmt=True))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_HEAD  # noqa: N815

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def an_hour_ahead() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OffByAnHour)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_clock_off_by_an_hour(shop: Shop, an_hour_ahead: str) -> None:
    change = f'PAGOEFECTIVO["MERCHANTS"]["default"]["BASE_URL"] = "{an_hour_ahead}/v1"'
    done = shop.run(change, *ONLINE)
    assert done.returncode == 1
    assert "clock is 60 minutes behind" in _words(done)


def test_wrong_key(shop: Shop, migrated: Path, tmp_path: Path) -> None:
    port = free_port()
    home = f"http://127.0.0.1:{port}"
    far_end = tmp_path / "far-end.sqlite3"
    shutil.copy(migrated, far_end)
    process = subprocess.Popen(
        [sys.executable, "-m", "walkthrough.server", str(port), "60"],
        cwd=PROJECT,
        env=environment(DATABASE_URL=f"sqlite:///{far_end}", SHOP_URL=home),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        change = 'PAGOEFECTIVO["MERCHANTS"]["default"]["SECRET_KEY"] = "wrong" * 8'
        done = shop.run(change, *ONLINE, SHOP_URL=home)
        right = shop.run("", *ONLINE, SHOP_URL=home)
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
    assert done.returncode == 1
    assert "[keys]" in done.stdout, done.stdout
    assert "wrongwrong" not in done.stdout + done.stderr
    # The same server, another key: it refuses the signature of the probe, too.
    assert "[keys]" not in right.stdout, right.stdout
    assert "is the webhook; a signed request arrives untouched" in _words(right)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    import socket
    import time

    ends = time.monotonic() + 30
    while time.monotonic() < ends and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the far end's server did not start")

"""The example shop: its demo, its own tests and its set-up, each as a user would run it.

It is another project with settings of its own, so everything runs in processes of its own.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "testproject"
PRODUCTION: dict[str, Any] = {
    "DEBUG": "off",
    "SECRET_KEY": "9c1f0b7a" * 8 + "-made-up",
    "ALLOWED_HOSTS": "shop.example",
    "SHOP_URL": "https://shop.example",
    "EMAIL_URL": "smtp://mail.example",
    "CACHE_URL": "rediscache://127.0.0.1:6379/0",
    "PAGOEFECTIVO_ENVIRONMENT": "production",
    "PAGOEFECTIVO_SERVICE_ID": "1234",
    "PAGOEFECTIVO_ACCESS_KEY": "TESTACCESSKEY0000001",
    "PAGOEFECTIVO_SECRET_KEY": "test-secret-key-not-real-0123456789abcdef",
}


def environment(**extra: str) -> dict[str, str]:
    """This process's, without what configures a shop."""
    ours = re.compile(
        r"(PAGOEFECTIVO|DJANGO|SECURE)_"
        r"|(DATABASE_URL|CACHE_URL|SHOP_URL|DEBUG|SECRET_KEY|ALLOWED_HOSTS|ENV_FILE)$"
    )
    kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
    # The package may be installed or not: it is this checkout's that is tried.
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    clean = {"PYTHONPATH": path, "PYTHONWARNINGS": "default", "ENV_FILE": os.devnull}
    return kept | clean | extra


def run(*arguments: str, timeout: int = 100, **extra: str) -> subprocess.CompletedProcess[str]:
    """A script of the project, run to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(*arguments: str, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """A script of the project that stays, ended afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-u", *arguments],
        cwd=PROJECT,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} never came:\n{read}")


@pytest.mark.slow
def test_the_demo_plays_a_whole_purchase() -> None:
    demo = run("demo.py")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    assert re.search(r"^CIP +\d{1,14}$", demo.stdout, re.MULTILINE)
    assert re.search(r"^Notification +applied, then duplicate$", demo.stdout, re.MULTILINE)
    assert re.search(r"^The shop +one confirmation of order QH\w{6}$", demo.stdout, re.MULTILINE)
    assert re.search(r"Done in [\d.]+ s", demo.stdout)


@pytest.mark.slow
def test_the_demo_is_not_led_astray_by_the_machines_own_settings(tmp_path: Path) -> None:
    own = tmp_path / "own.sqlite3"
    demo = run("demo.py", **PRODUCTION, DATABASE_URL=f"sqlite:///{own}")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert not own.exists()


@pytest.mark.slow
def test_a_demo_that_is_ended_leaves_no_server_behind() -> None:
    with started("demo.py", "--keep") as demo:
        read = read_until(demo, "stays at")
        home = re.findall(r"stays at (http://127\.0\.0\.1:\d+/)", read)[0]
        assert is_served(home)
        # Not even the chance to tidy up.
        demo.send_signal(signal.SIGKILL)
        demo.wait(60)
        deadline = time.monotonic() + 60
        while is_served(home) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_served(home)


def is_served(url: str) -> bool:
    try:
        return requests.get(url, timeout=60).ok
    except requests.ConnectionError:
        return False


@pytest.mark.slow
def test_a_demo_that_meets_a_fault_says_so_and_fails() -> None:
    script = (
        "import sys; sys.argv = ['demo.py']\n"
        "import demo\n"
        "home = demo._set_up\n"
        "def with_an_empty_shelf(folder):\n"
        "    address = home(folder)\n"
        "    from shop.models import Product\n"
        "    Product.objects.update(stock=0)\n"
        "    return address\n"
        "demo._set_up = with_an_empty_shelf\n"
        "demo.main()\n"
    )
    demo = run("-c", script)
    assert demo.returncode == 1
    assert "The demo failed after step 1: " in demo.stdout
    assert "Traceback" not in demo.stderr


@pytest.mark.slow
def test_serve_prepares_everything_and_serves(tmp_path: Path) -> None:
    port = free_port()
    with started(
        "serve.py",
        "--noreload",
        "--port",
        str(port),
        DATABASE_URL=f"sqlite:///{tmp_path / 'shop.sqlite3'}",
    ) as shop:
        read = read_until(shop, "development server at")
        assert "new account: user admin, password admin" in read
        assert f"http://127.0.0.1:{port}/sandbox/" in read
        home = f"http://127.0.0.1:{port}/"
        deadline = time.monotonic() + 60
        while not is_served(home) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "Baby alpaca scarf" in requests.get(home, timeout=60).text


# Database servers take their time to be made and emptied again.
@pytest.mark.timeout(300)
@pytest.mark.database
@pytest.mark.slow
def test_the_shops_own_tests_pass() -> None:
    extra: dict[str, Any] = {
        name: os.environ[name] for name in ("DATABASE_URL",) if name in os.environ
    }
    tests = run("-W", "error", "manage.py", "test", "--noinput", "shop", timeout=280, **extra)
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert re.search(r"^Ran [1-9]\d* tests", tests.stderr, re.MULTILINE)


@pytest.mark.parametrize("command", [("check",), ("makemigrations", "--check", "--dry-run")])
def test_the_project_is_in_order(command: tuple[str, ...], tmp_path: Path) -> None:
    done = run("manage.py", *command, DATABASE_URL=f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_project_is_fit_for_production() -> None:
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stdout + done.stderr


def test_production_has_no_sandbox_and_no_made_up_keys() -> None:
    script = (
        "from django.conf import settings as s\n"
        "print(s.USES_BUILT_IN_SANDBOX, 'django_pagoefectivo.sandbox' in s.INSTALLED_APPS,\n"
        "      sorted(s.PAGOEFECTIVO['MERCHANTS']['default']))"
    )
    incomplete = {
        name: value
        for name, value in PRODUCTION.items()
        if name not in ("PAGOEFECTIVO_SECRET_KEY", "PAGOEFECTIVO_ACCESS_KEY")
    }
    shown = run("-c", script, DJANGO_SETTINGS_MODULE="config.settings", **incomplete)
    assert shown.stdout.split() == ["False", "False", "['ENVIRONMENT',", "'SERVICE_ID']"]
    # What is missing is an error of the check, not filled up with what is public.
    checked = run("manage.py", "check", **incomplete)
    assert checked.returncode == 1
    assert "pagoefectivo.E002" in checked.stderr


def test_nobody_serves_with_the_public_secret_key() -> None:
    done = run("manage.py", "check", DEBUG="off")
    assert done.returncode == 1
    assert "SECRET_KEY" in done.stderr

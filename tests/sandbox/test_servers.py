"""A cut connection under the servers that people use, each started as they start it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests

from .conftest import Api

pytestmark = pytest.mark.slow

GUNICORN = [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:{port}"]
APPLICATION = "django.core.wsgi:get_wsgi_application()"
SERVERS = {
    "runserver": [sys.executable, "-m", "django", "runserver", "--noreload", "127.0.0.1:{port}"],
    "gunicorn-threads": [*GUNICORN, "--threads=4", APPLICATION],
    "gunicorn-sync": [*GUNICORN, "--workers=2", APPLICATION],
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("servers") / "db.sqlite3"
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{path}",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "PYTHONUNBUFFERED": "1",
    }
    migrate = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
    subprocess.run(migrate, env=environment, check=True)
    return environment


@contextmanager
def serving(command: list[str], environment: dict[str, str], log: Path) -> Iterator[str]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.format(port=port) for part in command],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _await(lambda: requests.get(f"{url}/sandbox/", timeout=20).status_code == 200)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _await(is_ready: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            if is_ready():
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
    pytest.fail("The server did not start.")


def arm(http: requests.Session, url: str, fault: str) -> None:
    page = http.get(f"{url}/sandbox/", timeout=20).text
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    fields = {
        "csrfmiddlewaretoken": found[1],
        "fault": fault,
        "operation": "create",
        "times": "1",
        "seconds": "",
    }
    answer = http.post(f"{url}/sandbox/faults/", data=fields, timeout=20)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", SERVERS)
def test_a_cut_connection(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    if name.startswith("gunicorn") and find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    log = tmp_path / "log"
    with serving(SERVERS[name], environment, log) as url, requests.Session() as http:
        api = Api(f"{url}/sandbox/v1", url, http).log_in()
        before = api.make()["cip"]
        for fault in ("cut-before", "cut-after"):
            arm(http, url, fault)
            # A client that only gave up waiting would raise ReadTimeout.
            with pytest.raises(requests.ConnectionError):
                api.create(transactionCode=f"{name}-{fault}")
        assert api.status(before) == 22, "the server goes on"
        page = http.get(f"{url}/sandbox/", timeout=20).text
        assert f"{name}-cut-after" in page
        assert f"{name}-cut-before" not in page
    assert "Traceback" not in log.read_text()

"""The tutorial is followed word for word, from the wheel, in an empty folder."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.docs.blocks import blocks_of

from .conftest import run

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Reader:
    """Somebody who does what the tutorial says, in ``folder``."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.blocks = [
            (block.language, block.code.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}") + "\n")
            for block in blocks_of("docs/tutorial.rst")
        ]
        self.taken = 0
        self.typed: list[str] = []
        self.constraints = folder / "constraints.txt"
        self.constraints.write_text(f"django-pagoefectivo @ {wheel.as_uri()}\n")

    def next(self, kind: str) -> str:
        found, code = self.blocks[self.taken]
        assert found == kind, code
        self.taken += 1
        return code

    def next_commands(self) -> list[str]:
        return [line.removeprefix("$ ") for line in self.next("console").splitlines()]

    def shell(self, *commands: str) -> str:
        """Run commands after what sets up a terminal: the environment and its variables."""
        script = "\n".join(["set -e", *self.typed, *commands])
        return run("bash", "-c", script, cwd=self.folder, PIP_CONSTRAINT=str(self.constraints))

    def type(self, *commands: str) -> None:
        for command in commands:
            if command.startswith((". ", "export ")):
                self.typed.append(command)
            else:
                self.shell(command)

    @contextmanager
    def server(self, command: str) -> Iterator[Path]:
        """Keep it running, on this reader's own port; yields what it writes."""
        output = self.folder / "server.log"
        script = "\n".join(
            ["set -e", *self.typed, f"exec {command} 127.0.0.1:{self.port} --noreload"]
        )
        with (
            output.open("w") as written,
            subprocess.Popen(
                ["bash", "-c", script],
                cwd=self.folder,
                stdout=written,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", "HOME": str(self.folder)},
            ) as process,
        ):
            try:
                self.wait_for(self.answers, output)
                yield output
            finally:
                process.terminate()
                process.wait(timeout=30)

    def answers(self) -> bool:
        try:
            requests.get(f"http://127.0.0.1:{self.port}/", timeout=5)
        except requests.ConnectionError:
            return False
        return True

    def wait_for(self, fact: Callable[[], bool], output: Path) -> None:
        until = time.monotonic() + 60
        while not fact():
            assert time.monotonic() < until, output.read_text()
            time.sleep(0.1)


def pay(cip_url: str) -> None:
    """Press the sandbox page's button that pays."""
    with requests.Session() as browser:
        page = browser.get(cip_url, timeout=30)
        assert page.status_code == 200, page.text
        form = re.search(r'<form[^>]*action="([^"]*pay[^"]*)"(.*?)</form>', page.text, re.DOTALL)
        assert form, page.text
        fields = {
            **dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form[2])),
            **dict(re.findall(r'<select name="([^"]+)"[^>]*>\s*<option value="([^"]*)"', form[2])),
        }
        answer = browser.post(urljoin(cip_url, form[1]), data=fields, timeout=30)
        assert answer.status_code == 200, answer.text


def test_the_tutorial_takes_a_payment(tmp_path: Path, wheel: Path) -> None:
    reader = Reader(tmp_path, wheel)
    settings = tmp_path / "myshop" / "settings.py"

    reader.type(*reader.next_commands())
    with settings.open("a") as file:
        file.write(reader.next("python"))
    (tmp_path / "myshop" / "urls.py").write_text(reader.next("python"))
    reader.type(*reader.next_commands())
    (runserver,) = reader.next_commands()
    ask = reader.next("python")

    def ask_for(order: str) -> tuple[str, str]:
        code = tmp_path / "ask.py"
        code.write_text(ask.replace("A-1001", order))
        told, page = reader.shell(f"python manage.py shell < {code}").splitlines()[-2:]
        return told.split()[-1], page

    with reader.server(runserver) as output:
        cip_url, page = ask_for("A-1001")
        assert "25.00" in requests.get(page, timeout=30).text
        pay(cip_url)
        reader.wait_for(lambda: requests.get(f"{page}status/", timeout=30).json()["paid"], output)

    reader.type(*reader.next_commands())
    (tmp_path / "orders" / "apps.py").write_text(reader.next("python"))
    with settings.open("a") as file:
        file.write(reader.next("python"))
    assert reader.taken == len(reader.blocks)
    with reader.server(runserver) as output:
        cip_url, _page = ask_for("A-1002")
        pay(cip_url)
        reader.wait_for(lambda: "paid: A-1002 25.00" in output.read_text(), output)
        assert output.read_text().count("paid:") == 1

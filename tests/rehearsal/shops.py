"""Copies of the example shop, each with a database of its own, and the commands run in them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.testproject.test_testproject import PROJECT, environment

MIDDLEWARE = """
    from django.db import transaction
    from django.http import HttpResponseRedirect


    def login_wall(get_response):
        def middleware(request):
            if request.path.startswith("/pagoefectivo/"):
                return HttpResponseRedirect(f"/accounts/login/?next={request.path}")
            return get_response(request)
        return middleware


    def rolled_back(get_response):
        def middleware(request):
            with transaction.atomic():
                response = get_response(request)
                transaction.set_rollback(True)
            return response
        return middleware
"""
RECEIVER = """
    from django.apps import AppConfig
    from django_pagoefectivo.signals import payment_confirmed


    def raises(**kwargs):
        raise LookupError("the warehouse is away")


    class WarehouseConfig(AppConfig):
        name = "warehouse"

        def ready(self):
            payment_confirmed.connect(raises, dispatch_uid="warehouse.raises")
"""
URLS = """
    from django.urls import include, path

    urlpatterns = [
        path("sandbox/", include("django_pagoefectivo.sandbox.urls")),
    ]
"""


class Shop:
    """A copy of the shop's settings, in a folder, with a database of its own."""

    def __init__(self, folder: Path, migrated: Path) -> None:
        self.folder = folder
        self.database = folder / "shop.sqlite3"
        shutil.copy(migrated, self.database)
        self.write("breakages", MIDDLEWARE)
        self.write("warehouse", RECEIVER)
        self.write("urls_without", URLS)

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.py").write_text(textwrap.dedent(text), "utf-8")

    def run(self, change: str, *command: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return self._run(change, command, extra)

    def run_piped(
        self, change: str, reader: str, *command: str
    ) -> subprocess.CompletedProcess[str]:
        """The same with ``reader``, a shell's command, behind its standard output."""
        return self._run(change, command, {}, f"set -o pipefail; {{}} | {reader}")

    def _run(
        self, change: str, command: tuple[str, ...], extra: dict[str, str], script: str = ""
    ) -> subprocess.CompletedProcess[str]:
        self.write("broken_settings", f"from config.settings import *\n\n{change}\n")
        return manage(
            *command,
            DJANGO_SETTINGS_MODULE="broken_settings",
            DATABASE_URL=f"sqlite:///{self.database}",
            path=str(self.folder),
            script=script,
            **extra,
        )


def manage(
    *command: str, path: str = "", script: str = "", **extra: str
) -> subprocess.CompletedProcess[str]:
    surroundings = environment(**extra)
    surroundings["PYTHONPATH"] = os.pathsep.join(
        filter(None, [path, str(PROJECT), surroundings["PYTHONPATH"]])
    )
    line = [sys.executable, "manage.py", *command]
    return subprocess.run(
        ["bash", "-c", script.format(shlex.join(line))] if script else line,
        cwd=PROJECT,
        env=surroundings,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=100,
        check=False,
    )


def words(done: subprocess.CompletedProcess[str]) -> str:
    """Its words in one line each, however they were wrapped."""
    return " ".join((done.stdout + done.stderr).split())

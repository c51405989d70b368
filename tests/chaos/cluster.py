"""Throw-away servers on this machine: PostgreSQL in a folder of its own, Redis in memory."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], patience: float = 30) -> bool:
    """Whether it came to that in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    path = shutil.which("postgres")
    return Path(path).parent if path else None


class SmallDisk:
    """A file system in memory that can be filled up."""

    SIZE = "64m"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, user: str | None) -> bool:
        """Whether there is one now."""
        self.folder.mkdir()
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs", str(self.folder)],
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if made.returncode == 0 and user:
            os.chown(self.folder, pwd.getpwnam(user).pw_uid, -1)
        return made.returncode == 0

    def fill(self) -> None:
        """Leave no room at all."""
        with suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"x" * 4096)

    def free(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False)
        self.folder.rmdir()


class PostgreSQL:
    """A cluster of its own. ``None`` from ``start`` where PostgreSQL is not installed."""

    def __init__(self, binaries: Path) -> None:
        self.binaries = binaries
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="pagoefectivo-chaos-"))
        self.data = self.folder / "data"
        # PostgreSQL does not run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
        self.process: subprocess.Popen[bytes] | None = None
        self.mounted = False

    @classmethod
    def start(cls) -> PostgreSQL | None:
        binaries = _binaries()
        if binaries is None:
            return None
        server = cls(binaries)
        server._run("initdb", "-D", server.data, "-U", "postgres", "-A", "trust", "--no-sync")
        with (server.data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"port = {server.port}\nlisten_addresses = '127.0.0.1'\n"
                f"unix_socket_directories = '{server.folder}'\n"
                "max_connections = 60\nshared_buffers = 64MB\nfsync = off\n"
                "deadlock_timeout = 100ms\nlog_min_messages = fatal\n"
            )
        server.up()
        return server

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [str(self.binaries / program), *map(str, arguments)],
            user=self.user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=120,
        )

    def up(self) -> None:
        self.process = subprocess.Popen(
            [str(self.binaries / "postgres"), "-D", str(self.data)],
            user=self.user,
            cwd=self.folder,
            stderr=(self.folder / "log").open("ab") if os.access(self.folder, os.W_OK) else None,
        )
        if not wait_for(self.answers, 60):
            raise RuntimeError("PostgreSQL did not start")

    def down(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT ends it at once as a crash would, SIGINT in good order."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def answers(self) -> bool:
        try:
            with self.connect() as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            dbname="postgres",
            autocommit=True,
            connect_timeout=2,
            application_name="chaos",
        )

    def execute(self, sql: str) -> list[Any]:
        """Run one statement from outside, also while everything is read-only."""
        with self.connect() as connection:
            connection.execute("SET default_transaction_read_only = off")
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def small_disk(self) -> Iterator[SmallDisk | None]:
        """Keep the app's tables on a small disk of their own for the time of the block.

        ``None`` where this process may not mount one.
        """
        disk = SmallDisk(self.folder / "disk")
        if not disk.mount(self.user):
            yield None
            return
        tables = [
            name
            for (name,) in self.execute(
                "SELECT tablename FROM pg_tables WHERE tablename LIKE 'pagoefectivo_%'"
            )
        ]
        self.execute(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
        self._move(tables, "small")
        try:
            yield disk
        finally:
            disk.free()
            self._move(tables, "pg_default")
            self.execute("DROP TABLESPACE small")
            disk.unmount()

    def _move(self, tables: list[str], tablespace: str) -> None:
        for table in tables:
            self.execute(f"ALTER TABLE {table} SET TABLESPACE {tablespace}")

    def remove(self) -> None:
        with suppress(Exception):
            self.down()
        shutil.rmtree(self.folder, ignore_errors=True)


class Redis:
    """A Redis that keeps nothing."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def up(self) -> None:
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""],
            cwd=tempfile.gettempdir(),
            stdout=subprocess.DEVNULL,
        )
        if not wait_for(self._answers):
            raise RuntimeError("Redis did not start")

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def down(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

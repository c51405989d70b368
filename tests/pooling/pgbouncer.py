"""A throw-away PgBouncer before the tests' PostgreSQL, in transaction mode."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

#: Few, so that clients have to share them; and taken in turn, so that one transaction of a
#: client hardly ever meets the session of the one before.
SESSIONS = 4


def find() -> str | None:
    """Where PgBouncer is; Debian keeps it from the path of ordinary users."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _write_files(database: Mapping[str, Any], folder: Path, port: int) -> Path:
    server = {
        "host": database["HOST"] or "127.0.0.1",
        "port": database["PORT"] or 5432,
        "user": database["USER"],
        "password": database["PASSWORD"],
    }
    parts = " ".join(f"{name}={_quoted(value)}" for name, value in server.items() if value)
    users = folder / "users.txt"
    users.write_text(f'"{database["USER"]}" ""\n')
    file = folder / "pgbouncer.ini"
    file.write_text(
        f"""
[databases]
* = {parts}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {SESSIONS}
max_client_conn = 200
server_round_robin = 1
"""
    )
    return file


@contextmanager
def running(database: Mapping[str, Any], folder: Path) -> Iterator[int]:
    """PgBouncer before the server of ``database``, Django's settings of it; its port."""
    program = find()
    assert program is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # It refuses to run as root, and gives its rights up once it has read its files.
    as_somebody = ["-u", "nobody"] if os.geteuid() == 0 else []
    with (folder / "pgbouncer.log").open("wb") as log:
        server = subprocess.Popen(
            [program, "-q", *as_somebody, str(_write_files(database, folder, port))],
            stdout=log,
            stderr=log,
        )
    try:
        _open_all_sessions(server, database, port)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(10)


def _open_all_sessions(
    server: subprocess.Popen[bytes], database: Mapping[str, Any], port: int
) -> None:
    """As many transactions at once as there are sessions, so that all of them are open."""
    import psycopg

    open_now: list[psycopg.Connection[Any]] = []
    deadline = time.monotonic() + 30
    while len(open_now) < SESSIONS:
        try:
            client = psycopg.connect(
                host="127.0.0.1", port=port, user=database["USER"], dbname=database["NAME"]
            )
        except psycopg.OperationalError:
            assert server.poll() is None, "PgBouncer did not start"
            assert time.monotonic() < deadline, "PgBouncer does not answer"
            time.sleep(0.05)
            continue
        client.execute("SELECT 1")
        open_now.append(client)
    for client in open_now:
        # Who hangs up inside a transaction takes the session along.
        client.rollback()
        client.close()

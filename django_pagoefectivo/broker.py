"""Sending Celery messages from a web request: little patience, no loop, nothing raised.

Celery's own connection pool tries again for as long as it is told to, which is right for a
worker and wrong for a webhook that PagoEfectivo waits for. What cannot be sent at once is
left to the sweep, which finds every call that is owed in the database.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.app import app_or_default
from kombu import Connection
from kombu.exceptions import OperationalError

from .logs import logger_for

logger = logger_for("django_pagoefectivo.delivery")

#: Seconds to connect, and to have a message taken.
PATIENCE = 1.0
#: Seconds in which a broker that was away is not asked again by this process.
PAUSE = 10.0
#: Connections kept open; more threads than that open and close their own.
_KEPT = 10


#: Celery knows its app in the thread that made it; a thread of a web server gets an empty one.
_app_at_start: Celery = app_or_default()


def celery_app() -> Celery:
    """The project's Celery app, from whichever thread."""
    here: Celery = app_or_default()
    return _app_at_start if is_nobodys(here) else here


def is_nobodys(app: Celery) -> bool:
    """Whether ``app`` is the one Celery makes up where a project has none."""
    return app.main == "default"


class _Process:
    """The idle connections of this process, and until when the broker is left alone."""

    idle: deque[Connection] = deque()
    pid: int = 0
    silent_until: float = 0.0
    lock = threading.Lock()


def publish(task: str, ids: Iterable[int], *, expires: float | None = None) -> bool:
    """Send a message to the task called ``task`` for each of ``ids``; whether all were taken.

    A message holds the id and nothing else. After ``expires`` seconds in the queue it is
    dropped.
    """
    app = celery_app()
    if app.conf.task_always_eager:
        for pk in ids:
            app.tasks[task].apply_async((pk,))
        return True
    if time.monotonic() < _Process.silent_until:
        return False
    try:
        _send(app, [_Message(task, pk, expires) for pk in ids])
    except Exception as error:
        # A broker's client may raise anything; the calls are owed in the database.
        _Process.silent_until = time.monotonic() + PAUSE
        logger.warning(
            "The Celery broker is away (%s); its work is done when the next sweep finds it.",
            type(error).__name__,
            exc_info=not isinstance(error, OperationalError | OSError),
        )
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Message:
    task: str
    id: int
    expires: float | None


def _send(app: Celery, messages: Sequence[_Message]) -> None:
    connection, is_used = _take(app)
    try:
        _send_over(app, connection, messages)
    except Exception:
        connection.collect(socket_timeout=PATIENCE)
        # One that lay idle may have been closed by the broker, which says nothing about now.
        if not is_used:
            raise
    else:
        _give_back(connection)
        return
    fresh = _connect(app)
    try:
        _send_over(app, fresh, messages)
    except Exception:
        fresh.collect(socket_timeout=PATIENCE)
        raise
    _give_back(fresh)


def _send_over(app: Celery, connection: Connection, messages: Sequence[_Message]) -> None:
    with app.amqp.Producer(connection) as producer:
        for message in messages:
            app.tasks[message.task].apply_async(
                (message.id,),
                producer=producer,
                retry=False,
                expires=message.expires,  # type: ignore[arg-type]
            )


def _connect(app: Celery) -> Connection:
    options: dict[str, Any] = {
        # Of kombu: how often to try to connect.
        "max_retries": 0,
        "connect_retries_timeout": PATIENCE,
    }
    transport = app.connection_for_write().transport.driver_type
    if transport == "redis":
        options |= {
            "socket_connect_timeout": PATIENCE,
            "socket_timeout": PATIENCE,
            "retry_on_timeout": False,
        }
    elif transport == "amqp":
        # Without the broker's word for it, what went into a dead connection counts as sent.
        options |= {"read_timeout": PATIENCE, "write_timeout": PATIENCE, "confirm_publish": True}
    connection: Connection = app.connection_for_write(
        connect_timeout=PATIENCE, transport_options=options
    )
    return connection


def _take(app: Celery) -> tuple[Connection, bool]:
    """A connection and whether it was used before."""
    with _Process.lock:
        if _Process.pid != os.getpid():
            # Sockets are not shared across a fork.
            _Process.idle.clear()
            _Process.pid = os.getpid()
        if _Process.idle:
            return _Process.idle.pop(), True
    return _connect(app), False


def _give_back(connection: Connection) -> None:
    with _Process.lock:
        if len(_Process.idle) < _KEPT:
            _Process.idle.append(connection)
            return
    connection.release()


def close_connections() -> None:
    """Close what this process keeps open to the broker, and forget that it was away."""
    with _Process.lock:
        waiting = list(_Process.idle)
        _Process.idle.clear()
        _Process.silent_until = 0.0
    for connection in waiting:
        connection.release()

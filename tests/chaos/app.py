"""What runs in the processes that are broken: web workers, deliverers, pollers.

Everything that kills, hangs or lies about the time is in here, none of it in the package.
``CHAOS_LOG`` is where calls of receivers and deaths are written, one line each:

``begin RECEIVER PAYMENT PID``, ``end …``, ``noted …`` (the success is in the database),
``died WHERE WHAT PID``.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

import django

from tests.chaos import RECEIVERS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.chaos.settings")
LOG = os.environ.get("CHAOS_LOG", os.devnull)


def write(*words: object) -> None:
    """Append one line whole."""
    file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (" ".join(map(str, words)) + "\n").encode())
    os.close(file)


def _receiver(name: str) -> Any:
    hanging = os.environ.get("CHAOS_HANGS") == name

    def receive(sender: Any, payment: Any, **kwargs: Any) -> None:
        assert payment.status == "paid"
        write("begin", name, payment.pk, os.getpid())
        if hanging and payment.pk % 50 == 0 and not Path(LOG + ".wake").exists():
            while True:
                time.sleep(3600)
        write("end", name, payment.pk, os.getpid())

    return receive


def connect_receivers() -> None:
    from django_pagoefectivo.signals import payment_confirmed

    for name in RECEIVERS:
        payment_confirmed.connect(_receiver(name), weak=False, dispatch_uid=f"chaos.{name}")


def note_successes() -> None:
    """Write down each success that is in the database, to tell which repeats are wrong."""
    from django_pagoefectivo.models import SignalDelivery
    from django_pagoefectivo.services import delivery

    call = vars(delivery)["_call"]

    def call_and_note(row: Any, **kwargs: Any) -> bool:
        succeeded = bool(call(row, **kwargs))
        if succeeded and SignalDelivery.objects.filter(pk=row.pk, state="done").exists():
            write("noted", row.receiver.removeprefix("chaos."), row.payment_id, os.getpid())
        return succeeded

    vars(delivery)["_call"] = call_and_note


def die_at_commit_points(chance: float) -> None:
    """SIGKILL this process now and then: around each commit and each writing statement."""
    from django.db import connection
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.signals import connection_created

    generator = random.Random(os.getpid())
    # A process that was forked from another that has drawn already would die at once or never.
    os.register_at_fork(after_in_child=lambda: generator.seed(os.getpid()))

    def die_perhaps(where: str, what: str) -> None:
        if generator.random() < chance:
            write("died", where, what, os.getpid())
            os.kill(os.getpid(), signal.SIGKILL)

    commit = vars(BaseDatabaseWrapper)["_commit"]

    def commit_or_die(self: Any) -> None:
        die_perhaps("before", "COMMIT")
        commit(self)
        die_perhaps("after", "COMMIT")

    BaseDatabaseWrapper._commit = commit_or_die  # type: ignore[attr-defined]

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        words = sql.replace('"', " ").split()
        if words[0] not in ("INSERT", "UPDATE", "DELETE", "WITH"):
            return run(sql, params, many, context)
        table = next((word for word in words if word.startswith("pagoefectivo_")), "?")
        what = f"{words[0]}_{table.removeprefix('pagoefectivo_')}"
        die_perhaps("before", what)
        result = run(sql, params, many, context)
        die_perhaps("after", what)
        return result

    def wrap(sender: Any, connection: Any, **kwargs: Any) -> None:
        if execute not in connection.execute_wrappers:
            connection.execute_wrappers.append(execute)

    connection_created.connect(wrap, weak=False, dispatch_uid="chaos")
    connection.close()


def jumping_clock(file: Path) -> None:
    """The time is off by as many seconds as the file says, from now on and for all."""
    from django.utils import timezone

    now = timezone.now

    def wrong_now() -> Any:
        from datetime import timedelta

        return now() + timedelta(seconds=float(file.read_text() or 0))

    timezone.now = wrong_now


def set_up() -> None:
    """Django with the receivers and the faults that the environment asks for."""
    if "CHAOS_BROKER" in os.environ:
        import_module("tests.chaos.celery_app")
    django.setup()
    from datetime import timedelta

    from django_pagoefectivo.services import breaker, delivery

    # Nobody watches for an hour whether a call that was interrupted four times is made.
    delivery.FIRST_RETRY = timedelta(seconds=0.5)
    connect_receivers()
    note_successes()
    if chance := os.environ.get("CHAOS_DIE"):
        die_at_commit_points(float(chance))
    if clock := os.environ.get("CHAOS_CLOCK"):
        jumping_clock(Path(clock))
    if lease := os.environ.get("CHAOS_LEASE"):
        delivery.LEASE = timedelta(seconds=float(lease))
    if head_start := os.environ.get("CHAOS_HEAD_START"):
        delivery.HEAD_START = timedelta(seconds=float(head_start))
    if pause := os.environ.get("CHAOS_PAUSE"):
        breaker.PAUSE = int(pause)


def keep_running(work: list[str]) -> None:
    """Supervise one child that runs a management command; start it again when it dies."""
    from django.core.management import call_command
    from django.db import connections

    connections.close_all()
    stopping: list[int] = []

    def stop(number: int, frame: Any) -> None:
        stopping.append(number)
        if child:
            os.kill(child, signal.SIGKILL)

    child = 0
    signal.signal(signal.SIGTERM, stop)
    while not stopping:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                call_command(*work)
            except Exception:  # noqa: BLE001
                traceback.print_exc()
            finally:
                os._exit(1)
        write("started", work[0], child)
        os.waitpid(child, 0)
        time.sleep(0.05)


if __name__ == "__main__":
    set_up()
    keep_running(sys.argv[1:])
else:
    set_up()
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    if "CHAOS_BROKER" in os.environ:
        # For ``celery -A tests.chaos.app:queue``.
        queue = import_module("tests.chaos.celery_app").app
        queue.autodiscover_tasks(["django_pagoefectivo"], force=True)

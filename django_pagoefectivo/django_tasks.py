"""Tasks of Django's own framework, for ``"tasks"`` in the settings. Needs Django 6.0.

They go to the ``default`` backend of ``TASKS``. Arguments are ids, never a secret or
personal data, and nothing is returned. Each may run twice, late or never: what it works on
is claimed in the database, and ``pagoefectivo_deliver`` and ``pagoefectivo_bulk`` find what
was lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

try:
    from django.tasks import Task, task
except ImportError as error:
    raise ImportError("Deliveries by Django's own tasks need Django 6.0 or newer.") from error

from .logs import logger_for
from .services.delivery import deliver_one
from .services.jobs import run as run_job
from .services.polling import poll as run_poll
from .services.pruning import prune as run_prune

logger = logger_for("django_pagoefectivo.tasks")

#: Seconds in which a backend that took nothing is not asked again by this process.
PAUSE = 10.0


@task
def deliver(delivery_id: int) -> None:
    """Call the one receiver that delivery ``delivery_id`` owes a call, if it is due.

    A receiver that raises is tried again by ``pagoefectivo_deliver``.
    """
    deliver_one(delivery_id)


@task
def poll() -> None:
    """Ask PagoEfectivo about the open payments that are due for it."""
    run_poll()


@task
def prune() -> None:
    """Drop the exchanges and refused notifications that ``RETENTION`` lets go."""
    run_prune()


@task
def run_bulk_job(job_id: int) -> None:
    """Work on bulk job ``job_id`` to its end, unless another worker does."""
    run_job(job_id)


class _Process:
    """Until when this process leaves the backend alone."""

    silent_until: float = 0.0


def start_deliveries(delivery_ids: Iterable[int]) -> bool:
    """Have workers make these calls; whether the backend took them all. Raises nothing."""
    return _enqueue(deliver, delivery_ids)


def start_bulk_job(job_id: int) -> bool:
    """Have a worker run bulk job ``job_id``; whether the backend took it. Raises nothing."""
    return _enqueue(run_bulk_job, (job_id,))


def _enqueue(work: Task[[int], None], ids: Iterable[int]) -> bool:
    if time.monotonic() < _Process.silent_until:
        return False
    try:
        for pk in ids:
            work.enqueue(pk)
    except Exception as error:
        # A backend may raise anything; the work is owed in the database.
        _Process.silent_until = time.monotonic() + PAUSE
        logger.warning(
            "The task backend takes nothing (%s); its work is done when the command finds it.",
            type(error).__name__,
        )
        return False
    return True


def ask_again() -> None:
    """Forget that the backend took nothing a moment ago."""
    _Process.silent_until = 0.0

"""Celery tasks, found by ``app.autodiscover_tasks()``. Needs the extra ``celery``.

Each does what the management command of the same purpose does, in bounded pieces. Arguments
are ids, never a secret or personal data, and nothing is kept as a result. Every task may
run twice or die half-way: it is acknowledged when it is done, and what it works on is
claimed in the database.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import DatabaseError

from .conf import get_config
from .extras import from_extra
from .logs import logger_for
from .services.delivery import LEASE, deliver_due, deliver_one, due_ids
from .services.heartbeat import Duty, beat
from .services.jobs import due_jobs
from .services.jobs import run as run_job
from .services.polling import poll as run_poll
from .services.pruning import prune as run_prune

with from_extra("celery", "Deliveries and bulk jobs by Celery need Celery"):
    from celery import shared_task

    from .broker import publish

logger = logger_for("django_pagoefectivo.tasks")

#: A receiver is interrupted before another worker may take it for dead.
_RECEIVER_TIME = LEASE - timedelta(seconds=30)
#: How many calls one sweep wakes workers for. The next sweep goes on.
SWEEP_LIMIT = 1000
#: Seconds after which a sweep's message is dropped, because the next sweep sends another:
#: the queue stays short while no worker is there.
SWEEP_EXPIRES = 55.0

#: What every task is: at least once, repeated a few times while the database is away, with
#: growing pauses and jitter.
_OPTIONS: dict[str, Any] = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "ignore_result": True,
    "autoretry_for": (DatabaseError,),
    "max_retries": 5,
    "retry_backoff": 2,
    "retry_backoff_max": 60,
    "retry_jitter": True,
}


@shared_task(
    name="pagoefectivo.deliver",
    soft_time_limit=int(_RECEIVER_TIME.total_seconds()),
    time_limit=int(LEASE.total_seconds()),
    **_OPTIONS,
)
def deliver(delivery_id: int) -> None:
    """Call the one receiver that delivery ``delivery_id`` owes a call, if it is due.

    A receiver that raises is tried again by the sweep, with the backoff of the queue.
    """
    deliver_one(delivery_id)


@shared_task(name="pagoefectivo.sweep", **_OPTIONS)
def sweep() -> None:
    """Find what is due and have it done: the safety net, once a minute.

    With ``SIGNAL_DELIVERY = "celery"`` each call is a task of its own; else they are made
    here. With ``BACKGROUND = "celery"`` bulk jobs that nobody works on are taken up.
    """
    config = get_config()
    if config.signal_delivery == "celery":
        publish(deliver.name, due_ids(SWEEP_LIMIT), expires=SWEEP_EXPIRES)
        beat(Duty.DELIVER)
    else:
        deliver_due(limit=SWEEP_LIMIT)
    if config.background == "celery":
        jobs = due_jobs().values_list("pk", flat=True)
        publish(run_bulk_job.name, jobs, expires=SWEEP_EXPIRES)


@shared_task(name="pagoefectivo.poll", **_OPTIONS)
def poll() -> None:
    """Ask PagoEfectivo about the open payments that are due for it."""
    report = run_poll().sync
    logger.log(
        logging.WARNING if report.errors else logging.INFO,
        "%d payments asked about in %d calls, %d changed, %d failed, %d left by POLL_RATE",
        report.asked,
        report.calls,
        report.changed,
        report.failed,
        report.left,
    )


@shared_task(name="pagoefectivo.prune", **_OPTIONS)
def prune() -> None:
    """Drop the exchanges and refused notifications that ``RETENTION`` lets go."""
    report = run_prune()
    logger.info(
        "%d exchanges and %d refused notifications dropped",
        report.exchanges,
        report.rejected_events,
    )


@shared_task(name="pagoefectivo.run_bulk_job", **_OPTIONS)
def run_bulk_job(job_id: int) -> None:
    """Work on bulk job ``job_id`` to its end, unless another worker does."""
    run_job(job_id)


def start_deliveries(delivery_ids: Iterable[int]) -> bool:
    """Have workers make these calls; whether the broker took them all. Raises nothing."""
    return publish(deliver.name, delivery_ids)


def start_bulk_job(job_id: int) -> bool:
    """Have a worker run bulk job ``job_id``; whether the broker took it. Raises nothing."""
    return publish(run_bulk_job.name, (job_id,))

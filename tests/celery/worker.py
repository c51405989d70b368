"""The Celery app of these tests: ``BROKER`` and ``QUEUE`` come from the environment.

``celery -A tests.celery.worker worker`` is a worker whose receivers write down that they
were called, as in the tests of processes that are killed.
"""

from __future__ import annotations

import json
import os

from celery import Celery

from tests.promises import child

app = Celery("tests", set_as_current=False)
app.conf.update(
    broker_url=os.environ["BROKER"],
    task_default_queue=os.environ["QUEUE"],
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    task_create_missing_queues=True,
    beat_schedule=json.loads(os.environ.get("SCHEDULE", "{}")),
)
app.set_default()
app.autodiscover_tasks(["django_pagoefectivo"], force=True)

__all__ = ["app", "child"]

"""The Celery app of the scenario in which Redis dies."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("chaos", set_as_current=False)
app.conf.update(
    broker_url=os.environ["CHAOS_BROKER"],
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2},
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=1,
    beat_schedule={
        "sweep": {"task": "pagoefectivo.sweep", "schedule": 1.0, "options": {"expires": 0.9}}
    },
)
app.set_current()
app.set_default()

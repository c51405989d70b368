"""Waking a task queue for calls that are owed.

The rows in the database stay the queue. A message only brings a worker to its row sooner,
so one that is lost, late or doubled changes nothing: the next sweep wakes again, and a row
is claimed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from django.utils.module_loading import import_string

from ..logs import logger_for

logger = logger_for("django_pagoefectivo.delivery")

Publisher = Callable[[Iterable[int]], bool]

#: ``SIGNAL_DELIVERY`` → who sends the messages. Named by path: the library behind it may not
#: be there, and is loaded in no process that does not use it.
_PUBLISHERS = {
    "celery": "django_pagoefectivo.tasks.start_deliveries",
    "tasks": "django_pagoefectivo.django_tasks.start_deliveries",
}


def hands_over(mode: str) -> bool:
    """Whether ``SIGNAL_DELIVERY`` is one that a task queue works on."""
    return mode in _PUBLISHERS


def wake(mode: str, delivery_ids: Iterable[int]) -> bool:
    """Ask the task queue of ``mode`` to make these calls; whether it took them all.

    Raises nothing for a queue that is away, or where the library that sends is not installed.
    """
    try:
        publish = cast("Publisher", import_string(_PUBLISHERS[mode]))
    except ImportError as error:
        logger.warning(
            "%s Until then pagoefectivo_deliver makes the calls that SIGNAL_DELIVERY = %r owes.",
            error,
            mode,
        )
        return False
    return publish(delivery_ids)

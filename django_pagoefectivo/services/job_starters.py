"""Whom ``BACKGROUND`` has told of a new job."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import get_config
from ..logs import logger_for

logger = logger_for("django_pagoefectivo.jobs")

#: ``BACKGROUND`` → who is told of a new job. Named by path: the library behind it may not be
#: there, and is loaded in no process that does not use it.
_STARTERS = {
    "celery": "django_pagoefectivo.tasks.start_bulk_job",
    "tasks": "django_pagoefectivo.django_tasks.start_bulk_job",
}


def has_background() -> bool:
    """Whether ``BACKGROUND`` lets staff leave work to a job."""
    try:
        return get_config().background is not None
    except ImproperlyConfigured:
        return False


def starter() -> Callable[[int], object] | None:
    """Who is told of a new job; ``None`` where nobody is.

    Raises ``ImproperlyConfigured`` for a wrong setting.
    """
    mode = get_config().background
    if mode in (None, "command"):
        return None
    try:
        start = mode if callable(mode) else import_string(_STARTERS.get(mode, mode))
    except ImportError as error:
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO["BACKGROUND"] is {mode!r}, which cannot be imported: {error}'
        ) from None
    return cast("Callable[[int], object]", start)


def start_by(start: Callable[[int], object], pk: int) -> None:
    """Tell of job ``pk``; a queue that is away is logged and no error."""
    try:
        start(pk)
    except Exception as error:
        # A queue's client may raise anything, and the job is safe in the database.
        logger.warning(
            "Bulk job %s could not be handed over (%s); pagoefectivo_bulk will find it.",
            pk,
            type(error).__name__,
        )

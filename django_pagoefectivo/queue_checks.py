"""System checks of the task queue that ``SIGNAL_DELIVERY`` or ``BACKGROUND`` names."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import django
from django.apps import AppConfig
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from .conf import get_config


def uses_celery() -> bool:
    """Whether the settings name Celery and it is installed."""
    return _is_named("celery") and importlib.util.find_spec("celery") is not None


def _is_named(queue: str) -> bool:
    # What else is wrong with the settings is for the other checks to say.
    with suppress(ImproperlyConfigured):
        config = get_config()
        return queue in (config.signal_delivery, config.background)
    return False


def check_celery(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E020, W021: the messages that wake Celery have somewhere to go."""
    if not _is_named("celery"):
        return []
    if not uses_celery():
        return [
            Error(
                'SIGNAL_DELIVERY or BACKGROUND is "celery", but Celery is not installed: '
                "receivers would be called late, and bulk jobs would not begin.",
                hint='Install it with pip install "django-pagoefectivo[celery]".',
                id="pagoefectivo.E020",
            )
        ]
    broker = import_module("django_pagoefectivo.broker")
    if broker.is_nobodys(broker.celery_app()):
        return [
            CheckWarning(
                'SIGNAL_DELIVERY or BACKGROUND is "celery", but this process knows no Celery '
                "app of the project, so messages go to a broker on this machine that may not be "
                "there.",
                hint="Import your Celery app in the __init__.py of the project, as Celery's "
                "guide for Django says.",
                id="pagoefectivo.W021",
            )
        ]
    return []


def check_tasks(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E022: Django has a task framework, and a backend that takes these tasks."""
    if not _is_named("tasks"):
        return []
    if django.VERSION < (6, 0):
        problem = f"Django {django.get_version()} has no task framework"
        hint = 'Use Django 6.0 or newer, or "worker" or "celery".'
    else:
        refusals = import_module("django.tasks.exceptions")
        try:
            import_module("django_pagoefectivo.django_tasks")
        except (refusals.InvalidTask, refusals.InvalidTaskBackend) as error:
            problem = str(error).rstrip(".")
            hint = 'Let the backend "default" in TASKS have a queue "default".'
        else:
            return []
    return [
        Error(
            f'SIGNAL_DELIVERY or BACKGROUND is "tasks", but {problem}: receivers would be called '
            "late, and bulk jobs would not begin.",
            hint=hint,
            id="pagoefectivo.E022",
        )
    ]


def check_task_backend(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """W023: the tasks go to a worker, not to Django's backends for development."""
    if not _is_named("tasks") or check_tasks():
        return []
    tasks = import_module("django.tasks")
    kind = type(tasks.task_backends[tasks.DEFAULT_TASK_BACKEND_ALIAS]).__name__
    consequence = {
        "ImmediateBackend": "runs them in the request, bulk jobs included",
        "DummyBackend": "runs none",
    }.get(kind)
    if consequence is None:
        return []
    return [
        CheckWarning(
            f'SIGNAL_DELIVERY or BACKGROUND is "tasks", but the default backend in TASKS is '
            f"Django's {kind}, which {consequence}.",
            hint='Name a backend that has workers, or use "inline" or "worker".',
            id="pagoefectivo.W023",
        )
    ]

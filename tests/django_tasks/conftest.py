"""Where these tasks go: Django's own backends, and one that is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest

from tests.promises.conftest import _own_urls, probe

__all__ = ["_own_urls", "probe"]

IN_DJANGO = "django.tasks.backends"
AWAY = "tests.django_tasks.backends.Away"


@pytest.fixture
def backend(settings: Any, configure: Callable[..., None]) -> Iterator[Callable[[str], Any]]:
    """Make a class the backend of all tasks, and get it."""
    if django.VERSION < (6, 0):
        pytest.skip("this Django has no task framework")
    from django.tasks import default_task_backend

    settings.TASKS = {"default": {"BACKEND": f"{IN_DJANGO}.dummy.DummyBackend"}}
    from django_pagoefectivo import django_tasks

    def use(path: str) -> Any:
        settings.TASKS = {"default": {"BACKEND": path}}
        return default_task_backend

    configure(SIGNAL_DELIVERY="tasks", BACKGROUND="tasks")
    django_tasks.ask_again()
    yield use
    django_tasks.ask_again()

"""A backend whose server is away."""

from __future__ import annotations

from typing import Any

from django.tasks.backends.base import BaseTaskBackend


class Away(BaseTaskBackend):
    """Raises what a client of some server may raise, and counts how often it was asked."""

    asked = 0

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        type(self).asked += 1
        raise ConnectionError("nobody there")

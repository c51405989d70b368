"""Interrupting what does not come back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType


class TookTooLong(TimeoutError):
    """The time for a piece of work was over, and it was interrupted."""


@contextmanager
def time_limit(limit: timedelta | None) -> Iterator[None]:
    """Raise ``TookTooLong`` in the block after ``limit``; ``None``: never.

    Only a process's main thread can be interrupted, and only where the alarm is not in use
    already; elsewhere there is no limit. Code that never gets back to Python is not
    interrupted either.
    """
    if (
        limit is None
        or threading.current_thread() is not threading.main_thread()
        or signal.getitimer(signal.ITIMER_REAL)[0]
    ):
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"It did not come back within {limit.total_seconds():g} seconds.")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

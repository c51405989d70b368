"""How long a receiver is waited for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from typing import TypeVar

from ..services.delivery import receivers_limited

#: Longer than any answer to PagoEfectivo may take; the sandbox gives up at the same time.
RECEIVER_TIME = timedelta(seconds=20)
T = TypeVar("T")


def limited(play: Generator[T, None, None]) -> Generator[T, None, None]:
    """What ``play`` yields; each receiver it calls in this process is interrupted in time."""
    with closing(play):
        while True:
            with receivers_limited(RECEIVER_TIME):
                try:
                    one = next(play)
                except StopIteration:
                    return
            yield one

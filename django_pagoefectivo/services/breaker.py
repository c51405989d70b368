"""Leaving PagoEfectivo alone while it does not answer.

Each question that gets no answer keeps a worker or a shopper waiting for the whole timeout.
After a few in a row nobody asks for a short while; then whoever comes first tries, and one
answer is enough to go on. All processes share what they found out through the cache; with a
cache that is away each question is asked, as if this were not here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.cache import BaseCache, caches

from ..exceptions import GatewayUnavailable
from ..logs import logger_for

logger = logger_for("django_pagoefectivo.gateway")

#: Unanswered questions in a row before nobody asks for a while.
LIMIT = 3
#: Seconds for which nobody asks.
PAUSE = 30
#: Seconds after which older failures no longer count.
_MEMORY = 300


class Paused(GatewayUnavailable):
    """Not asked, because PagoEfectivo has not answered lately."""


class Breaker:
    """Whether one merchant's questions are answered at the moment.

    ``cache`` is the alias of the Django cache that is shared.
    """

    def __init__(self, merchant: str, cache: str) -> None:
        self.merchant = merchant
        self._alias = cache
        self._failures = f"pagoefectivo:unanswered:{merchant}"
        self._until = f"pagoefectivo:paused:{merchant}"

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around one question. Raises ``Paused`` instead of asking while nobody should."""
        self.check()
        try:
            yield
        except GatewayUnavailable:
            self._failed()
            raise
        self._answered()

    def check(self) -> None:
        """Raise ``Paused`` while nobody should ask."""
        left = self.seconds_left()
        if left:
            raise Paused(
                f"PagoEfectivo has not answered merchant {self.merchant} {LIMIT} times in a "
                f"row, so it is not asked for {left} more seconds."
            )

    def seconds_left(self) -> int:
        """How many more seconds nobody should ask; 0: ask."""
        until = self._cache_call("get", self._until)
        left = until - time.time() if isinstance(until, int | float) else 0
        # A clock that jumped must not make the pause longer.
        return math.ceil(left) if 0 < left <= PAUSE else 0

    def _failed(self) -> None:
        failures = (self._cache_call("get", self._failures) or 0) + 1
        self._cache_call("set", self._failures, failures, _MEMORY)
        if failures >= LIMIT:
            self._cache_call("set", self._until, time.time() + PAUSE, PAUSE)
            logger.warning(
                "PagoEfectivo has not answered merchant %s %d times in a row; it is asked again "
                "in %d seconds",
                self.merchant,
                failures,
                PAUSE,
            )

    def _answered(self) -> None:
        # Looked first: an answer is the rule, and most caches read faster than they write.
        if self._cache_call("get", self._failures):
            self._cache_call("delete", self._failures)

    def _cache_call(self, name: str, *args: Any) -> Any:
        cache: BaseCache = caches[self._alias]
        try:
            return getattr(cache, name)(*args)
        except Exception as error:
            logger.warning(
                "The cache %r is away (%s); whether PagoEfectivo answers is not shared between "
                "processes meanwhile.",
                self._alias,
                type(error).__name__,
            )
            return None

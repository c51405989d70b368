"""Asking no more often than ``POLL_RATE`` allows, all processes together.

Each question takes up one of as many places in the shared cache as the rate allows, and the
cache lets go of the place by itself: in any minute there are no more questions than places,
whoever asks, and nobody's clock matters. With a cache that is away the rate does not hold,
which is better than a payment that nobody asks about.
"""

from __future__ import annotations

import time

from django.core.cache import caches

from ..conf import Options
from ..logs import logger_for

logger = logger_for("django_pagoefectivo.gateway")

_MINUTE = 60
#: With more places than that each is taken for a part of the minute, so that looking stays
#: cheap; for a whole part, since others would let two bursts into one minute.
_MOST_PLACES = 120
_PARTS = (60, 30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1)
_LOOK_AGAIN = 0.25


class OverRate(Exception):
    """Not asked, because the merchant's rate is used up for the moment."""


class Pace:
    """How often one merchant's payments may be asked about at the moment."""

    def __init__(self, merchant: str, options: Options) -> None:
        self.merchant = merchant
        self.rate = options.poll_rate
        self._alias = options.cache

    def take(self, *, patience: float = 0) -> bool:
        """Whether one question may be asked now; if so it counts from now on.

        Waits up to ``patience`` seconds for its turn.
        """
        ends = time.monotonic() + patience
        while not self._take():
            if time.monotonic() >= ends:
                return False
            time.sleep(_LOOK_AGAIN)
        return True

    def require(self, *, patience: float = 0) -> None:
        """``take``, or raise ``OverRate`` with a sentence for people."""
        if not self.take(patience=patience):
            raise OverRate(
                f"Merchant {self.merchant} may be asked about {self.rate} times a minute "
                "(POLL_RATE), and has been."
            )

    def _take(self) -> bool:
        if self.rate is None:
            return True
        count, seconds = _places(self.rate)
        keys = [f"pagoefectivo:asked:{self.merchant}:{number}" for number in range(count)]
        try:
            cache = caches[self._alias]
            taken = cache.get_many(keys)
            if len(taken) == count:
                return False
            if any(cache.add(key, 1, timeout=seconds) for key in keys if key not in taken):
                return True
            # Others were faster, unless this is a client that is told to ignore that its
            # server is away: nothing is in it, and nothing goes in.
            return not cache.get_many(keys)
        except Exception as error:
            logger.warning(
                "The cache %r is away (%s); POLL_RATE does not hold meanwhile.",
                self._alias,
                type(error).__name__,
            )
            return True


def _places(rate: int) -> tuple[int, int]:
    """How many places there are for ``rate`` a minute, and the seconds each is taken for."""
    fitting = (part for part in _PARTS if rate * part <= _MOST_PLACES * _MINUTE)
    seconds = next(fitting, 1)
    return rate * seconds // _MINUTE, seconds

"""Hooks for whoever counts: what happens is told to observers as it happens.

Subclass ``Observer``, override what you want to count, and ``observe(YourObserver())`` in an
``AppConfig.ready()``. ``django_pagoefectivo.prometheus`` is one for Prometheus. Without
observers the hooks cost a look at an empty tuple; none costs a statement.
"""

from __future__ import annotations

from collections.abc import Callable

from .logs import logger_for

logger = logger_for("django_pagoefectivo.metrics")


class Observer:
    """Is told what happens, in the process and thread where it happens.

    Methods return nothing and should be quick: a notification is answered after them. What
    they raise is logged and stops nothing. Arguments are never secrets or personal data, and
    each text among them has few values, so that it can be a label.
    """

    def notification_answered(
        self, *, merchant: str, outcome: str, status: int, seconds: float
    ) -> None:
        """The webhook answered with HTTP ``status`` after ``seconds``.

        ``merchant`` is the one whose URL was called, ``""`` for the common URL. ``outcome`` is
        one of ``WebhookEvent.Outcome`` for what was kept, else ``refused``, ``unreadable``,
        ``too_long``, ``unknown_merchant``, ``not_kept`` or ``probe``.
        """

    def delivery_made(self, *, signal: str, receiver: str, succeeded: bool, lag: float) -> None:
        """A receiver was called, ``lag`` seconds after what it was told had happened."""

    def call_made(
        self, *, merchant: str, operation: str, outcome: str, status: int | None, seconds: float
    ) -> None:
        """PagoEfectivo was called; ``status`` is HTTP's, ``None`` without an answer.

        ``operation`` is ``authorize``, ``create``, ``search``, …; ``outcome`` is ``ok``,
        ``refused`` (4xx), ``failed`` (5xx) or ``no_answer``.
        """

    def poll_finished(
        self, *, asked: int, calls: int, changed: int, failed: int, left: int
    ) -> None:
        """A pass of the poller is over: payments asked about, and calls it took.

        ``failed`` got no answer, ``left`` were not asked about because of ``POLL_RATE``.
        """


_observers: tuple[Observer, ...] = ()


def observe(observer: Observer) -> None:
    """Tell ``observer`` from now on, in this process. Once is enough."""
    global _observers  # noqa: PLW0603 - replaced whole, so that no thread sees half of it
    if observer not in _observers:
        _observers = (*_observers, observer)


def forget(observer: Observer) -> None:
    """Tell ``observer`` no more."""
    global _observers  # noqa: PLW0603
    _observers = tuple(one for one in _observers if one is not observer)


def is_observed() -> bool:
    """Whether anybody counts."""
    return bool(_observers)


def tell(what: Callable[[Observer], None]) -> None:
    """Call ``what`` with every observer. Never raises."""
    for observer in _observers:
        try:
            what(observer)
        except Exception:
            logger.exception("Observer %s failed", type(observer).__name__)

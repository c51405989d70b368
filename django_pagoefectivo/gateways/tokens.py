"""Tokens shared through Django's cache: one refresh for many threads and processes."""

from __future__ import annotations

import copy
import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.core.cache import BaseCache, caches
from django.views.decorators.debug import sensitive_variables

from ..exceptions import PagoEfectivoError
from ..logs import logger_for

logger = logger_for("django_pagoefectivo.gateway")

#: A token is dropped this long before it ends, so that none expires on its way.
MARGIN = 120.0
#: How long a token lives that does not say so; the published term is two hours.
DEFAULT_LIFETIME = 3600.0
_POLL = 0.05

_locks: dict[str, threading.Lock] = {}
_locks_guard = threading.Lock()
#: The last token by key, for when the cache is away. Bounded by the number of merchants.
_remembered: dict[str, tuple[str, float]] = {}
#: The last failed refresh by key and when it failed, for the threads that waited for it.
_failures: dict[str, tuple[PagoEfectivoError, float]] = {}


@dataclass(frozen=True, slots=True)
class Token:
    """A token and how many seconds it lives (``None``: not said)."""

    value: str = field(repr=False)
    lifetime: float | None = None


def _key_of(identity: Iterable[str]) -> str:
    fingerprint = hashlib.sha256("\0".join(identity).encode()).hexdigest()
    return f"pagoefectivo:token:{fingerprint}"


class TokenStore:
    """Keeps one merchant's token. ``patience`` is how long to wait for another refresh.

    The key holds a hash of the credentials, so tokens of an old key are never used again.
    Those of ``former`` credentials are deleted with the first token of the new ones.
    """

    def __init__(
        self,
        *,
        alias: str,
        identity: Iterable[str],
        patience: float,
        former: Iterable[Iterable[str]] = (),
    ) -> None:
        self.key = _key_of(identity)
        self._former = [_key_of(old) for old in former]
        self.alias = alias
        self.patience = patience

    @sensitive_variables()
    def get(self, fetch: Callable[[], Token]) -> str:
        """The shared token; ``fetch`` is called by one thread of one process if there is none."""
        return self._read() or self._refresh(None, fetch)

    @sensitive_variables()
    def renew(self, refused: str, fetch: Callable[[], Token]) -> str:
        """A token other than ``refused``."""
        return self._refresh(refused, fetch)

    def _refresh(self, refused: str | None, fetch: Callable[[], Token]) -> str:
        asked_at = time.monotonic()
        with _locks_guard:
            lock = _locks.setdefault(self.key, threading.Lock())
        with lock:
            token = self._read()
            if token and token != refused:
                return token
            self._share_failure(asked_at)
            if not self._claim():
                token = self._await_other(refused)
                if token:
                    return token
            try:
                fresh = fetch()
                self._write(fresh)
            except PagoEfectivoError as error:
                _failures[self.key] = (copy.copy(error), time.monotonic())
                raise
            finally:
                self._release()
            return fresh.value

    def _share_failure(self, asked_at: float) -> None:
        """Raise what the refresh raised that this thread has been waiting for.

        With PagoEfectivo silent, each thread in turn would wait its whole time otherwise.
        """
        error, failed_at = _failures.get(self.key, (None, 0.0))
        if error is not None and failed_at >= asked_at:
            # A copy, because an error carries the payment that it happened to.
            raise copy.copy(error)

    @property
    def _cache(self) -> BaseCache:
        return caches[self.alias]

    def _read(self) -> str | None:
        try:
            token = self._cache.get(self.key)
        except Exception as error:
            self._warn(error)
            value, ends = _remembered.get(self.key, ("", 0.0))
            return value if time.monotonic() < ends else None
        return token if isinstance(token, str) else None

    def _write(self, token: Token) -> None:
        lifetime = DEFAULT_LIFETIME if token.lifetime is None else token.lifetime
        kept = lifetime - MARGIN if lifetime > 2 * MARGIN else lifetime / 2
        _remembered[self.key] = (token.value, time.monotonic() + kept)
        for old in self._former:
            _remembered.pop(old, None)
        try:
            self._cache.set(self.key, token.value, timeout=kept)
            if self._former:
                self._cache.delete_many(self._former)
        except Exception as error:
            self._warn(error)

    def _claim(self) -> bool:
        """Whether this process is the one that refreshes."""
        try:
            return bool(self._cache.add(f"{self.key}:refresh", 1, timeout=self.patience))
        except Exception as error:
            self._warn(error)
            return True

    def _is_claimed(self) -> bool:
        try:
            return self._cache.get(f"{self.key}:refresh") is not None
        except Exception as error:
            self._warn(error)
            return False

    def _release(self) -> None:
        try:
            self._cache.delete(f"{self.key}:refresh")
        except Exception as error:
            self._warn(error)

    def _await_other(self, refused: str | None) -> str | None:
        """The token of whoever holds the claim; ``None`` if this process must fetch one."""
        ends = time.monotonic() + self.patience
        unheld = 0
        while time.monotonic() < ends:
            # Asked first: whoever gives the claim back has written the token before.
            claimed = self._is_claimed()
            token = self._read()
            if token and token != refused:
                return token
            unheld = 0 if claimed else unheld + 1
            # Some clients are told to ignore that their server is away. They refuse the
            # claim although nobody holds it, and waiting for it would be in vain.
            if not claimed and (self._claim() or unheld > 1):
                return None
            time.sleep(_POLL)
        return None

    def _warn(self, error: Exception) -> None:
        # Any cache backend may raise anything when its server is away; a payment must not
        # fail for that.
        logger.warning(
            "The cache %r is away (%s); tokens are not shared between processes meanwhile.",
            self.alias,
            type(error).__name__,
        )

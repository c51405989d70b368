"""Keeping the masked exchanges of a piece of work until they can be stored together."""

from __future__ import annotations

from ..conf import Config
from ..gateways import Exchange
from ..models import ApiExchange, Payment
from .transactions import repeated_on_conflict
from .writes import AT_ONCE


class ExchangeLog:
    """Collects what gateways record and stores it in one statement."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._waiting: list[Exchange] = []

    def __call__(self, exchange: Exchange) -> None:
        """Take one exchange; this is a gateway's ``record``."""
        if self._config.options_of(exchange.merchant).exchange_log:
            self._waiting.append(exchange)

    def __len__(self) -> int:
        return len(self._waiting)

    def store(self, payment: Payment | None = None) -> None:
        """Store what was collected, linked to ``payment`` where it is about just one."""
        rows = self.rows(payment)
        if rows:
            # A strict isolation level refuses rows that point to a payment just being changed.
            repeated_on_conflict(lambda: AT_ONCE.insert(rows))
        # Only now, for who stores them in a transaction may have to begin it again.
        self.clear()

    def clear(self) -> None:
        """Forget what was collected; it is stored."""
        self._waiting = []

    def rows(self, payment: Payment | None) -> list[ApiExchange]:
        """What was collected, as rows that are still to be stored."""
        return [
            ApiExchange(
                payment=payment,
                merchant=exchange.merchant,
                operation=exchange.operation,
                method=exchange.method,
                url=exchange.url[:500],
                request=exchange.request,
                response=exchange.response,
                http_status=exchange.http_status,
                api_code=exchange.api_code,
                milliseconds=exchange.milliseconds,
                error=exchange.error,
                failed=exchange.failed,
            )
            for exchange in self._waiting
        ]

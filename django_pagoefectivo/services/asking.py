"""Asking PagoEfectivo about many payments, a batch in a call."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from ..conf import Config, get_config
from ..exceptions import PagoEfectivoError, RequestRejected
from ..gateways import RemoteState, gateway_for
from ..logs import logger_for
from ..models import Payment, PaymentQuerySet
from .breaker import Breaker, Paused
from .exchanges import ExchangeLog
from .pace import OverRate, Pace
from .sync import absorb, named, ref_of, refused

logger = logger_for("django_pagoefectivo.polling")

#: Status queries between two reads of payments: what is stored is stored for all of them.
BATCHES_A_CHUNK = 10
#: Refused questions that are remembered until an answer shows that they are to blame themselves.
_REMEMBERED = 100
#: Refused questions in a row, beside those that it takes to find two payments in a batch.
_PATIENCE = 8


@dataclass(slots=True)
class SyncReport:
    """What asking about many payments did.

    ``asked`` payments in ``calls`` calls; ``changed`` by transition or flag, ``missing`` at
    PagoEfectivo, ``not_askable`` (no CIP yet), ``failed`` because their call did or because
    PagoEfectivo was left alone, with the sentences in ``errors``; ``left`` for later, because
    ``POLL_RATE`` was used up.
    """

    asked: int = 0
    calls: int = 0
    changed: int = 0
    missing: int = 0
    not_askable: int = 0
    failed: int = 0
    left: int = 0
    errors: list[str] = field(default_factory=list)


class Asker:
    """Asks about one merchant's payments, batch by batch, and counts into ``report``.

    With ``expire_overdue`` payments whose term is over, and that PagoEfectivo does not call
    paid, expire. ``patience`` is how many seconds all batches together may wait for their turn
    under ``POLL_RATE``. Raises ``ImproperlyConfigured`` if there is no such merchant any more.
    """

    def __init__(
        self,
        merchant: str,
        config: Config,
        log: ExchangeLog,
        report: SyncReport,
        *,
        expire_overdue: bool = False,
        patience: float = 0,
    ) -> None:
        options = config.options_of(merchant)
        self._gateway = gateway_for(config.merchant(merchant), config, log)
        self._breaker = Breaker(merchant, options.cache)
        self._pace = Pace(merchant, options)
        self._report = report
        self._expire_overdue = expire_overdue
        self._waits_until = time.monotonic() + patience
        #: Refused alone; flagged as soon as an answer about others shows whose fault it is.
        self._alone: deque[tuple[Payment, RequestRejected]] = deque(maxlen=_REMEMBERED)
        self._refused: list[Payment] = []
        self._refusals = 0
        #: How many payments one call asks about.
        self.size = min(
            options.search_batch_size, self._gateway.largest_batch or options.search_batch_size
        )

    def can_ask(self, payment: Payment) -> bool:
        """Whether PagoEfectivo can be asked about ``payment``; those that cannot are counted."""
        askable = self._gateway.can_ask(ref_of(payment))
        self._report.not_askable += not askable
        return askable

    def check(self) -> None:
        """Raise ``Paused`` while nothing should be asked."""
        self._breaker.check()

    def ask(self, batch: Sequence[Payment]) -> Iterator[Sequence[Payment]]:
        """Ask about ``batch``, apply the answers and yield what each was about.

        One call, unless PagoEfectivo refuses it: then about its halves, so that one code, or
        a batch that is too long, does not keep the others waiting. A payment that is refused
        alone is flagged once PagoEfectivo answers about another one; see ``take_refused``.
        Raises ``Paused`` or ``OverRate`` where nothing should be asked for the moment.
        """
        report = self._report
        parts = [batch]
        answered = False
        failed = 0
        while parts:
            part = parts.pop()
            try:
                states = self._states(part)
            except Paused:
                raise
            except RequestRejected as error:
                self._refusals += 1
                if len(part) == 1:
                    failed += 1
                    self._alone.append((part[0], error))
                    self._refused.append(part[0])
                    report.errors.append(f"{named(part[0])}: {error}")
                elif self._refusals <= 2 * self.size.bit_length() + _PATIENCE:
                    middle = (len(part) + 1) // 2
                    parts += [part[middle:], part[:middle]]
                else:
                    # No one code's fault: whatever it is asked, PagoEfectivo refuses.
                    failed += len(part) + sum(map(len, parts))
                    report.errors.append(str(error))
                    parts.clear()
            except PagoEfectivoError as error:
                failed += len(part)
                report.errors.append(str(error))
            else:
                self._apply(part, states)
                self._refusals = 0
                answered = True
                yield part
        report.failed += failed
        if answered:
            self._blame()

    def take_refused(self) -> list[Payment]:
        """The payments that were refused alone since this was called last."""
        taken, self._refused = self._refused, []
        return taken

    def _apply(self, batch: Sequence[Payment], states: Sequence[RemoteState | None]) -> None:
        report = self._report
        for payment, state in zip(batch, states, strict=True):
            try:
                report.changed += absorb(payment, state, expire_overdue=self._expire_overdue)
            except DatabaseError:
                raise
            except Exception as error:
                # One payment that cannot be dealt with must not keep the others waiting.
                logger.exception("What was answered about payment %s was not applied", payment.pk)
                report.failed += 1
                report.errors.append(f"{named(payment)}: {type(error).__name__}")
                continue
            report.asked += 1
            report.missing += state is None

    def _states(self, batch: Sequence[Payment]) -> Sequence[RemoteState | None]:
        with self._breaker.asking():
            self._pace.require(patience=self._waits_until - time.monotonic())
            self._report.calls += 1
            return self._gateway.states([ref_of(payment) for payment in batch])

    def _blame(self) -> None:
        """Have a person look at what was refused alone, now that others were answered."""
        for payment, error in self._alone:
            self._report.changed += refused(payment, error)
        self._alone.clear()

    def leave(self, count: int, reason: Paused | OverRate) -> None:
        """Count ``count`` payments that are not asked about now."""
        if isinstance(reason, OverRate):
            self._report.left += count
        else:
            self._report.failed += count
            self._report.errors.append(str(reason))


def sync_payments(
    queryset: PaymentQuerySet,
    *,
    patience: float = 0,
    answered: Callable[[Sequence[Payment]], object] | None = None,
) -> SyncReport:
    """Ask about all payments of ``queryset``, in as few calls as the batch size allows.

    A batch that fails is reported and the others go on; a merchant whose questions are not
    answered several times in a row is left out of the rest, and so is one whose ``POLL_RATE``
    is used up. ``patience`` is how many seconds a merchant's calls may wait for their turn under
    that rate. ``answered`` is told of each batch that PagoEfectivo answered about. Memory stays
    flat.
    """
    config = get_config()
    log = ExchangeLog(config)
    report = SyncReport()
    askers: dict[str, Asker] = {}
    last = 0
    length = config.search_batch_size * BATCHES_A_CHUNK
    while chunk := list(queryset.filter(pk__gt=last).order_by("pk")[:length]):
        last = chunk[-1].pk
        by_merchant: dict[str, list[Payment]] = defaultdict(list)
        for payment in chunk:
            by_merchant[payment.merchant].append(payment)
        for name, payments in by_merchant.items():
            try:
                if name not in askers:
                    askers[name] = Asker(name, config, log, report, patience=patience)
            except ImproperlyConfigured as error:
                # A merchant that was taken out of the settings must not stop the others.
                report.failed += len(payments)
                report.errors.append(str(error))
                continue
            asker = askers[name]
            rest = [payment for payment in payments if asker.can_ask(payment)]
            done = 0
            try:
                while batch := rest[: asker.size]:
                    done = 0
                    for part in asker.ask(batch):
                        done += len(part)
                        if answered is not None:
                            answered(part)
                    asker.take_refused()
                    del rest[: asker.size]
            except (Paused, OverRate) as reason:
                others = queryset.filter(pk__gt=last, merchant=name).count()
                asker.leave(len(rest) - done + others, reason)
                queryset = queryset.exclude(merchant=name)
        log.store()
    return report

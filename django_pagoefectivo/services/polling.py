"""The poller: the safety net for notifications that never came."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Min
from django.utils import timezone

from .. import metrics
from ..conf import Config, get_config
from ..logs import logger_for
from ..models import Attention, Payment, PaymentQuerySet, Status
from .asking import BATCHES_A_CHUNK, Asker, SyncReport
from .breaker import Paused
from .exchanges import ExchangeLog
from .heartbeat import Duty, beat
from .pace import OverRate
from .polling_claims import Line
from .polling_schedule import GIVE_UP
from .transactions import repeated_on_conflict
from .unknown_outcomes import flag_unknown_outcomes

logger = logger_for("django_pagoefectivo.polling")

#: Payments that are made due together, so that notifications do not wait for them long.
_PIECE = 1000


@dataclass(slots=True)
class PollReport:
    """What a pass of the poller did: the sync's counts and how many doubts it flagged."""

    sync: SyncReport = field(default_factory=SyncReport)
    unknown: int = 0


def poll(*, everything: bool = False, report: PollReport | None = None) -> PollReport:
    """Ask about the open payments that are due for it, or about ``everything`` open.

    Merchants take turns. What a merchant's ``POLL_RATE`` does not allow now, and what
    PagoEfectivo does not answer, stays due for the next pass. Payments whose term is over
    expire unless PagoEfectivo says otherwise. Create calls that were begun and never answered
    are flagged. Several passes at the same time share the work. ``report`` can be watched
    meanwhile.
    """
    report = report or PollReport()
    config = get_config()
    report.unknown = flag_unknown_outcomes(config)
    # Some contracts can be asked about what was never answered, too.
    doubtful = Payment.objects.filter(status=Status.CREATED, attention=Attention.OUTCOME_UNKNOWN)
    pending = Payment.objects.filter(status=Status.PENDING)
    # A doubt is raised without saying when to ask about it.
    new = doubtful.filter(next_poll_at__isnull=True, expires_at__gt=timezone.now() - GIVE_UP)
    _set_due(new)
    if everything:
        _make_due(doubtful)
        _make_due(pending)
    this = _Pass(config, report.sync)
    this.ask(doubtful)
    this.ask(pending)
    beat(Duty.POLL)
    _tell(report.sync)
    return report


def _make_due(open_payments: PaymentQuerySet) -> None:
    """Make all due now: a pass that is killed goes on with the next, and two share the work."""
    last = 0
    ids = open_payments.order_by("pk").values_list("pk", flat=True)
    while piece := list(ids.filter(pk__gt=last)[:_PIECE]):
        last = piece[-1]
        _set_due(open_payments.filter(pk__in=piece))


def _set_due(payments: PaymentQuerySet) -> None:
    now = timezone.now()
    repeated_on_conflict(lambda: payments.update(next_poll_at=now))


def _tell(sync: SyncReport) -> None:
    for error in dict.fromkeys(sync.errors):
        logger.warning("%s", error)
    if sync.left:
        logger.info("%d payments are left for the next pass, by POLL_RATE", sync.left)
    metrics.tell(
        lambda observer: observer.poll_finished(
            asked=sync.asked,
            calls=sync.calls,
            changed=sync.changed,
            failed=sync.failed,
            left=sync.left,
        )
    )


class _Pass:
    """One pass: merchants take turns until each is done or has to be left alone."""

    def __init__(self, config: Config, report: SyncReport) -> None:
        self._config = config
        self._report = report
        self._log = ExchangeLog(config)
        self._began = timezone.now()

    def ask(self, open_payments: PaymentQuerySet) -> None:
        """Ask about those of ``open_payments`` that are due."""
        due = open_payments.filter(next_poll_at__lte=self._began)
        names = due.values_list("merchant").annotate(since=Min("next_poll_at"))
        lines: deque[Line] = deque()
        # Whoever is most behind is first.
        for name, _since in names.order_by("since", "merchant"):
            payments = due.filter(merchant=name)
            try:
                asker = Asker(name, self._config, self._log, self._report, expire_overdue=True)
            except ImproperlyConfigured as error:
                # A merchant that was taken out of the settings must not stop the others.
                self._report.failed += payments.count()
                self._report.errors.append(str(error))
                continue
            lines.append(Line(payments, asker))
        try:
            while lines:
                line = lines.popleft()
                if self._turn(line):
                    lines.append(line)
        finally:
            self._log.store()

    def _turn(self, line: Line) -> bool:
        """A few calls for one merchant; whether there may be more to ask about."""
        # A pass over many payments takes longer than the poller may be silent.
        beat(Duty.POLL)
        try:
            more = line.take_turn()
        except (Paused, OverRate) as reason:
            line.asker.leave(line.count_left(), reason)
            return False
        finally:
            if len(self._log) >= BATCHES_A_CHUNK:
                self._log.store()
        return more

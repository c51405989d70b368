"""The poller: the safety net for notifications that never came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from .. import metrics
from ..conf import get_config
from ..models import Attention, Payment, Status
from .heartbeat import Duty, beat
from .polling_schedule import next_poll
from .sync import SyncReport, sync_in_chunks
from .transactions import repeated_on_conflict
from .unknown_outcomes import flag_unknown_outcomes

#: How soon PagoEfectivo is asked again about a create call of unknown outcome.
DOUBT_AGAIN = timedelta(minutes=10)


@dataclass(slots=True)
class PollReport:
    """What a pass of the poller did: the sync's counts and how many doubts it flagged."""

    sync: SyncReport = field(default_factory=SyncReport)
    unknown: int = 0


def poll(*, everything: bool = False, report: PollReport | None = None) -> PollReport:
    """Ask about the open payments that are due for it, or about ``everything`` open.

    Payments whose term is over expire unless PagoEfectivo says otherwise. Create calls
    that were begun and never answered are flagged. ``report`` can be watched meanwhile.
    """
    report = report or PollReport()
    config = get_config()
    report.unknown = flag_unknown_outcomes(config)
    # Some contracts can be asked about what was never answered, too.
    doubtful = Q(status=Status.CREATED, attention=Attention.OUTCOME_UNKNOWN)
    open_payments = Payment.objects.filter(Q(status=Status.PENDING) | doubtful)
    if not everything:
        now = timezone.now()
        open_payments = open_payments.filter(
            Q(next_poll_at__lte=now) | Q(next_poll_at__isnull=True)
        )
    for chunk in sync_in_chunks(open_payments, report.sync, expire_overdue=True):
        _plan_next(chunk)
    beat(Duty.POLL)
    sync = report.sync
    metrics.tell(
        lambda observer: observer.poll_finished(
            asked=sync.asked, calls=sync.calls, changed=sync.changed, failed=sync.failed
        )
    )
    return report


def _plan_next(chunk: Sequence[Payment]) -> None:
    """Write when to ask next about those still open, in one statement."""
    now = timezone.now()
    for payment in chunk:
        payment.next_poll_at = (
            now + DOUBT_AGAIN
            if payment.status == Status.CREATED
            else next_poll(payment.created_at, payment.expires_at, now)
        )
    repeated_on_conflict(lambda: Payment.objects.bulk_update(chunk, ["next_poll_at"]))

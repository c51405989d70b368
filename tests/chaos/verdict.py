"""What must be true after every fault, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from django.db.models import Count
from django.utils import timezone

from django_pagoefectivo.models import Payment, SignalDelivery, WebhookEvent

from . import RECEIVERS
from .stage import Load, Stage


@dataclass
class Verdict:
    """The counts of one scenario. ``faults`` are sentences; none means that it held."""

    sent: int = 0
    acknowledged: int = 0
    lost: int = 0
    untold: int = 0
    repeated: int = 0
    unnoted: int = 0
    stuck: int = 0
    said: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)


def judge(
    stage: Stage, load: Load, payments: list[Payment], *, notes_get_lost: bool = False
) -> Verdict:
    """Look at database and log after everything has come to rest.

    ``notes_get_lost``: the scenario kills processes or the database between a receiver's
    success and the moment when it can be noted, which is when a call may be repeated.
    """
    verdict = Verdict(
        sent=len(payments), acknowledged=len(load.acknowledged), said=dict(load.answers)
    )
    paid = set(Payment.objects.filter(status="paid").values_list("pk", flat=True))
    verdict.lost = len(load.acknowledged - paid)
    verdict.require(verdict.lost == 0, "acknowledged notifications are lost")
    verdict.require(verdict.acknowledged == verdict.sent, "some were never acknowledged")
    events = WebhookEvent.objects.exclude(outcome="rejected")
    verdict.require(
        events.filter(payment__in=paid).count() == len(paid), "not one event for each notification"
    )
    begun: Counter[tuple[str, int]] = Counter()
    ended: Counter[tuple[str, int]] = Counter()
    noted: set[tuple[str, int]] = set()
    for words in stage.lines():
        if words[0] == "begin":
            key = (words[1], int(words[2]))
            begun[key] += 1
            # Begun again after the success was in the database: the one unforgivable thing.
            verdict.repeated += key in noted
            verdict.unnoted += key not in noted and ended[key] > 0
        elif words[0] == "end":
            ended[words[1], int(words[2])] += 1
        elif words[0] == "noted":
            noted.add((words[1], int(words[2])))
    verdict.require(verdict.repeated == 0, "receivers were called again after a noted success")
    verdict.require(
        notes_get_lost or verdict.unnoted == 0, "receivers were called again though nothing died"
    )
    verdict.untold = sum(ended[name, pk] == 0 for pk in paid for name in RECEIVERS)
    verdict.require(verdict.untold == 0, "receivers were not told")
    double = (
        SignalDelivery.objects.values("payment", "receiver", "signal")
        .annotate(rows=Count("pk"))
        .filter(rows__gt=1)
    )
    verdict.require(not double.exists(), "a receiver is owed the same call twice")
    for row in SignalDelivery.objects.exclude(state="done")[:3]:
        wait = (row.due_at - timezone.now()).total_seconds()
        verdict.notes.append(
            f"stuck: {row.receiver} of payment {row.payment_id}, attempt {row.attempts}, due in "
            f"{wait:.0f} s, claimed by {row.claimed_by or 'nobody'} {row.last_error}"
        )
    verdict.stuck = SignalDelivery.objects.exclude(state="done").count()
    verdict.stuck += Payment.objects.filter(pk__in=load.acknowledged).exclude(status="paid").count()
    verdict.require(verdict.stuck == 0, "rows are stuck")
    deaths = Counter(f"{words[1]} {words[2]}" for words in stage.lines() if words[0] == "died")
    if deaths:
        verdict.notes.append(
            f"{sum(deaths.values())} deaths at {len(deaths)} points: "
            + ", ".join(f"{where} x {count}" for where, count in sorted(deaths.items()))
        )
    return verdict

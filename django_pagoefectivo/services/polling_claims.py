"""What one poller works on, so that another one leaves it alone.

A claim is the payment's own ``next_poll_at``, moved ahead by one conditional update: whoever
moves it has it, everybody else finds that it is not due. It is moved again when the answer is
applied, or back to where it was if there was none. A poller that is killed leaves claims that
run out by themselves.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.db.models import Q
from django.utils import timezone

from ..models import Attention, Payment, PaymentQuerySet, Status
from .asking import BATCHES_A_CHUNK, Asker
from .polling_schedule import GIVE_UP, next_doubt, next_poll
from .transactions import repeated_on_conflict
from .transitions import STATUS_QUERY, flag, read_again

#: Longer than a turn takes, and shorter than the five minutes to the next pass. Should it run
#: out earlier, another poller asks the same again, in vain and without harm.
LEASE = timedelta(minutes=4)
#: Seconds after which a merchant whose calls are slow lets the next one have its turn.
TURN = 5.0
#: Calls in a turn whatever they take: reading and claiming for fewer would cost more than two
#: statements a call.
LEAST = 3


class Line:
    """One merchant's payments that are due, the most overdue first.

    ``due`` are all of them, ``asker`` is who asks.
    """

    def __init__(self, due: PaymentQuerySet, asker: Asker) -> None:
        self.asker = asker
        self._due = due
        self._behind: tuple[datetime, int] | None = None
        self._batches = BATCHES_A_CHUNK

    def take_turn(self) -> bool:
        """Ask about the next few batches; whether there may be more.

        Raises ``Paused`` or ``OverRate``; what was not asked about is due as before then.
        """
        self.asker.check()
        size = self.asker.size
        length = size * self._batches
        payments = list(self._rest().order_by("next_poll_at", "pk")[:length])
        if not payments:
            return False
        end = _place_of(payments[-1])
        lease = _new_lease()
        rest: list[Payment] = []
        mute: list[Payment] = []
        for payment in self._claim(payments, lease):
            (rest if self.asker.can_ask(payment) else mute).append(payment)
        ends = time.monotonic() + TURN
        unanswered = {payment.pk: payment for payment in rest}
        batches = 0
        try:
            _plan(mute, lease)
            while rest and (batches < LEAST or time.monotonic() < ends):
                batch = rest[:size]
                place = _place_of(batch[-1])
                for part in self.asker.ask(batch):
                    _plan(part, lease)
                    _take_out(part, unanswered)
                # Or those that are always refused would be asked about first for ever.
                refused = self.asker.take_refused()
                _plan(refused, lease)
                _take_out(refused, unanswered)
                del rest[:size]
                batches += 1
                self._behind = place
        finally:
            # Their rows in memory still say when they were due before.
            _move(list(unanswered.values()), lease)
        if rest:
            self._batches = batches
            return True
        self._behind = end
        self._batches = min(2 * self._batches, BATCHES_A_CHUNK)
        return len(payments) == length

    def count_left(self) -> int:
        """How many are due that were not tried."""
        return self._rest().count()

    def _rest(self) -> PaymentQuerySet:
        if self._behind is None:
            return self._due
        due_at, pk = self._behind
        # The first condition follows from the second, and is what an index answers.
        return self._due.filter(Q(next_poll_at__gt=due_at) | Q(pk__gt=pk), next_poll_at__gte=due_at)

    def _claim(self, payments: Sequence[Payment], lease: datetime) -> list[Payment]:
        """Those of ``payments`` that are this poller's until ``lease``."""
        ids = [payment.pk for payment in payments]
        taken = repeated_on_conflict(
            lambda: self._due.filter(pk__in=ids).update(next_poll_at=lease)
        )
        if taken == len(ids):
            return list(payments)
        mine = set(
            Payment.objects.filter(pk__in=ids, next_poll_at=lease).values_list("pk", flat=True)
        )
        return [payment for payment in payments if payment.pk in mine]


def _take_out(payments: Sequence[Payment], by_pk: dict[int, Payment]) -> None:
    for payment in payments:
        by_pk.pop(payment.pk, None)


def _new_lease() -> datetime:
    """The end of a claim, to the microsecond that no other poller has."""
    return timezone.now() + LEASE + timedelta(microseconds=random.randrange(1_000_000))


def _place_of(payment: Payment) -> tuple[datetime, int] | None:
    return None if payment.next_poll_at is None else (payment.next_poll_at, payment.pk)


def _plan(batch: Sequence[Payment], lease: datetime) -> None:
    """Write when to ask next about those still open, in one statement."""
    now = timezone.now()
    for payment in batch:
        schedule = next_doubt if payment.status == Status.CREATED else next_poll
        payment.next_poll_at = schedule(payment.created_at, payment.expires_at, now)
    _move(batch, lease)
    for payment in batch:
        if payment.next_poll_at is None:
            repeated_on_conflict(partial(_give_up, payment))


def _move(payments: Sequence[Payment], lease: datetime) -> None:
    """Write each one's ``next_poll_at``, unless somebody has changed it since the claim."""
    if payments:
        claimed = Payment.objects.filter(next_poll_at=lease)
        repeated_on_conflict(lambda: claimed.bulk_update(payments, ["next_poll_at"]))


def _give_up(stale: Payment) -> None:
    """Have a person look at a payment that PagoEfectivo will not be asked about any more."""
    payment = read_again(stale)
    if payment.status == Status.PENDING and payment.next_poll_at is None:
        flag(
            payment,
            Attention.STATUS_CONFLICT,
            f"{GIVE_UP.days} days after its deadline PagoEfectivo has not said how it ended; it "
            "is not asked any more.",
            STATUS_QUERY,
        )

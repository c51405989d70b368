"""One answer for one key: what an ``Idempotency-Key`` promises, whoever dies meanwhile.

The key's row is on disk before the work begins, with the public token that the payment
will have. Who comes later with the same key waits for the answer and gets it again; who
finds the claimant dead or its lease over takes the row over and looks the payment up by that
token, so that nothing is asked for twice.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from ..conf import Config, get_config
from ..models import IdempotencyKey, Payment, Status
from .claims import is_dead, own_identity
from .transactions import is_transient, repeated_alone
from .unknown_outcomes import longest_create

_WAIT_STEP = 0.05
LONGEST_KEY = 255


class KeyConflict(Exception):
    """The key cannot be answered; ``reused``: it stands for another request."""

    def __init__(self, *, reused: bool) -> None:
        super().__init__()
        self.reused = reused


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request with a key: ``caller`` tells apart whose it is, ``request`` what is asked."""

    caller: str
    key: str
    request: bytes

    @property
    def key_hash(self) -> str:
        """What the row is found by."""
        return hashlib.sha256(f"{self.caller}\0{self.key}".encode()).hexdigest()

    @property
    def request_hash(self) -> str:
        """What tells whether the same is asked for."""
        return hashlib.sha256(self.request).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer, as it is kept: ``status`` of HTTP, ``token`` of the payment it is about,
    and ``kept``, JSON that the caller can make the body of again."""

    status: int
    token: uuid.UUID
    kept: dict[str, Any]


#: Takes the token for a new payment, or the payment that an earlier attempt left.
Work = Callable[[uuid.UUID, Payment | None], Answer]


def answer_once(keyed: Keyed, work: Work) -> tuple[Answer, bool]:
    """The answer for the key, and whether it was given before.

    ``work`` runs if nobody has finished it; what it raises is passed on and the key can be
    used again. Waits as long as a call to PagoEfectivo may take. Raises ``KeyConflict``.
    """
    config = get_config()
    deadline = time.monotonic() + sum(config.timeout)
    while True:
        row, mine = _claim(keyed, config)
        if row is not None and row.request_hash != keyed.request_hash:
            raise KeyConflict(reused=True)
        if row is not None and row.answer_status is not None:
            return Answer(row.answer_status, row.payment_token, row.answer), True
        if row is not None and mine:
            return _worked(row, work), False
        if time.monotonic() > deadline:
            raise KeyConflict(reused=False)
        time.sleep(_WAIT_STEP)


def _claim(keyed: Keyed, config: Config) -> tuple[IdempotencyKey | None, bool]:
    """The key's row and whether it is this request's to work on; no row: look again."""
    lease = timezone.now() + longest_create(config)
    row = IdempotencyKey.objects.filter(key_hash=keyed.key_hash).first()
    if row is None:
        row = IdempotencyKey(
            key_hash=keyed.key_hash,
            request_hash=keyed.request_hash,
            claimed_by=own_identity(),
            claimed_until=lease,
        )
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            return None, False
        except OperationalError as error:
            if not is_transient(error):
                raise
            return None, False
        return row, True
    if row.answer_status is not None or row.request_hash != keyed.request_hash:
        return row, False
    abandoned = not row.claimed_by or row.claimed_until <= timezone.now() or is_dead(row.claimed_by)
    # Of several that find it abandoned, the one whose update hits goes on.
    as_found = IdempotencyKey.objects.filter(
        pk=row.pk,
        answer_status=None,
        claimed_by=row.claimed_by,
        claimed_until=row.claimed_until,
    )
    take = partial(as_found.update, claimed_by=own_identity(), claimed_until=lease)
    return row, abandoned and bool(repeated_alone(take))


def _worked(row: IdempotencyKey, work: Work) -> Answer:
    """Do the work and keep its answer, or let go of the key."""
    rows = IdempotencyKey.objects.filter(pk=row.pk)
    try:
        left = Payment.objects.filter(token=row.payment_token).first()
        if left is not None and left.status == Status.FAILED:
            # It never had a code, so asking again makes no second one.
            row.payment_token, left = uuid.uuid4(), None
            rows.update(payment_token=row.payment_token)
        answer = work(row.payment_token, left)
    except BaseException:
        if Payment.objects.filter(token=row.payment_token).exclude(status=Status.FAILED).exists():
            # Its outcome is not known: whoever asks with this key again must find it.
            repeated_alone(partial(rows.update, claimed_by=""))
        else:
            repeated_alone(rows.delete)
        raise
    keep = partial(
        rows.update,
        answer_status=answer.status,
        answer=answer.kept,
        payment_token=answer.token,
        claimed_by="",
    )
    repeated_alone(keep)
    return answer

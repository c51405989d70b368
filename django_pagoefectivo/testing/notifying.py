"""Notifications posted to the shop's own webhook, through its URLs and its middleware."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import connections, router
from django.http import HttpResponse
from django.test import Client, TestCase
from django.utils import timezone

from ..models import Payment
from ..services.sync import expire
from ..services.transactions import repeated_on_conflict
from ..services.transitions import read_again
from .signing import SignedNotification, notification


def notify(
    payment: Payment,
    *,
    times: int = 1,
    late: bool = False,
    client: Client | None = None,
    **what: Any,
) -> Any:
    """Notify the shop about ``payment`` and return the answer to the last try.

    ``times`` repeats the very same notification; ``late`` lets the payment's term end first;
    ``what`` goes to ``notification``: another ``amount`` or ``currency``, ``forged``,
    ``missing`` fields, another ``event``. ``client`` defaults to one that checks CSRF tokens,
    as a stranger's request is checked. ``payment`` is brought up to date.

    In a ``TestCase``, whose transaction never commits, the receivers run all the same.
    """
    if times < 1:
        raise ValueError("times must be at least 1.")
    if late:
        let_expire(payment)
    sent = notification(payment, **what)
    client = client or Client(enforce_csrf_checks=True)
    with receivers_run():
        answers = [_post(client, sent) for _ in range(times)]
    payment.refresh_from_db()
    return answers[-1]


def let_expire(payment: Payment) -> None:
    """End the payment's term unpaid, as the poller would find it."""
    over = timezone.now() - timedelta(hours=1)
    Payment.objects.filter(pk=payment.pk).update(expires_at=over)
    with receivers_run():
        repeated_on_conflict(partial(_expire, payment))
    payment.refresh_from_db()


@contextmanager
def receivers_run() -> Iterator[None]:
    """Make what happens after a commit happen, in a test whose transaction never commits."""
    using = router.db_for_write(Payment)
    if not connections[using].in_atomic_block:
        yield
        return
    with TestCase.captureOnCommitCallbacks(using=using, execute=True):
        yield


def _expire(payment: Payment) -> bool:
    return expire(read_again(payment))


def _post(client: Client, sent: SignedNotification) -> HttpResponse:
    headers = dict(sent.headers)
    content_type = headers.pop("Content-Type")
    answer: Any = client.post(sent.url, sent.body, content_type=content_type, headers=headers)
    return answer  # type: ignore[no-any-return]

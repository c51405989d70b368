"""What a rehearsal leaves behind: nothing of its own, or a line that says what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError

from ..models import Outcome, Payment, SignalDelivery, WebhookEvent
from ..sandbox.models import SandboxCall, SandboxCode
from .lines import Line, text_of
from .removal import DID, failed, remove
from .stage import OWN, Stage

_ORDERS = "the orders that --orders made are cleared up"
_MEND = (
    "Mend what it says, which comes from the function that --orders names or from the database. "
    'What is left are payments that have "rehearsal" in their metadata.'
)


def clear_up(stage: Stage, *, keep: bool) -> list[Line]:
    """Clear up after ``stage``; with ``keep`` its payments stay. A line for each failure."""
    payments: list[Payment] = []
    lines: list[Line] = []

    def take_away() -> None:
        removal = remove(payments)
        lines.extend(removal.lines())
        _forget(stage, removal.gone)

    steps: list[tuple[str, Callable[[], object]]] = [
        (DID, lambda: payments.extend(stage.payments)),
        ("the rehearsal's faults are disarmed", stage.disarm),
        # First the orders: what they clear up may point at the payments.
        (_ORDERS, stage.close),
        # Nobody else knows the rehearsal's receivers: each later call would fail.
        ("what is owed to the rehearsal's own receivers is dropped", lambda: _drop(payments)),
    ]
    if not keep:
        steps.append((DID, take_away))
    for did, step in steps:
        lines.extend(_tried(did, step))
    return lines


def _tried(did: str, step: Callable[[], object]) -> Iterator[Line]:
    try:
        step()
    except (DatabaseError, ImproperlyConfigured) as error:
        yield failed(did, f"it broke off ({type(error).__name__}: {error})", _MEND)
    except Exception as error:  # noqa: BLE001 - the shop's own code runs in it
        yield failed(did, f"it broke off ({text_of(error)})", _MEND)


def _drop(payments: Sequence[Payment]) -> None:
    ids = [payment.pk for payment in payments]
    SignalDelivery.objects.filter(payment__in=ids, receiver__startswith=OWN).delete()


def _forget(stage: Stage, payments: Sequence[Payment]) -> None:
    """Take away what the sandbox and the webhook know of payments that are gone."""
    marks = [m.encode() for p in payments for m in (p.cip, p.transaction_code) if m]
    refused = WebhookEvent.objects.filter(
        merchant=stage.merchant.name, outcome=Outcome.REJECTED, received_at__gte=stage.began
    )
    about = [e.pk for e in refused if any(mark in bytes(e.body) for mark in marks)]
    WebhookEvent.objects.filter(pk__in=about).delete()
    codes = [payment.transaction_code for payment in payments]
    SandboxCode.objects.filter(transaction_code__in=codes).delete()
    SandboxCall.objects.filter(path__contains=f"/{stage.mark}/", at__gte=stage.began).delete()

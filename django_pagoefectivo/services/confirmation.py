"""With ``CONFIRM_WITH_STATUS_QUERY``: a paid notification is believed once a query agrees."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..conf import get_config
from ..gateways import gateway_class
from ..models import Outcome, Payment, Status, WebhookEvent
from .applying import apply_notification
from .sync import sync_payment
from .transactions import repeated_on_conflict
from .transitions import read_again

_WAS_PAID = (Status.PAID, Status.REFUNDED)


class NotConfirmedYet(Exception):
    """The status query does not say paid; it is asked again later."""


def confirm_by_query(*, payment: Payment, event: WebhookEvent | None, **kwargs: Any) -> None:
    """Receiver of ``confirmation_due``: ask PagoEfectivo, and be called again until it says paid.

    A payment that was paid in another way meanwhile is enough. Raises ``NotConfirmedYet``
    or what ``sync_payment`` raises, so that the durable queue tries again.
    """
    if payment.status not in _WAS_PAID:
        sync_payment(payment)
    if payment.status not in _WAS_PAID:
        raise NotConfirmedYet(
            f"A notification says that payment {payment.pk} is paid; asked, PagoEfectivo does "
            f"not. It stays {payment.status}."
        )
    if event is not None:
        repeated_on_conflict(partial(_settle_rest, payment, event.pk))


def _settle_rest(stale: Payment, event_id: int) -> None:
    """Judge a notification that still waits though another one's query made it paid.

    It may be the same payment told in other words, or a second one.
    """
    event = WebhookEvent.objects.filter(pk=event_id, outcome=Outcome.PENDING).first()
    if event is None:
        return
    config = get_config()
    gateway = gateway_class(config.merchant(stale.merchant))
    notification = gateway.parse_notification(bytes(event.body))
    apply_notification(read_again(stale), notification, event, config)

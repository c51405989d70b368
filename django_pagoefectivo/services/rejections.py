"""A bounded sample of refused notifications, kept for diagnosis.

A flood of forged ones must cost nothing: beyond ten a minute and merchant, counted in the
cache, they leave no trace but a log record.
"""

from __future__ import annotations

import time

from django.core.cache import caches
from django.db import Error as DatabaseError
from django.db import transaction

from ..conf import get_config
from ..logs import logger_for
from ..models import Outcome, WebhookEvent

logger = logger_for("django_pagoefectivo.webhook")

KEPT_A_MINUTE = 10
KEPT_BYTES = 4096


def keep_rejected(
    merchant: str, body: bytes, signature: str, address: str | None, reason: str
) -> None:
    """Keep one refused notification if the sample has room. Never raises for it."""
    room = _has_room(merchant)
    logger.warning(
        "Notification for merchant %s from %s refused%s: %s",
        merchant,
        address,
        "" if room else " and not kept",
        reason,
    )
    if not room:
        return
    try:
        with transaction.atomic():
            WebhookEvent.objects.create(
                merchant=merchant,
                # NULL, so that it can never be taken for the genuine one.
                digest=None,
                body=body[:KEPT_BYTES],
                signature=_printable(signature)[:128],
                address=address,
                outcome=Outcome.REJECTED,
                error=reason,
            )
            _trim(merchant)
    except DatabaseError as error:
        logger.warning("A refused notification was not kept: %s", type(error).__name__)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def _has_room(merchant: str) -> bool:
    options = get_config().options_of(merchant)
    if options.rejected_events_kept == 0:
        return False
    key = f"pagoefectivo:rejected:{merchant}:{int(time.time() // 60)}"
    try:
        cache = caches[options.cache]
        cache.add(key, 0, timeout=120)
        return cache.incr(key) <= KEPT_A_MINUTE
    except Exception as error:
        # Any cache backend may raise anything when its server is away. Uncounted, nothing
        # is kept: a flood must not reach the database.
        logger.warning("The cache that counts refused notifications is away: %s", error)
        return False


def _trim(merchant: str) -> None:
    rejected = WebhookEvent.objects.filter(merchant=merchant, outcome=Outcome.REJECTED)
    kept = get_config().options_of(merchant).rejected_events_kept
    oldest_kept = rejected.order_by("-pk").values_list("pk", flat=True)[kept - 1 : kept].first()
    if oldest_kept is not None:
        rejected.filter(pk__lt=oldest_kept).delete()

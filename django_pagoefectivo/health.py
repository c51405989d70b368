"""The health view, for load balancers and monitors."""

from __future__ import annotations

import threading
import time

from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .models import Outcome, WebhookEvent

#: Seconds for which what was found out is told again: anybody may ask as often as they like.
KEPT = 1.0


class _Found:
    """What this process found out last: whether the database answers, and the last event."""

    lock = threading.Lock()
    until = 0.0
    answers = False
    minutes: int | None = None


@transaction.non_atomic_requests
@never_cache
@login_not_required
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 while the database answers, else 503.

    ``last_notification_minutes`` says how long ago the last genuine notification came, in
    whole minutes; ``null`` if none ever did.
    """
    with _Found.lock:
        if time.monotonic() >= _Found.until:
            _look()
            _Found.until = time.monotonic() + KEPT
        answers, minutes = _Found.answers, _Found.minutes
    return JsonResponse(
        {"database": answers, "last_notification_minutes": minutes}, status=200 if answers else 503
    )


def _look() -> None:
    try:
        latest = (
            WebhookEvent.objects.exclude(outcome=Outcome.REJECTED)
            .order_by("-received_at", "-id")
            .values_list("received_at", flat=True)
            .first()
        )
    except DatabaseError:
        _Found.answers, _Found.minutes = False, None
        return
    _Found.answers = True
    _Found.minutes = (
        None if latest is None else max(0, int((timezone.now() - latest).total_seconds() // 60))
    )

"""The yardstick: the least that a view can do with a notification and still keep it.

It verifies the signature, inserts the event and updates the payment, in raw SQL and one
transaction: two statements and one commit. It tells nobody, checks no currency and knows
neither late nor second payments.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

_EVENT = """
INSERT INTO bench_event (digest, body, signature, times_received, received_at)
VALUES (%s, %s, %s, 1, %s)
ON CONFLICT (digest) DO UPDATE SET times_received = bench_event.times_received + 1
"""
_PAYMENT = """
UPDATE bench_payment SET status = 'paid', operation_number = %s, paid_at = %s
WHERE cip = %s AND status = 'pending' AND amount = %s
"""


@csrf_exempt
@require_POST
def notified(request: HttpRequest) -> HttpResponse:
    """Take in a notification."""
    body = request.body
    secret = settings.PAGOEFECTIVO["MERCHANTS"]["default"]["SECRET_KEY"]
    signature = request.headers.get("PE-Signature", "")
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, expected):
        return HttpResponse("refused", status=403)
    sent = json.loads(body)
    data = sent["data"]
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_EVENT, [hashlib.sha256(body).hexdigest(), body, signature, now])
        cursor.execute(_PAYMENT, [sent["operationNumber"], now, data["cip"], str(data["amount"])])
    return HttpResponse("ok")

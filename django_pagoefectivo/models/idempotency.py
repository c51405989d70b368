"""What an ``Idempotency-Key`` of the REST API stands for."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class IdempotencyKey(models.Model):
    """One key that a caller sent with a create, and how far that got.

    Key, caller and body are kept as hashes only. ``payment_token`` is settled before
    anything is asked for, so that a process which dies leaves behind where to look.
    """

    #: Hash of who sent it and the key itself.
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    #: Hash of what was asked for with it.
    request_hash = models.CharField(max_length=64, editable=False)
    payment_token = models.UUIDField(_("public token"), default=uuid.uuid4, editable=False)
    #: The process that works on it, until when at the latest; "" once nobody does.
    claimed_by = models.CharField(max_length=100, blank=True, editable=False)
    claimed_until = models.DateTimeField(editable=False)
    #: HTTP status of the answer once it is final.
    answer_status = models.PositiveSmallIntegerField(null=True, editable=False)
    answer = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        indexes = (models.Index(fields=("created_at",), name="pagoefectivo_idem_age"),)

    def __str__(self) -> str:
        return str(self.payment_token)

"""Dropping what is known of a customer while the record of the money stays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from django.db.models import Q, QuerySet

from ..models import EntryKind, Payment, Source, Status, TimelineEntry
from .batches import in_batches
from .transactions import repeated_on_conflict

#: What the shop said of the customer; each is text and may be empty.
PERSONAL_FIELDS = (
    "customer_email",
    "customer_first_name",
    "customer_last_name",
    "customer_document_type",
    "customer_document_number",
    "customer_phone",
    "customer_phone_country_code",
    "customer_country",
    "customer_ubigeo",
    "customer_id_in_shop",
)
NOTE = "The customer's personal data was dropped."

_BATCH = 500
_STILL_OPEN = (Status.CREATED, Status.PENDING)
_KNOWN = ~Q(**dict.fromkeys(PERSONAL_FIELDS, ""))


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """How many payments were emptied, and how many were left because they are not settled."""

    forgotten: int
    left: int


def forget_customers(payments: QuerySet[Payment]) -> ForgetReport:
    """Empty the customer's fields of ``payments``, and note it on their timelines.

    Left as they are: payments that are open, for the shopper may still pay and ask, and those
    that need attention, for staff may have to call. Amounts, codes, dates and the order stay,
    and so do ``description`` and ``metadata``, which are the shop's own words. Safe to
    interrupt, and to repeat: an emptied payment is passed over.
    """
    known = payments.filter(_KNOWN)
    settled = Q(attention="") & ~Q(status__in=_STILL_OPEN)
    forgotten = 0
    for batch in in_batches(known.filter(settled).only("pk"), _BATCH):
        chosen = Payment.objects.filter(settled, _KNOWN, pk__in=[each.pk for each in batch])
        forgotten += repeated_on_conflict(partial(_empty, chosen))
    return ForgetReport(forgotten, known.count())


def _empty(chosen: QuerySet[Payment]) -> int:
    # Asked again under the lock: a late payment may just have put a flag on one.
    still = list(chosen.select_for_update().order_by("pk").values_list("pk", flat=True))
    Payment.objects.filter(pk__in=still).update(**dict.fromkeys(PERSONAL_FIELDS, ""))
    TimelineEntry.objects.bulk_create(
        TimelineEntry(payment_id=pk, kind=EntryKind.NOTE, source=Source.STAFF, note=NOTE)
        for pk in still
    )
    return len(still)

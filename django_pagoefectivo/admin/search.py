"""What staff type into a search box, as lookups that indexes answer."""

from __future__ import annotations

import re

from django.db.models import Q, Value
from django.db.models.functions import Lower

from ..gateways.wire import read_cip
from .filters import merchant_names

_SPACED_DIGITS = re.compile(r"[\d\s-]+", re.ASCII)


def cip_of(term: str) -> str:
    """A CIP as it is stored, from how people write it."""
    digits = re.sub(r"[\s-]", "", term) if _SPACED_DIGITS.fullmatch(term) else term
    return read_cip(digits)


def payment_lookup(term: str, *, email: bool, prefix: str = "") -> Q:
    """The payments ``term`` names: by CIP, order, transaction code and, if so, e-mail.

    Exact on purpose: everything else would read the whole table. ``prefix`` leads to the
    payment from another model.
    """
    found = (
        # The CIP's index begins with the merchant.
        Q(**{f"{prefix}merchant__in": merchant_names(), f"{prefix}cip": cip_of(term)})
        | Q(**{f"{prefix}order_reference": term})
        | Q(**{f"{prefix}transaction_code": term})
    )
    if email and "@" in term:
        # By the database's own idea of lower case, which some have for ASCII only.
        found |= Q(**{f"{prefix}email_key": Lower(Value(term))})
    return found

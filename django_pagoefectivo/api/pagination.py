"""Pages of payments that stay right while new ones come in, and cost the same anywhere.

Django REST framework's cursors count offsets among rows of the same time and can skip some
of those; here the primary key tells such rows apart.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from ..models import Payment

_TIME = "%Y%m%d%H%M%S%f"
_WRITTEN = re.compile(r"(?P<way>[fb])(?P<at>[0-9]{20})\.(?P<pk>[0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: behind one row, or, ``backwards``, before it."""

    at: datetime
    pk: int
    backwards: bool = False

    def __str__(self) -> str:
        way = "b" if self.backwards else "f"
        text = f"{way}{self.at.astimezone(UTC).strftime(_TIME)}.{self.pk}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Cursor:
        """The cursor that ``str`` wrote. Raises ``ValidationError`` for anything else."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            written = _WRITTEN.fullmatch(raw.decode("ascii"))
            moment = datetime.strptime(written["at"] if written else "", _TIME).replace(tzinfo=UTC)
        except (ValueError, binascii.Error):
            written = None
        if written is None:
            raise ValidationError(
                {"cursor": [_("Take cursors from the links of a page, as they are.")]}
            )
        return cls(moment, int(written["pk"]), written["way"] == "b")


@dataclass(frozen=True, slots=True)
class Page:
    """Some payments, and the addresses of the pages beside them."""

    payments: list[Payment]
    next: str | None
    previous: str | None


def page_of(
    payments: QuerySet[Payment], request: Request, wanted: Mapping[str, object], size: int
) -> Page:
    """The page that ``wanted`` (``cursor``, ``ordering``) asks for: one statement."""
    cursor = wanted.get("cursor")
    newest_first = wanted.get("ordering", "-created_at") == "-created_at"
    backwards = isinstance(cursor, Cursor) and cursor.backwards
    descending = newest_first != backwards
    if isinstance(cursor, Cursor):
        payments = payments.filter(_beyond(cursor, descending))
    sign = "-" if descending else ""
    found = list(payments.order_by(f"{sign}created_at", f"{sign}id")[: size + 1])
    more = len(found) > size
    rows = found[:size]
    if backwards:
        rows.reverse()
    has_next = bool(rows) and (backwards or more)
    has_previous = bool(rows) and (more if backwards else cursor is not None)
    return Page(
        rows,
        _link(request, rows[-1], backwards=False) if has_next else None,
        _link(request, rows[0], backwards=True) if has_previous else None,
    )


def _beyond(cursor: Cursor, descending: bool) -> Q:
    side = "lt" if descending else "gt"
    ties = Q(created_at=cursor.at, **{f"id__{side}": cursor.pk})
    # Said twice: the first part is what the index is entered by.
    return Q(**{f"created_at__{side}e": cursor.at}) & (
        Q(**{f"created_at__{side}": cursor.at}) | ties
    )


def _link(request: Request, row: Payment, *, backwards: bool) -> str:
    cursor = Cursor(row.created_at, row.pk, backwards)
    return str(replace_query_param(request.build_absolute_uri(), "cursor", str(cursor)))

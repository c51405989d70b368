"""How the staff's screens write moments, amounts and states."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db.models import TextChoices
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..services.staff import in_lima

NOTHING = "-"


def lima(moment: datetime | None) -> str:
    """A moment in Lima time, to the minute, the same in every language."""
    return NOTHING if moment is None else in_lima(moment)


def money(amount: Decimal | None, currency: str) -> str:
    """``1,234.50 PEN``, with the separators of the reader's language."""
    if amount is None:
        return NOTHING
    return f"{number_format(amount, 2, use_l10n=True, force_grouping=True)} {currency}".strip()


def label_of(choices: type[TextChoices], value: str) -> str:
    """``value`` in words, for lists: ``get_…_display`` hashes all the choices for each row."""
    return str(choices(value).label) if value in choices else value


def badge(value: str, label: object, kind: str = "status") -> SafeString | str:
    """A state as a coloured word; ``""`` for none."""
    if not value:
        return ""
    return format_html('<span class="pe-badge pe-{}-{}">{}</span>', kind, value, label)

"""Options of commands that choose payments."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ..models import Attention, Status
from ..services.selection import ANY, Selection


def add_selection(parser: ArgumentParser) -> None:
    """Declare the options."""
    chosen = parser.add_argument_group("which payments; all of these must hold")
    chosen.add_argument("--status", default="", choices=Status.values)
    chosen.add_argument("--merchant", default="")
    chosen.add_argument("--attention", default="", choices=[ANY, *Attention.values])
    chosen.add_argument("--reconciled", default="", choices=["yes", "no"])
    chosen.add_argument(
        "--from-day", default="", metavar="DAY", help="Made on this Lima day or later."
    )
    chosen.add_argument(
        "--to-day", default="", metavar="DAY", help="Made on this Lima day or earlier."
    )


def selection_from(options: dict[str, Any]) -> Selection:
    """What they choose. Raises ``CommandError`` for what is no day."""
    names = Selection.__dataclass_fields__
    selection = Selection(**{name: options[name] for name in names})
    try:
        selection.payments()
    except (ValueError, OverflowError):
        raise CommandError("A day is written as in 2026-01-31.") from None
    return selection

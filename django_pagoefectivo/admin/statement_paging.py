"""Pages of a statement's lines: each reads its own rows, wherever in the file it is.

A page is known by the line it begins after. The index on statement, state and number
answers for one state; several states are merged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.http import HttpRequest

from ..models import LineState, Statement, StatementLine
from ..services.statement_figures import put_aside, waiting
from ..services.statement_matching import OPEN_STATES

PAGE = 50
WAITING, ASIDE, ALL = "waiting", "aside", "all"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a statement somebody is: a tab, and the line after or before which."""

    tab: str
    after: int = 0
    before: int = 0

    @classmethod
    def of(cls, request: HttpRequest) -> Place:
        """The place that the query parameters name; what they say wrong is left out."""
        tab = request.GET.get("tab", WAITING)
        known = tab in (WAITING, ASIDE, ALL, *LineState.values)
        return cls(
            tab if known else WAITING,
            _number(request.GET.get("after", "")),
            _number(request.GET.get("before", "")),
        )

    @property
    def query(self) -> str:
        """The query string of the place."""
        parts = [f"tab={self.tab}"]
        if self.after:
            parts.append(f"after={self.after}")
        if self.before:
            parts.append(f"before={self.before}")
        return "&".join(parts)


@dataclass(frozen=True, slots=True)
class LinePage:
    """Some lines, and the places before and after them."""

    lines: list[StatementLine]
    previous: Place | None
    next: Place | None


def page_of_lines(statement: Statement, place: Place) -> LinePage:
    """The lines at ``place``, with their payments and who settled them."""
    back = bool(place.before)
    found: list[tuple[int, int]] = []
    for rows in _by_state(statement, place.tab):
        here = (
            rows.filter(number__lt=place.before).order_by("-number")
            if back
            else rows.filter(number__gt=place.after).order_by("number")
        )
        found += here.values_list("number", "pk")[: PAGE + 1]
    found.sort(reverse=back)
    more = len(found) > PAGE
    chosen = sorted(found[:PAGE])
    lines = StatementLine.objects.filter(pk__in=[pk for _number, pk in chosen])
    return LinePage(
        list(lines.select_related("statement", "payment", "settled_by").order_by("number")),
        previous=(
            Place(place.tab, before=chosen[0][0])
            if chosen and (more if back else place.after)
            else None
        ),
        next=Place(place.tab, after=chosen[-1][0]) if chosen and (back or more) else None,
    )


def _by_state(statement: Statement, tab: str) -> Iterable[QuerySet[StatementLine]]:
    """The lines of a tab, a state at a time."""
    lines = statement.lines.all()
    if tab in (WAITING, ASIDE):
        for state in OPEN_STATES:
            rows = lines.filter(state=state)
            yield waiting(rows) if tab == WAITING else put_aside(rows)
        return
    for each in LineState.values if tab == ALL else [tab]:
        yield lines.filter(state=each)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

"""What the page of one statement shows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..discretion import Discretion
from ..models import LineState, Statement, StatementLine
from ..services.statement_figures import DayTotal, counts_of, put_aside, waiting
from .acts import OfferedAct
from .base import link_to
from .formatting import NOTHING, lima, money
from .statement_import import LineRow, line_row
from .statement_lines import StatementLineAdmin, settled_text
from .statement_paging import ALL, ASIDE, WAITING, LinePage, Place, page_of_lines

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.utils.functional import _StrOrPromise


@dataclass(frozen=True, slots=True)
class Tab:
    """A part of a statement's lines, as a link."""

    label: _StrOrPromise
    count: int
    query: str
    selected: bool


@dataclass(frozen=True, slots=True)
class PageRow:
    """A line on the statement's page: with its payment and what can be done."""

    row: LineRow
    settled: str
    payment: str
    payment_url: str
    acts: list[OfferedAct]


@dataclass(frozen=True, slots=True)
class TotalRow:
    """A day's or a currency's sums as text."""

    day: str
    count: int
    gross: str
    commission: str
    net: str
    ours: str
    difference: str
    agrees: bool


class StatementPage:
    """The page of ``statement`` as the person at the screen may see it."""

    def __init__(self, request: HttpRequest, site: AdminSite, statement: Statement) -> None:
        self._request = request
        self._site = site
        self._discretion = Discretion.of(request)
        self.statement = statement
        self.place = Place.of(request)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many lines are in each state."""
        return counts_of(self.statement)

    @cached_property
    def tabs(self) -> list[Tab]:
        """The parts of the lines that have any."""
        lines = self.statement.lines.all()
        parts: list[tuple[str, _StrOrPromise, int]] = [
            (WAITING, _("to look into"), waiting(lines).count()),
            *((state, state.label, self.counts.get(state, 0)) for state in LineState),
            (ASIDE, _("put aside"), put_aside(lines).count()),
            (ALL, _("all lines"), sum(self.counts.values())),
        ]
        here = self.place.tab
        return [
            Tab(label, count, Place(name).query, name == here)
            for name, label, count in parts
            if count or name in (WAITING, ALL, here)
        ]

    @cached_property
    def page(self) -> LinePage:
        """The lines of this page."""
        return page_of_lines(self.statement, self.place)

    @property
    def rows(self) -> list[PageRow]:
        """The lines of this page as rows."""
        return [self._row(line) for line in self.page.lines]

    def _row(self, line: StatementLine) -> PageRow:
        line.statement = self.statement
        url = link_to(self._site, self._request, line.payment) if line.payment else ""
        lines: Any = self._site.get_model_admin(StatementLine)
        return PageRow(
            line_row(line, self._discretion),
            settled=settled_text(line, self._discretion),
            payment=str(line.payment) if url else "",
            payment_url=url,
            acts=(
                lines.acts_at(self._request, line, self.place)
                if isinstance(lines, StatementLineAdmin)
                else []
            ),
        )

    @property
    def uploaded(self) -> str:
        """When it was imported and by whom."""
        by = self.statement.uploaded_by
        name = self._discretion.text(by.get_username(), None) if by else gettext("the command line")
        return gettext("%(when)s by %(name)s") % {
            "when": lima(self.statement.uploaded_at),
            "name": name,
        }

    @property
    def period(self) -> str:
        """Its first and last day."""
        return period_of(self.statement)


def period_of(statement: Statement) -> str:
    """The days a statement is about."""
    if statement.first_day is None:
        return NOTHING
    if statement.first_day == statement.last_day:
        return f"{statement.first_day}"
    return gettext("%(first)s to %(last)s") % {
        "first": statement.first_day,
        "last": statement.last_day,
    }


def total_row(total: DayTotal) -> TotalRow:
    """The sums of one day and currency."""
    currency = total.currency
    return TotalRow(
        day=str(total.day or _("no date")),
        count=total.count,
        gross=money(total.gross, currency),
        commission=money(total.commission, currency),
        net=money(total.net, currency),
        ours=money(total.ours, currency),
        difference=money(total.difference, currency),
        agrees=not total.difference,
    )


def sum_row(totals: list[DayTotal], currency: str) -> TotalRow:
    """The sums of all days of one currency."""
    of_it = [total for total in totals if total.currency == currency]

    def added(values: list[Decimal | None]) -> Decimal | None:
        known = [value for value in values if value is not None]
        return sum(known, Decimal(0)) if known else None

    return total_row(
        DayTotal(
            day=_("All days"),
            currency=currency,
            count=sum(total.count for total in of_it),
            gross=sum((total.gross for total in of_it), Decimal(0)),
            commission=added([total.commission for total in of_it]),
            net=added([total.net for total in of_it]),
            ours=sum((total.ours for total in of_it), Decimal(0)),
        )
    )

"""What the dashboard says of some figures: tiles, charts and tables in the reader's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils import dateformat
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..services.statistics import Counts, Failure, Money, Spread, Statistics
from .dashboard_charts import Bucket, Chart, Point, Table, bars, ranking, shares
from .formatting import NOTHING, money

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Longer periods are drawn by weeks: more bars than that cannot be told apart.
_MOST_BARS = 92
_MOST_REASONS = 12
_OUTCOMES: tuple[tuple[str, _StrOrPromise], ...] = (
    ("paid", _("paid")),
    ("refunded", _("refunded")),
    ("open", _("open")),
    ("expired", _("expired")),
    ("cancelled", _("cancelled")),
    ("failed", _("failed")),
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure to be read at a glance."""

    name: _StrOrPromise
    values: Sequence[str]
    note: str = ""


class Dashboard:
    """What the dashboard shows of some figures."""

    def __init__(self, figures: Statistics) -> None:
        self._figures = figures

    @property
    def period(self) -> str:
        """The days in words."""
        period = self._figures.period
        return _span([period.first, period.last])

    @cached_property
    def tiles(self) -> list[Tile]:
        """The figures for the top."""
        figures, totals = self._figures, self._figures.totals
        sums: dict[str, Decimal] = {}
        for each in figures.money:
            sums[each.currency] = sums.get(each.currency, Decimal(0)) + each.amount
        return [
            Tile(_("Money in"), _amounts(sums), gettext("paid in these days")),
            Tile(_("Paid"), [_number(totals.paid + totals.refunded)], self._of_created()),
            Tile(_("Success rate"), [_share(totals.success_rate)], gettext("of what is not open")),
            Tile(_("Open now"), _amounts(figures.open_amounts), gettext("waiting for payment")),
            _spread_tile(_("From code to payment"), figures.time_to_pay),
            _spread_tile(_("Delay of notifications"), figures.webhook_delay),
        ]

    def _of_created(self) -> str:
        return gettext("of %s created") % _number(self._figures.totals.created)

    @cached_property
    def charts(self) -> list[Chart]:
        """The charts."""
        currencies = dict.fromkeys(each.currency for each in self._figures.money)
        return [
            self._outcomes(),
            *(self._money(currency) for currency in sorted(currencies)),
            self._success(),
            self._reasons(),
        ]

    @cached_property
    def merchants(self) -> Table | None:
        """The counts of each merchant, if there are several."""
        found: dict[str, Counts] = {}
        for row in self._figures.by_day:
            found.setdefault(row.merchant, Counts()).add(row.counts)
        if len(found) < 2:
            return None
        return Table(
            (_("Merchant"), *_COUNT_COLUMNS),
            [(name, *_counts_cells(found[name])) for name in sorted(found)],
        )

    # -- the charts ------------------------------------------------------------------------

    def _outcomes(self) -> Chart:
        per_day, totals = self._figures.per_day, self._figures.totals
        buckets = []
        for days in self._spans:
            counts = Counts()
            for day in days:
                counts.add(per_day[day])
            parts = [(name, float(getattr(counts, name))) for name, _label in _OUTCOMES]
            said = ", ".join(
                f"{label} {getattr(counts, name)}"
                for name, label in _OUTCOMES
                if getattr(counts, name)
            )
            title = gettext("%(day)s: %(count)d created") % {
                "day": _span(days),
                "count": counts.created,
            }
            buckets.append(Bucket(_short(days[0]), f"{title} ({said})" if said else title, parts))
        return bars(
            "outcomes",
            _("Payments by the day they were created"),
            gettext("%(created)s created: %(outcomes)s.")
            % {
                "created": _number(totals.created),
                "outcomes": ", ".join(
                    f"{label} {_number(getattr(totals, name))}" for name, label in _OUTCOMES
                ),
            },
            Table(
                (_("Day (Lima)"), *_COUNT_COLUMNS),
                [(_long(day), *_counts_cells(counts)) for day, counts in per_day.items()],
            ),
            buckets=buckets,
            scale=_number,
            legend=_OUTCOMES,
        )

    def _money(self, currency: str) -> Chart:
        found = {each.day: each for each in self._figures.money if each.currency == currency}
        total = sum((each.amount for each in found.values()), Decimal(0))
        best = max(found.values(), key=lambda each: each.amount)
        buckets = []
        for days in self._spans:
            amount = sum((found[day].amount for day in days if day in found), Decimal(0))
            title = f"{_span(days)}: {money(amount, currency)}"
            buckets.append(Bucket(_short(days[0]), title, [("money", float(amount))]))
        return bars(
            f"money-{currency.lower()}",
            gettext("Money in, %s") % currency,
            gettext("%(total)s in all, most on %(day)s: %(most)s.")
            % {
                "total": money(total, currency),
                "day": _long(best.day),
                "most": money(best.amount, currency),
            },
            Table(
                (_("Day (Lima)"), _("payments"), _("amount")),
                [self._money_row(day, found.get(day), currency) for day in self._days],
            ),
            buckets=buckets,
            scale=_number,
        )

    @staticmethod
    def _money_row(day: date, found: Money | None, currency: str) -> tuple[object, ...]:
        if found is None:
            return (_long(day), 0, money(Decimal(0), currency))
        return (_long(day), found.count, money(found.amount, currency))

    def _success(self) -> Chart:
        per_day = self._figures.per_day
        points = []
        for days in self._spans:
            counts = Counts()
            for day in days:
                counts.add(per_day[day])
            rate = counts.success_rate
            points.append(Point(_short(days[0]), f"{_span(days)}: {_share(rate)}", rate))
        return shares(
            "success",
            _("Success rate"),
            gettext("%s of the payments that are not open were paid.")
            % _share(self._figures.totals.success_rate),
            Table(
                (_("Day (Lima)"), _("not open"), _("paid"), _("success rate")),
                [
                    (
                        _long(day),
                        counts.created - counts.open,
                        counts.paid + counts.refunded,
                        _share(counts.success_rate),
                    )
                    for day, counts in per_day.items()
                ],
            ),
            points=points,
        )

    def _reasons(self) -> Chart:
        found = sorted(self._figures.failures, key=lambda each: -each.count)
        total = sum(each.count for each in found)
        rows = [(f"reason-{each.kind}", _reason(each), each.count) for each in found]
        text = gettext("No payment failed.")
        if rows:
            text = gettext("%(total)s failed, most often: %(reason)s.") % {
                "total": _number(total),
                "reason": rows[0][1],
            }
        return ranking(
            "reasons",
            _("Why payments fail"),
            text,
            Table(
                (_("Reason"), _("payments"), _("share")),
                [(label, count, _share(count / total)) for _css, label, count in rows],
            ),
            rows=rows[:_MOST_REASONS],
        )

    # -- days ------------------------------------------------------------------------------

    @cached_property
    def _days(self) -> list[date]:
        return self._figures.period.days

    @cached_property
    def _spans(self) -> list[list[date]]:
        """The days of each bar: one, or a week."""
        length = 1 if len(self._days) <= _MOST_BARS else 7
        return [self._days[at : at + length] for at in range(0, len(self._days), length)]


# -- words -----------------------------------------------------------------------------------

#: The app's own errors; any other is shown by its name.
_SYSTEM: dict[str, _StrOrPromise] = {
    "GatewayUnavailable": _("PagoEfectivo not reachable"),
    "AuthenticationFailed": _("credentials not accepted"),
}
_COUNT_COLUMNS: tuple[_StrOrPromise, ...] = (
    _("created"),
    *(label for _name, label in _OUTCOMES),
    _("success rate"),
)


def _counts_cells(counts: Counts) -> Iterator[object]:
    yield _number(counts.created)
    for name, _label in _OUTCOMES:
        yield _number(getattr(counts, name))
    yield _share(counts.success_rate)


def _reason(failure: Failure) -> str:
    code = str(_SYSTEM.get(failure.code, failure.code)) or gettext("unknown")
    if failure.kind == "gave_up":
        return gettext("The shopper gave up (expired unpaid)")
    if failure.kind == "refused":
        return gettext("Refused by PagoEfectivo: code %s") % code
    if failure.kind == "unknown":
        return gettext("Nobody knows whether a code was made")
    return gettext("System error: %s") % code


def _spread_tile(name: _StrOrPromise, spread: Spread | None) -> Tile:
    if spread is None:
        return Tile(name, [NOTHING])
    slow = gettext("nine of ten within %s") % duration(spread.percentile_90)
    return Tile(name, [duration(spread.median)], slow)


def duration(took: timedelta) -> str:
    """A duration in its two greatest units; clocks that disagree never make it negative."""
    seconds = max(round(took.total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        great, small, rest = gettext("%d d") % days, gettext("%d h"), hours % 24
    elif hours:
        great, small, rest = gettext("%d h") % hours, gettext("%d min"), minutes % 60
    elif minutes:
        great, small, rest = gettext("%d min") % minutes, gettext("%d s"), seconds % 60
    else:
        return gettext("%d s") % seconds
    return " ".join([great, small % rest] if rest else [great])


def _amounts(sums: dict[str, Decimal]) -> list[str]:
    return [money(amount, currency) for currency, amount in sorted(sums.items())] or [NOTHING]


def _number(value: float) -> str:
    return number_format(round(value), 0, use_l10n=True, force_grouping=True)


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{number_format(Decimal(value * 100), 1)} %"


def _short(day: date) -> str:
    return dateformat.format(day, "j M")


def _long(day: date) -> str:
    return dateformat.format(day, "j M Y")


def _span(days: Sequence[date]) -> str:
    if len(days) == 1:
        return _long(days[0])
    return gettext("%(first)s to %(last)s") % {"first": _long(days[0]), "last": _long(days[-1])}

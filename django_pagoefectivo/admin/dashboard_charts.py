"""Charts as plain figures for a template that draws SVG. Pure.

What runs along the page is in per cent and what stands upright in pixels, so that a chart
fills a phone and a wide screen alike and its text keeps its size. All numbers are ready
made text: a template would write them with the reader's decimal comma.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

HEIGHT = 200
_TOP = 18
_BASE = HEIGHT - 24
_LABELS = 4
#: More points than that would hide their line.
_FEW = 40
_ROW = 44
_STEPS = (1, 2, 4, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bar's place: the short label below it and, from the bottom up, its parts."""

    label: str
    title: str
    parts: Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a line; without a value the line has a gap."""

    label: str
    title: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Rect:
    """A part of a bar."""

    css: str
    x: str
    y: str
    width: str
    height: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A stretch between two points."""

    x1: str
    y1: str
    x2: str
    y2: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point that is shown."""

    x: str
    y: str
    title: str


@dataclass(frozen=True, slots=True)
class Label:
    """Text in the drawing."""

    x: str
    y: str
    text: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Table:
    """The figures behind a chart: each row's first cell is its heading."""

    columns: Sequence[_StrOrPromise]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, what it says in a sentence, and the table behind it."""

    name: str
    title: _StrOrPromise
    text: str
    table: Table
    height: int = HEIGHT
    grid: Sequence[Label] = ()
    rects: Sequence[Rect] = ()
    lines: Sequence[Line] = ()
    dots: Sequence[Dot] = ()
    radius: str = "3.5"
    labels: Sequence[Label] = ()
    legend: Sequence[tuple[str, _StrOrPromise]] = field(default_factory=tuple)


def bars(
    name: str,
    title: _StrOrPromise,
    text: str,
    table: Table,
    *,
    buckets: Sequence[Bucket],
    scale: Callable[[float], str],
    legend: Sequence[tuple[str, _StrOrPromise]] = (),
) -> Chart:
    """Bars of stacked parts, one beside the other."""
    top = top_of(max((sum(value for _, value in each.parts) for each in buckets), default=0))
    rects = []
    step = 100 / max(len(buckets), 1)
    for at, bucket in enumerate(buckets):
        y = float(_BASE)
        for css, value in bucket.parts:
            if not value:
                continue
            height = value / top * (_BASE - _TOP)
            y -= height
            rects.append(
                Rect(
                    css,
                    x=_percent((at + 0.1) * step),
                    y=_pixels(y),
                    width=_percent(0.8 * step),
                    height=_pixels(height),
                    title=bucket.title,
                )
            )
    return Chart(
        name,
        title,
        text,
        table,
        grid=_grid(top, scale),
        rects=rects,
        labels=_labels([bucket.label for bucket in buckets]),
        legend=legend,
    )


def shares(
    name: str, title: _StrOrPromise, text: str, table: Table, *, points: Sequence[Point]
) -> Chart:
    """A line of shares from 0 to 1."""
    step = 100 / max(len(points), 1)
    places = [
        (
            _percent((at + 0.5) * step),
            _pixels(_BASE - point.value * (_BASE - _TOP)),
            point.title,
        )
        if point.value is not None
        else None
        for at, point in enumerate(points)
    ]
    return Chart(
        name,
        title,
        text,
        table,
        grid=_grid(1, lambda value: f"{value:.0%}"),
        lines=[
            Line(a[0], a[1], b[0], b[1])
            for a, b in pairwise(places)
            if a is not None and b is not None
        ],
        dots=[Dot(*place) for place in places if place is not None],
        radius="3.5" if len(points) <= _FEW else "1.5",
        labels=_labels([point.label for point in points]),
    )


def ranking(
    name: str,
    title: _StrOrPromise,
    text: str,
    table: Table,
    *,
    rows: Sequence[tuple[str, str, int]],
) -> Chart:
    """Bars that lie below each other, each under its name: class, name and number."""
    most = max((number for _css, _name, number in rows), default=0) or 1
    return Chart(
        name,
        title,
        text,
        table,
        height=max(len(rows), 1) * _ROW,
        rects=[
            Rect(
                css,
                x="0%",
                y=str(at * _ROW + 20),
                width=_percent(number / most * 100),
                height="14",
                title=f"{label}: {number}",
            )
            for at, (css, label, number) in enumerate(rows)
        ],
        labels=[
            Label("0%", str(at * _ROW + 14), f"{label}: {number}")
            for at, (_css, label, number) in enumerate(rows)
        ],
    )


def top_of(most: float) -> float:
    """A round number not below ``most`` whose half is round too; at least 2."""
    power = 1.0
    while True:
        for step in _STEPS:
            if step * power >= max(most, 2):
                return step * power
        power *= 10


def _grid(top: float, scale: Callable[[float], str]) -> list[Label]:
    return [
        Label("0%", _pixels(_BASE - share * (_BASE - _TOP)), scale(top * share))
        for share in (0.5, 1)
    ]


def _labels(texts: Sequence[str]) -> list[Label]:
    """Some of the labels below, so many that they fit on a phone."""
    count = len(texts)
    if not count:
        return []
    last = count - 1
    chosen = sorted({round(last * part / (_LABELS - 1)) for part in range(_LABELS)})
    found = []
    for at in chosen:
        if count == 1:
            place, anchor = 50.0, "middle"
        elif at in (0, last):
            place, anchor = (0.0, "start") if at == 0 else (100.0, "end")
        else:
            place, anchor = (at + 0.5) / count * 100, "middle"
        found.append(Label(_percent(place), str(HEIGHT - 6), texts[at], anchor))
    return found


def _percent(number: float) -> str:
    return f"{number:.3f}%"


def _pixels(number: float) -> str:
    return f"{number:.1f}"

"""Charts: numbers in the drawing that mean what they say."""

from __future__ import annotations

import pytest
from django.utils import translation

from django_pagoefectivo.admin.dashboard_charts import (
    HEIGHT,
    Bucket,
    Point,
    Table,
    bars,
    ranking,
    shares,
    top_of,
)

TABLE = Table((), ())
BASE, TOP = HEIGHT - 24, 18


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 2), (1, 2), (2, 2), (3, 4), (42, 60), (100, 100), (101, 200), (7101, 8000)],
)
def test_the_scale_ends_at_a_round_number(most: float, top: float) -> None:
    assert top_of(most) == top


def test_bars_stand_on_the_line_and_their_parts_on_each_other() -> None:
    chart = bars(
        "x",
        "X",
        "",
        TABLE,
        buckets=[
            Bucket("1 Nov", "first", [("paid", 3), ("open", 0), ("failed", 1)]),
            Bucket("2 Nov", "second", [("paid", 2)]),
        ],
        scale=str,
    )
    paid, failed, second = chart.rects
    assert [rect.css for rect in chart.rects] == ["paid", "failed", "paid"]
    assert float(paid.y) + float(paid.height) == BASE
    assert float(failed.y) + float(failed.height) == pytest.approx(float(paid.y), abs=0.1)
    assert float(failed.y) == TOP
    assert float(second.height) == pytest.approx((BASE - TOP) / 2, abs=0.1)
    assert (paid.x, paid.width, second.x) == ("5.000%", "40.000%", "55.000%")
    assert [line.text for line in chart.grid] == ["2.0", "4.0"]


def test_no_bars_at_all() -> None:
    chart = bars("x", "X", "", TABLE, buckets=[], scale=str)
    assert (chart.rects, chart.labels) == ([], [])


def test_a_share_that_is_not_known_breaks_the_line() -> None:
    points = [Point(str(at), "", value) for at, value in enumerate([0, 0.5, None, 1.0])]
    chart = shares("x", "X", "", TABLE, points=points)
    assert [float(dot.y) for dot in chart.dots] == [BASE, (BASE + TOP) / 2, TOP]
    (line,) = chart.lines
    assert (line.x1, line.x2) == ("12.500%", "37.500%")


def test_many_points_have_small_dots() -> None:
    few = shares("x", "X", "", TABLE, points=[Point("", "", 1.0)] * 7)
    many = shares("x", "X", "", TABLE, points=[Point("", "", 1.0)] * 90)
    assert float(many.radius) < float(few.radius)


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 2), (7, 4), (30, 4), (90, 4)])
def test_labels_fit_and_begin_and_end_at_the_edges(count: int, expected: int) -> None:
    buckets = [Bucket(str(at), "", [("paid", 1)]) for at in range(count)]
    labels = bars("x", "X", "", TABLE, buckets=buckets, scale=str).labels
    assert len(labels) == expected
    if count > 1:
        assert (labels[0].text, labels[0].anchor) == ("0", "start")
        assert (labels[-1].text, labels[-1].anchor) == (str(count - 1), "end")


def test_a_ranking_is_drawn_to_its_greatest() -> None:
    chart = ranking("x", "X", "", TABLE, rows=[("a", "One", 8), ("b", "Two", 2)])
    assert [rect.width for rect in chart.rects] == ["100.000%", "25.000%"]
    assert [label.text for label in chart.labels] == ["One: 8", "Two: 2"]
    assert chart.height > float(chart.rects[-1].y) + float(chart.rects[-1].height)


def test_a_reader_with_decimal_commas_gets_the_same_drawing() -> None:
    buckets = [Bucket("", "", [("paid", 1)]), Bucket("", "", [("paid", 3)])]
    with translation.override("es"):
        chart = bars("x", "X", "", TABLE, buckets=buckets, scale=str)
    assert all("," not in part for rect in chart.rects for part in (rect.x, rect.y, rect.height))

"""What the page on monitoring says is run here."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from django_pagoefectivo import metrics, prometheus
from tests.promises.kit import body_of, post

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "monitoring.rst").read_text("utf-8")


def snippets(kind: str) -> list[str]:
    found = re.findall(rf"^\.\. code-block:: {kind}\n\n((?:(?:   .*)?\n)+)", PAGE, re.MULTILINE)
    return [textwrap.dedent(code) for code in found]


@pytest.fixture
def names() -> set[str]:
    registry = CollectorRegistry()
    prometheus.PrometheusObserver(registry)
    registry.register(prometheus.StateCollector())
    found = set()
    for metric in registry.collect():
        found.add(metric.name + ("_total" if metric.type == "counter" else ""))
    return found


@pytest.mark.django_db(transaction=True)
def test_the_table_and_the_rules_name_what_there_is(names: set[str]) -> None:
    # The age of a notification that never came is not told.
    known = names | {"pagoefectivo_last_notification_age_seconds"}
    assert set(re.findall(r"^``(pagoefectivo_\w+)``", PAGE, re.MULTILINE)) == known
    (rules,) = snippets("yaml")
    (group,) = yaml.safe_load(rules)["groups"]
    assert len(group["rules"]) > 3
    for rule in group["rules"]:
        (name,) = re.findall(r"pagoefectivo_\w+", rule["expr"])
        assert name in known
        assert rule["annotations"]["summary"]


@pytest.mark.django_db(transaction=True)
def test_an_observer_of_ones_own() -> None:
    values: dict[str, Any] = {}
    exec(compile(snippets("python")[2], "monitoring.rst", "exec"), values)  # noqa: S102
    (counts,) = [one for one in metrics._observers if isinstance(one, values["Counts"])]
    try:
        assert post(body_of(cip="1", amount=1, currency="PEN"), signature="0").status_code == 403
        assert counts.refused == 1
    finally:
        metrics.forget(counts)

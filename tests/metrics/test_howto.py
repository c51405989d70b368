"""What the page on monitoring says is run here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from django_pagoefectivo import prometheus
from tests.docs.blocks import snippets

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "monitoring.rst").read_text("utf-8")


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
    (rules,) = snippets("howto/monitoring", "yaml")
    (group,) = yaml.safe_load(rules.code)["groups"]
    assert len(group["rules"]) > 3
    for rule in group["rules"]:
        (name,) = re.findall(r"pagoefectivo_\w+", rule["expr"])
        assert name in known
        assert rule["annotations"]["summary"]

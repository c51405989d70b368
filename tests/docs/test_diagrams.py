"""The diagrams say what the code does."""

from __future__ import annotations

import re
from decimal import Decimal

from django_pagoefectivo.gateways import RemoteStatus
from django_pagoefectivo.models import Status
from django_pagoefectivo.services.state_machine import LAWFUL, Fact, PaymentState, decide

from .blocks import DOCS, parsed

FOLDER = DOCS / "explanation"
EDGE = re.compile(r"^ +(\w+) -> (\w+) +\[(.*)\]$", re.MULTILINE)


def source_of(name: str) -> str:
    return re.sub(r"^ *//.*$", "", (FOLDER / f"{name}.dot").read_text("utf-8"), flags=re.MULTILINE)


def test_the_states_are_the_state_machines() -> None:
    source = source_of("payment-states")
    edges = [(start, end) for start, end, _ in EDGE.findall(source)]
    assert source.count("->") == len(edges) == len(set(edges))
    assert set(edges) == {(start, end) for start, ends in LAWFUL.items() for end in ends}
    assert {name for edge in edges for name in edge} == set(Status.values)


def test_dashed_is_what_staff_look_at() -> None:
    for start, end, attributes in EDGE.findall(source_of("payment-states")):
        state = PaymentState(start, Decimal(5), "PEN", "1" if start == "paid" else "")
        decision = decide(state, Fact(RemoteStatus(end), Decimal(5), "PEN", "1"))
        assert decision.to == end
        assert ("dashed" in attributes) == (decision.flag is not None), (start, end)
        assert ("late" in attributes) == decision.late, (start, end)


def test_the_answers_are_those_of_the_reference() -> None:
    drawn = set(re.findall(r'label = "(\d{3})\b', source_of("way-of-a-notification")))
    table = (DOCS / "reference/urls.rst").read_text("utf-8").partition("Answers of the webhook")[2]
    told = set(re.findall(r"^(\d{3}) ", table, re.MULTILINE))
    # The diagram begins with a POST.
    assert drawn == told - {"405"}


def test_each_diagram_is_shown_and_described_in_words() -> None:
    for diagram in FOLDER.glob("*.dot"):
        shown = [
            page.read_text("utf-8")
            for page in FOLDER.glob("*.rst")
            if f".. graphviz:: {diagram.name}\n" in page.read_text("utf-8")
        ]
        assert len(shown) == 1, diagram.name
        assert re.search(rf"graphviz:: {diagram.name}\n   :alt: \w", shown[0])
        parsed(shown[0], diagram.name)

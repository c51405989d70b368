"""The lines as JSON and as JUnit, for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as ET

from .lines import Line, Verdict


def as_data(lines: Sequence[Line]) -> dict[str, Any]:
    """Everything, ready for JSON."""
    return {
        "passed": all(line.verdict is not Verdict.FAILED for line in lines),
        "lines": [asdict(line) for line in lines],
    }


def as_junit(lines: Sequence[Line], name: str) -> bytes:
    """A JUnit report in which each line is a test case."""
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(lines)),
        failures=str(sum(line.verdict is Verdict.FAILED for line in lines)),
        skipped=str(sum(line.verdict is Verdict.SKIPPED for line in lines)),
        errors="0",
    )
    for line in lines:
        case = ET.SubElement(
            suite, "testcase", classname=f"{name}.{line.scenario}", name=_clean(line.did)
        )
        if line.verdict is Verdict.FAILED:
            failure = ET.SubElement(case, "failure", message=_clean(line.saw))
            failure.text = _clean(f"Must be: {line.must}\nSeen: {line.saw}\nTo mend: {line.mend}")
        elif line.verdict is Verdict.SKIPPED:
            ET.SubElement(case, "skipped", message=_clean(line.saw))
        else:
            ET.SubElement(case, "system-out").text = _clean(line.saw)
    root = ET.Element("testsuites")
    root.append(suite)
    report: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return report


def _clean(text: str) -> str:
    """Without what XML cannot hold, as a receiver's error may."""
    return "".join(c if c in "\t\n" or c >= " " else "\ufffd" for c in text).replace("\ufffe", "")

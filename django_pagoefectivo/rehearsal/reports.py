"""The lines as JSON and as JUnit, for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as ET

from .lines import Line, Verdict


def as_data(lines: Sequence[Line]) -> dict[str, Any]:
    """Everything, ready for JSON. ``reason`` says why it could not be played, if so."""
    return {
        "passed": not any(line.verdict in (Verdict.FAILED, Verdict.ERROR) for line in lines),
        "reason": next((line.saw for line in lines if line.verdict is Verdict.ERROR), ""),
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
        errors=str(sum(line.verdict is Verdict.ERROR for line in lines)),
    )
    for line in lines:
        case = ET.SubElement(
            suite, "testcase", classname=_clean(f"{name}.{line.scenario}"), name=_clean(line.did)
        )
        if line.verdict in (Verdict.FAILED, Verdict.ERROR):
            kind = "failure" if line.verdict is Verdict.FAILED else "error"
            failure = ET.SubElement(case, kind, message=_clean(line.saw))
            mend = f"\nTo mend: {line.mend}" if line.mend else ""
            failure.text = _clean(f"Must be: {line.must}\nSeen: {line.saw}{mend}")
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
    return "".join(c if _is_allowed(c) else "\ufffd" for c in text)


def _is_allowed(c: str) -> bool:
    if c < " ":
        return c in "\t\n"
    return not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff"

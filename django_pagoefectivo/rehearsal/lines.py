"""What a rehearsal says: one line for each thing that must be true."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a line came out."""

    PASSED = "passed"
    FAILED = "failed"
    #: It could not be tried here; ``saw`` says why.
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Line:
    """What was done, what must be true, what was seen, and how to mend it where it is not so."""

    scenario: str
    did: str
    must: str
    saw: str
    verdict: Verdict
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A line before its scenario is known."""

    did: str
    must: str
    saw: str
    passed: bool
    mend: str

    def line(self, scenario: str) -> Line:
        """The line of ``scenario``."""
        verdict = Verdict.PASSED if self.passed else Verdict.FAILED
        return Line(scenario, self.did, self.must, self.saw, verdict, self.mend)

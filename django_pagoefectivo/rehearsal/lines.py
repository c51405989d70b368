"""What a rehearsal says: one line for each thing that must be true."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: The scenario of a line about all of them.
EVERY = "every scenario"
#: The scenario of a line about what comes first, and about what comes last.
BEGINNING, END = "before it begins", "clearing up"


class Verdict(StrEnum):
    """How a line came out."""

    PASSED = "passed"
    FAILED = "failed"
    #: It could not be tried here; ``saw`` says why.
    SKIPPED = "skipped"
    #: The rehearsal could not be played, or not to its end; ``saw`` says why.
    ERROR = "error"


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


def skipped(scenario: str, why: str) -> Line:
    """The line of a scenario that was left out."""
    return Line(scenario, "it was not played", "it comes to its end", why, Verdict.SKIPPED)


def not_played(why: str) -> Line:
    """The line of a rehearsal that could not begin."""
    return Line(EVERY, "it was not played", "it comes to its end", why, Verdict.ERROR)


def text_of(error: Exception) -> str:
    """An error of code that is not ours, by its kind alone: its text may hold anything."""
    return type(error).__name__

"""The launch checklist, played against this installation as it is configured."""

from .lines import Line, Verdict
from .program import Rehearsal, Unsafe, rehearse

__all__ = ["Line", "Rehearsal", "Unsafe", "Verdict", "rehearse"]

"""The launch checklist, played against this installation as it is configured."""

from .lines import Line, Verdict, not_played
from .program import rehearse
from .safety import NotPlayed, Unsafe
from .wishes import Rehearsal

__all__ = ["Line", "NotPlayed", "Rehearsal", "Unsafe", "Verdict", "not_played", "rehearse"]

"""Is this installation ready for production? One small check for each thing that goes wrong."""

from .examination import examine
from .findings import Finding, Severity
from .room import Room

__all__ = ["Finding", "Room", "Severity", "examine"]

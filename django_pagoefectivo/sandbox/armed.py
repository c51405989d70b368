"""The queue of faults armed for the API's next calls."""

from __future__ import annotations

from django.db.models import F

from .faults import LONGEST_WAIT, ApiFault, Operation
from .models import SandboxFault

#: What a slow answer takes unless told.
DEFAULT_WAIT: float = 5


def arm(fault: ApiFault, operation: Operation, times: int, seconds: float | None) -> SandboxFault:
    """Queue a fault for the next ``times`` calls of ``operation``."""
    if times < 1:
        raise ValueError("times must be at least 1.")
    wait = DEFAULT_WAIT if seconds is None else seconds
    if not 0 <= wait <= LONGEST_WAIT:
        raise ValueError(f"seconds must be between 0 and {LONGEST_WAIT:g}.")
    return SandboxFault.objects.create(
        fault=fault, operation=operation, times_left=times, seconds=wait
    )


def take(operation: Operation) -> SandboxFault | None:
    """The oldest fault armed for this call, used up by one; one statement if there is none."""
    for fault in SandboxFault.objects.filter(operation__in=(operation, Operation.ANY)):
        row = SandboxFault.objects.filter(pk=fault.pk, times_left__gt=0)
        # Two calls at once must not share the last one.
        if row.update(times_left=F("times_left") - 1):
            SandboxFault.objects.filter(pk=fault.pk, times_left=0).delete()
            return fault
    return None

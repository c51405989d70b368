"""What must be right before anything can be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.urls import get_resolver

from ..doctor import Finding, Room, Severity
from ..doctor.configuration import check_settings
from ..doctor.examination import NO_DATABASE, run_checks
from ..doctor.storage import check_migrations
from ..models import Payment
from .lines import BEGINNING, Line, Verdict, text_of

#: Faults that every scenario would stumble over.
_HOPELESS = (
    "pagoefectivo.E001",
    "pagoefectivo.E002",
    "pagoefectivo.E003",
    "pagoefectivo.E006",
    "pagoefectivo.E007",
    "pagoefectivo.E010",
    "migrations",
    NO_DATABASE,
    "doctor",
)
#: The sandbox is there to rehearse with; that it must not be in production was said.
_NO_MATTER = ("pagoefectivo.E005",)


@dataclass(eq=False)
class Obstacle(Exception):
    """What keeps a rehearsal from beginning: what was done, what was seen, how to mend it."""

    did: str
    saw: str
    mend: str

    def line(self) -> Line:
        """It as a line."""
        must = "it can be done, or nothing can be tried"
        return Line(BEGINNING, self.did, must, self.saw, Verdict.FAILED, self.mend)


def look() -> tuple[list[Line], bool]:
    """What is wrong, and whether the scenarios can be played all the same."""
    try:
        _read_urls()
        faults = list(_faults())
        lines = [line_of(one) for one in faults]
        if any(one.id in _HOPELESS for one in faults):
            return lines, False
        _write_a_row()
    except Obstacle as obstacle:
        return [obstacle.line()], False
    return lines, True


def _faults() -> Iterator[Finding]:
    for finding in run_checks((check_settings, check_migrations), Room(offline=True)):
        is_fault = finding.severity is Severity.ERROR or finding.id in _HOPELESS
        if is_fault and finding.severity is not Severity.OK and finding.id not in _NO_MATTER:
            yield finding


def _read_urls() -> None:
    """Import the URLs, which everything asks for, so that their own fault is named."""
    name = getattr(settings, "ROOT_URLCONF", None)
    if not name:
        return
    try:
        _ = get_resolver(name).url_patterns
    except (ImportError, ImproperlyConfigured) as error:
        words = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - the project's own code
        words = text_of(error)
    else:
        return
    raise Obstacle(
        "the URLs of the project are imported",
        f"ROOT_URLCONF, {name}, cannot be imported ({words}).",
        "Mend that module, or what it imports; manage.py check shows where it breaks.",
    )


def _write_a_row() -> None:
    """Write to the payments' table, without changing anything."""
    try:
        Payment.objects.filter(pk__lt=0).update(description="")
    except DatabaseError as error:
        raise Obstacle(
            "the database is written to",
            f"It takes no row ({type(error).__name__}: {error}).",
            "Rehearse with a database that this process may write to: it makes payments.",
        ) from None


def line_of(finding: Finding) -> Line:
    """A finding of the doctor's as a line."""
    right = finding.severity in (Severity.OK, Severity.ADVICE)
    return Line(
        BEGINNING,
        "the settings and the way to the webhook are looked at",
        "notifications arrive, and payments can be made",
        finding.sentence,
        Verdict.PASSED if right else Verdict.FAILED,
        "" if right else f"{finding.mend} ({finding.link})",
    )

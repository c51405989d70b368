"""What a check says: one sentence, how to mend it, and where the docs say more."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import metadata


class Severity(StrEnum):
    """How much a finding matters."""

    #: Looked at, and as it should be.
    OK = "ok"
    #: Worth knowing; nothing has to be done.
    ADVICE = "advice"
    #: Should be mended.
    WARNING = "warning"
    #: Must be mended: money or notifications would be lost, or nothing works.
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Higher is worse."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``page`` is a page of the docs, ``path#section``."""

    id: str
    severity: Severity
    sentence: str
    mend: str = ""
    page: str = "howto/go-live"

    @property
    def link(self) -> str:
        """Where the docs say more: an address, or the file in the source tree."""
        return docs_link(self.page)


def ok(check: str, sentence: str) -> Finding:
    """A finding that all is well."""
    return Finding(check, Severity.OK, sentence)


def docs_link(page: str) -> str:
    """The address of a page of the docs, or its file where no address is published."""
    path, _, section = page.partition("#")
    base = _docs_address()
    if not base:
        return f"docs/{path}.rst" + (f", {section.replace('-', ' ')}" if section else "")
    return f"{base}/{path}.html" + (f"#{section}" if section else "")


@cache
def _docs_address() -> str:
    try:
        urls = metadata.metadata("django-pagoefectivo").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    known: dict[str, str] = dict(text.split(", ", 1) for text in urls)
    return known.get("Documentation", "").rstrip("/")

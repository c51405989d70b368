"""People of the staff, statements to reconcile, and a private place for uploads."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from django_pagoefectivo.models import Payment, Statement
from django_pagoefectivo.services import statements
from django_pagoefectivo.testing import make_payment
from tests.admin.conftest import pago  # noqa: F401 - a fixture of these tests too
from tests.people import browser_of, member_of_staff

URL = "/admin/pagoefectivo/statement/"
LINE_URL = "/admin/pagoefectivo/statementline/"
IMPORT = f"{URL}import/"
DASHBOARD = f"{URL}dashboard/"
HEADINGS = "CIP;Número de operación;Fecha de pago;Moneda;Monto;Comisión;Neto;Estado"
PAID_AT = datetime(2026, 11, 10, 15, tzinfo=UTC)
VIEWS = ("view_payment", "view_statement")
ROLES = {
    "viewer": VIEWS,
    "clerk": (*VIEWS, "reconcile_payment"),
    # Sees payments, but not what was settled.
    "seller": ("view_payment", "reconcile_payment"),
    # Sees what was settled, but no payments.
    "auditor": ("view_statement",),
    "outsider": (),
    # Rights to act without the right to look.
    "blind": ("reconcile_payment", "confirm_payment"),
}


def person(role: str) -> User:
    """A member of staff with the rights of ``role``."""
    return member_of_staff(role, ROLES[role])


@pytest.fixture
def as_role(db: None) -> Callable[[str], Client]:
    """A browser in which somebody of a role is logged in."""
    return lambda role: browser_of(person(role))


@pytest.fixture(autouse=True)
def uploads(settings: Any, tmp_path: Path) -> Path:
    """Where uploads lie between preview and import."""
    folder = tmp_path / "uploads"
    settings.STORAGES = {
        **settings.STORAGES,
        "pagoefectivo": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(folder)},
        },
    }
    return folder


def kept(folder: Path) -> list[Path]:
    """The uploads that lie there."""
    return [path for path in folder.rglob("*") if path.is_file()]


def paid(number: int, status: str = "paid", **fields: Any) -> Payment:
    """The paid (or refunded) payment of CIP 1000 + ``number``."""
    return make_payment(status, **{"cip": str(1000 + number), "paid_at": PAID_AT} | fields)


def pending(number: int, **fields: Any) -> Payment:
    """The payment of CIP 1000 + ``number`` that nobody has paid as far as is known."""
    return make_payment("pending", **{"cip": str(1000 + number)} | fields)


def line(number: int, amount: str = "22,05", status: str = "Pagado", operation: str = "") -> str:
    """A line about the payment of CIP 1000 + ``number``."""
    cip = 1000 + number
    return f"{cip};{operation or cip};10/11/2026 10:00;S/;{amount};0,50;21,55;{status}"


def csv(*lines: str, headings: str = HEADINGS) -> bytes:
    """A report."""
    return "\r\n".join([headings, *lines, ""]).encode()


def load(*lines: str, name: str = "report.csv", **options: Any) -> Statement:
    """An imported report."""
    return statements.import_statement(
        io.BytesIO(csv(*lines)), file_name=name, merchant="default", **options
    )


def upload(client: Client, content: bytes, name: str = "report.csv", **fields: str) -> Any:
    """Post a file to the import page."""
    file = SimpleUploadedFile(name, content)
    return client.post(IMPORT, {"file": file, "merchant": "default", **fields})


def said(answer: Any) -> list[str]:
    """The messages an answer leaves."""
    return [str(message) for message in get_messages(answer.wsgi_request)]


class Page(HTMLParser):
    """What of a page a strict Content-Security-Policy would refuse, and its elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.refused: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._open_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.tags.append((tag, named))
        self._open_script = tag == "script" and "src" not in named
        if tag == "style":
            self.refused.append("<style>")
        for name, value in named.items():
            if name == "style" or name.startswith("on"):
                self.refused.append(f"{tag} {name}={value}")
            loads = name in ("src", "srcset", "data", "poster") or (
                name == "href" and tag in ("link", "use", "image")
            )
            if loads and (not value.startswith(("/", "#")) or value.startswith("//")):
                self.refused.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self._open_script and data.strip():
            self.refused.append(f"script {data[:40]}")

    def handle_endtag(self, tag: str) -> None:
        self._open_script = False

    def of(self, tag: str) -> list[dict[str, str]]:
        """The attributes of each ``tag``."""
        return [attrs for name, attrs in self.tags if name == tag]

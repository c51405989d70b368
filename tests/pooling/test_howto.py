"""What the page on databases says to paste is connected with here."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from django_pagoefectivo.testing import make_payment
from tests.promises.kit import Probe, notify, refresh

from .ways import connected

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "databases.rst"
SNIPPET = re.compile(
    r"\.\. code-block:: python\n   :caption: (\w+)\n\n((?:(?:   .*)?\n)+)", re.MULTILINE
)


def pasted(vendor: str) -> list[dict[str, Any]]:
    """The settings after each snippet for ``vendor``."""
    found = []
    for caption, code in SNIPPET.findall(PAGE.read_text()):
        if caption.lower() == vendor:
            values: dict[str, Any] = {"DATABASES": {"default": {"OPTIONS": {}}}}
            exec(compile(textwrap.dedent(code), str(PAGE), "exec"), values)  # noqa: S102
            found.append(values["DATABASES"]["default"])
    return found


def test_each_database_has_its_snippets() -> None:
    assert {caption for caption, _ in SNIPPET.findall(PAGE.read_text())} == {
        "PostgreSQL",
        "MySQL",
        "SQLite",
    }


@pytest.mark.django_db(transaction=True)
def test_a_notification_with_what_was_pasted(probe: Probe) -> None:
    snippets = pasted(connection.vendor)
    assert snippets
    for snippet in snippets:
        payment = make_payment()
        with connected(options=snippet.pop("OPTIONS"), **snippet):
            assert notify(payment).content == b"applied"
            assert notify(payment).content == b"duplicate"
            assert refresh(payment).status == "paid"
        assert len(probe.of("payment_confirmed", payment)) == 1

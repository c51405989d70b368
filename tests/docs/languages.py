"""What can be asked of a block by its language alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import polib
from django.template import Context, Engine

import django_pagoefectivo
from tests.pages.conftest import build_payment

from . import shell
from .blocks import PLAIN, ROOT, Block

_STYLESHEET = (
    Path(django_pagoefectivo.__file__).parent / "static/django_pagoefectivo/pagoefectivo.css"
)


def template(block: Block) -> None:
    """It renders to something, with a payment at hand."""
    context = Context({"payment": build_payment(cip="11546901"), "instructions": "…"})
    assert Engine.get_default().from_string(block.code).render(context).strip(), block.place


def css(block: Block) -> None:
    """Braces pair, each declaration is one, and it sets no property that does nothing."""
    assert re.fullmatch(r"(?:\s*[^{}]+\{\s*(?:[\w-]+:[^;{}]+;\s*)+\})+\s*", block.code), block.place
    known = set(re.findall(r"var\((--pe-[\w-]+)", _STYLESHEET.read_text("utf-8")))
    assert set(re.findall(r"(--pe-[\w-]+):", block.code)) <= known, block.place


def catalogue(block: Block) -> None:
    """Each text to translate is one that the app has."""
    own = polib.pofile(block.code)
    language = block.caption.split("/")[1]
    ours = polib.pofile(str(ROOT / f"django_pagoefectivo/locale/{language}/LC_MESSAGES/django.po"))
    assert own
    for entry in own:
        assert ours.find(entry.msgid), f"{block.place}: {entry.msgid}"
        assert entry.msgstr, block.place


BY_LANGUAGE: dict[str, Callable[[Block], None]] = {
    PLAIN: shell.check,
    "console": shell.check,
    "css": css,
    "html+django": template,
    "shell": shell.check,
}

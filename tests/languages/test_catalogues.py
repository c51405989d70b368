"""Spanish and Simplified Chinese say everything that English does."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import polib
import pytest
from django.utils import translation

from django_pagoefectivo.templatetags.pagoefectivo import lima, money
from tests.pages.conftest import build_payment

from .marked import PACKAGE, Text, marked

CODES = ["es", "zh_Hans"]
PLACEHOLDERS = re.compile(
    r"%\(\w+\)[-#0 +]*[\d.]*[sdfr]"  # %(name)s
    r"|%[-#0 +]*[\d.]*[sdfr%]"  # %s
    r"|\{\w*\}"  # {name}
    r"|</?\w+[^>]*>"  # <b>
)
#: A word in Spanish needs no mark of its language in a Spanish sentence.
SPANISH_MARK = ' lang="es"'


def folder(code: str) -> Path:
    return PACKAGE / "locale" / code / "LC_MESSAGES"


def catalogue(code: str) -> polib.POFile:
    return polib.pofile(str(folder(code) / "django.po"))


def key(entry: polib.POEntry | polib.MOEntry) -> Text:
    return Text(entry.msgctxt, entry.msgid, entry.msgid_plural or "")


def words(entry: polib.POEntry | polib.MOEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


@pytest.mark.parametrize("code", CODES)
def test_everything_marked_is_in_the_catalogue_and_nothing_else(code: str) -> None:
    found = marked()
    assert len(found) > 300, "the texts were not found"
    there = {key(entry) for entry in catalogue(code) if not entry.obsolete}
    absent = {text.text: path for text, path in found.items() if text not in there}
    assert absent == {}, "run makemessages; see docs/howto/languages.rst"
    assert {text.text for text in there - set(found)} == set()


@pytest.mark.parametrize("code", CODES)
def test_everything_is_translated_and_nothing_guessed(code: str) -> None:
    entries = catalogue(code)
    assert [entry.msgid for entry in entries if not all(map(str.strip, words(entry)))] == []
    assert [entry.msgid for entry in entries if entry.fuzzy] == []
    assert [entry.msgid for entry in entries.obsolete_entries()] == []
    assert len({key(entry) for entry in entries}) == len(entries)


@pytest.mark.parametrize("code", CODES)
def test_placeholders_and_markup_survive(code: str) -> None:
    for entry in catalogue(code):
        if entry.msgctxt == "date format":
            continue
        allowed = {tuple(sorted(parts(text))) for text in (entry.msgid, entry.msgid_plural or "")}
        for text in words(entry):
            assert tuple(sorted(parts(text))) in allowed, (entry.msgid, text)
            assert text[:1].isspace() == entry.msgid[:1].isspace(), entry.msgid


def parts(text: str) -> list[str]:
    return [part.replace(SPANISH_MARK, "") for part in PLACEHOLDERS.findall(text)]


@pytest.mark.parametrize("code", CODES)
def test_sentences_end_alike(code: str) -> None:
    # A full stop that is missing or too many shows that half of a text was translated.
    for entry in catalogue(code):
        for text in words(entry):
            assert ends(text) == ends(entry.msgid), (entry.msgid, text)


def ends(text: str) -> bool:
    """Whether it ends in a stop, be it Chinese or not."""
    return (
        unicodedata.normalize("NFKC", text)
        .rstrip()
        .endswith((".", "?", ":", "\N{IDEOGRAPHIC FULL STOP}"))
    )


@pytest.mark.parametrize("code", CODES)
def test_what_is_installed_is_what_is_written(code: str) -> None:
    compiled = polib.mofile(str(folder(code) / "django.mo"))

    def said(entries: polib.POFile | polib.MOFile) -> dict[Text, list[str]]:
        return {key(entry): words(entry) for entry in entries}

    assert said(compiled) == said(catalogue(code)), "run compilemessages"
    assert compiled.metadata["Plural-Forms"] == catalogue(code).metadata["Plural-Forms"]


@pytest.mark.parametrize(
    ("language", "status", "amount", "day"),
    [
        ("en", "waiting for payment", "S/ 1,234.50", "Tuesday 24 November, 3:00\xa0p.m."),
        ("es", "esperando el pago", "S/ 1,234.50", "martes 24 de noviembre, 3:00\xa0p.m."),
        ("es-pe", "esperando el pago", "S/ 1,234.50", "martes 24 de noviembre, 3:00\xa0p.m."),
        ("zh-hans", "等待付款", "S/ 1,234.50", "2026年11月24日 星期二 15:00"),
    ],
)
def test_states_amounts_and_dates_in_each(
    language: str, status: str, amount: str, day: str
) -> None:
    payment = build_payment(expires_at=datetime(2026, 11, 24, 20, tzinfo=UTC))
    with translation.override(language):
        assert payment.get_status_display() == status
        assert money("1234.5", "PEN") == amount
        assert money("10", "USD") == "US$ 10.00"
        assert lima(payment.expires_at) == day

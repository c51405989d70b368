"""Masking of personal data and secrets before anything is kept or logged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

MASK = "***"
#: An address, also as URLs and HTML write it.
_EMAIL = re.compile(
    r"[\w.+%-]{1,64}(?:@|%40|&#0*64;|&#x40;)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", re.IGNORECASE
)
_HIDDEN_NAMES = (
    r"access[_-]?key|secret[_-]?key|hash[_-]?string|(?:access[_-]?|refresh[_-]?)?token"
    r"|authorization"
)
_TAIL_NAMES = r"(?:user[_-]?)?(?:phone|document[_-]?number|ubigeo)|(?:user|customer)[_-]?id"
_PERSON_NAMES = r"(?:user[_-]?)?(?:first[_-]?|last[_-]?|full[_-]?)?name"
_HIDDEN_KEY = re.compile(_HIDDEN_NAMES, re.IGNORECASE)
_TAIL_KEY = re.compile(_TAIL_NAMES, re.IGNORECASE)
_PERSON_KEY = re.compile(_PERSON_NAMES, re.IGNORECASE)
#: A key and its value in a text that is no JSON, or in JSON inside a text.
_KEY_IN_TEXT = re.compile(
    rf"""((?:{_HIDDEN_NAMES}|{_TAIL_NAMES}|user[_-]?(?:last[_-]?)?name)[\\"']*\s*[:=]\s*[\\"']*)[^\s"'\\<>,;&{{}}\[\]]+""",
    re.IGNORECASE,
)
#: Tokens by their form, for one that was not known when its answer came.
_TOKEN = re.compile(r"\bBearer\s+[\w.~+/=-]+|\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?", re.IGNORECASE)
#: Shorter values would mask innocent text all over an answer.
_SHORTEST_VALUE = 5
#: Shorter words of a name ("de", "la") stand in too many innocent sentences.
_SHORTEST_WORD = 3


def mask_email(email: str) -> str:
    """``ana@example.com`` → ``a***@example.com``; empty stays empty."""
    name, at, host = email.partition("@")
    return f"{name[:1]}{MASK}{at}{host}" if email else ""


def mask_tail(value: str) -> str:
    """A number with all but its last two characters masked; empty stays empty."""
    if not value:
        return ""
    return MASK + value[-2:] if len(value) > 4 else MASK


def mask_name(name: str) -> str:
    """``Ana`` → ``A***``; empty stays empty."""
    return f"{name[:1]}{MASK}" if name else ""


def words_of(names: Iterable[str]) -> set[str]:
    """The words of people's ``names`` that are worth masking wherever they stand."""
    return {word for name in names for word in name.split() if len(word) >= _SHORTEST_WORD}


def mask_emails(text: str) -> str:
    """``text`` with each e-mail address in it masked."""
    return _EMAIL.sub(lambda match: mask_email(match.group()), text)


def masker(
    secrets: Iterable[str], personal: Iterable[str] = ()
) -> tuple[Callable[[Any], Any], Callable[[str], str]]:
    """Two functions that mask: one a parsed JSON value, by key and by value; one a text.

    ``secrets`` vanish whole wherever they stand, ``personal`` values keep a hint; one without
    digits is a name, each word of which is masked. E-mail addresses are found by their form.
    """
    replacements = {value.lower(): MASK for value in secrets if value}
    names: list[str] = []
    for value in personal:
        if "@" not in value and not any(map(str.isdigit, value)):
            names.append(value)
        elif len(value) >= _SHORTEST_VALUE:
            masked = mask_email(value) if "@" in value else mask_tail(value)
            replacements.setdefault(value.lower(), masked)
    # The longest first, so that a value inside another one does not leave its rest.
    ordered = sorted(replacements, key=len, reverse=True)
    known = re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE) if ordered else None
    words = "|".join(map(re.escape, words_of(names)))
    named = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    def mask_text(text: str) -> str:
        if known:
            text = known.sub(lambda match: replacements.get(match.group().lower(), MASK), text)
        if named:
            text = named.sub(lambda match: mask_name(match.group()), text)
        text = _KEY_IN_TEXT.sub(rf"\1{MASK}", _TOKEN.sub(MASK, text))
        return mask_emails(text)

    def mask_value(value: Any, key: str = "") -> Any:
        if value and _HIDDEN_KEY.fullmatch(key):
            return MASK
        if isinstance(value, dict):
            return {mask_text(str(k)): mask_value(v, str(k)) for k, v in value.items()}
        if isinstance(value, list):
            return [mask_value(item, key) for item in value]
        if value and _TAIL_KEY.fullmatch(key):
            return mask_tail(str(value))
        if value and _PERSON_KEY.fullmatch(key):
            return mask_name(str(value))
        if isinstance(value, bool) or value is None:
            return value
        # A number can be a phone's, too; one that needs no mask stays a number.
        masked = mask_text(str(value))
        return value if masked == str(value) else masked

    return mask_value, mask_text

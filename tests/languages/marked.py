"""Every text of the package that is marked for translation, found without gettext's tools."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.utils.translation.template import templatize

import django_pagoefectivo

PACKAGE = Path(django_pagoefectivo.__file__).parent

#: Name of a function → where among its arguments the context, the text and its plural are.
_PLACES: dict[str, tuple[int | None, int, int | None]] = {
    "gettext": (None, 0, None),
    "ngettext": (None, 0, 1),
    "pgettext": (0, 1, None),
    "npgettext": (0, 1, 2),
}
FUNCTIONS = {
    **_PLACES,
    **{f"{name}_lazy": places for name, places in _PLACES.items()},
    "gettext_noop": (None, 0, None),
    "_": (None, 0, None),
}
_CALL = re.compile(rf"(?<![\w.])(?:{'|'.join(sorted(FUNCTIONS, key=len, reverse=True))})\(")


class Text(NamedTuple):
    """What a translator is given."""

    context: str | None
    text: str
    plural: str


def marked() -> dict[Text, str]:
    """The texts, each with a file that has it. The sandbox is for developers: English only."""
    found: dict[Text, str] = {}
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] == "sandbox" or path.suffix not in (".py", ".html", ".txt"):
            continue
        source = path.read_text("utf-8")
        calls = _python(source) if path.suffix == ".py" else _template(source, str(inside))
        found.update(dict.fromkeys(calls, str(inside)))
    return found


def _python(source: str) -> Iterator[Text]:
    tree = ast.parse(source)
    # "from … import gettext as _" and the like
    names = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
    }
    unseen = {alias for alias, name in names.items() if alias not in ("_", name)}
    assert not unseen, f"makemessages does not see a text in {unseen}; use the full name or _"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if (name := names.get(node.func.id)) in FUNCTIONS:
                yield _text(str(name), node)


def _template(source: str, name: str) -> Iterator[Text]:
    # Django turns a template into calls between rubbish that no parser takes as a whole.
    text = templatize(source, name)
    for call in _CALL.finditer(text):
        for end in (close.end() for close in re.finditer(r"\)", text[call.start() :])):
            try:
                node = ast.parse(text[call.start() : call.start() + end].strip(), mode="eval").body
            except SyntaxError:
                continue
            assert isinstance(node, ast.Call)
            assert isinstance(node.func, ast.Name)
            yield _text(node.func.id, node)
            break


def _text(name: str, call: ast.Call) -> Text:
    context, text, plural = FUNCTIONS[name]

    def argument(place: int | None) -> str | None:
        if place is None:
            return None
        value = ast.literal_eval(call.args[place])
        assert isinstance(value, str), ast.dump(call)
        return value

    return Text(argument(context), str(argument(text)), argument(plural) or "")

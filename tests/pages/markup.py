"""Reading what was rendered: elements, balance, and what a strict policy would refuse."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr", "path", "circle"}


@dataclass
class Element:
    """One element with its attributes and all text below it."""

    tag: str
    attributes: dict[str, str | None]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


class Page(HTMLParser):
    """A document or fragment. Raises AssertionError where tags do not balance."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {[element.tag for element in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in <{tag}>: {names}"
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        """Elements of ``tag`` that have these attributes (``_`` is ``-``)."""
        wanted = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            element
            for element in self.elements
            if (not tag or element.tag == tag)
            and all(
                name in element.attributes
                and (value == "*" or value in (element.attributes[name] or "").split())
                for name, value in wanted.items()
            )
        ]

    def links(self) -> list[str]:
        """Every address that is linked or loaded."""
        return [
            value
            for element in self.elements
            for name, value in element.attributes.items()
            if name in ("href", "src", "action", "data") and value
        ]


def refused_by_strict_csp(html: str) -> list[str]:
    """What ``default-src 'self'`` would refuse in ``html``."""
    found = []
    for element in Page(html).elements:
        if element.tag == "style":
            found.append("<style>")
        if element.tag == "script" and not element.attributes.get("src"):
            found.append("inline <script>")
        for name, value in element.attributes.items():
            if name == "style" or name.startswith("on"):
                found.append(f"<{element.tag} {name}>")
            if name in ("href", "src") and re.match(r"\s*(javascript|data|vbscript):", value or ""):
                found.append(f"<{element.tag} {name}={value}>")
            if element.tag in ("script", "img", "iframe") and name == "src":
                if not (value or "").startswith("/"):
                    found.append(f"<{element.tag} src={value}>")
    return found

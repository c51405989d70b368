"""Every literal block of the README and the docs, found by docutils' own parser."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import Directive, directives, roles

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
#: The language of a block after ``::``, which has none.
PLAIN = "literal"


@dataclass(frozen=True)
class Block:
    """One block of a page: where it begins, what it is written in, and its text."""

    page: str
    line: int
    language: str
    caption: str
    code: str

    @property
    def place(self) -> str:
        """``docs/tutorial.rst:12``, for messages."""
        return f"{self.page}:{self.line}"

    def compiled(self) -> Any:
        """The code of a Python block; a traceback names page and line."""
        padded = "\n" * self.line + self.code
        return compile(padded, str(ROOT / self.page), "exec", dont_inherit=True)

    def run(self, names: dict[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
        """Execute a Python block with ``names`` at hand; they are what it left behind after."""
        names = more if names is None else names
        names.setdefault("__name__", "shop")
        exec(self.compiled(), names)  # noqa: S102
        return names


class _Code(Directive):
    """``code-block`` and what else shows a text as it is written."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = dict.fromkeys(("caption", "start-at"), directives.unchanged)

    def run(self) -> list[nodes.Node]:
        if self.name == "literalinclude":
            # What is shown is a file of its own; that it is tested is a page's own concern.
            language, text = f"file {self.arguments[0]}", ""
        else:
            language = self.arguments[0] if self.arguments else PLAIN
            text = "\n".join(self.content)
        node = nodes.literal_block(text, text)
        # One more than Sphinx counts from: the first line of the code itself.
        node["start"] = (self.content_offset if self.content else self.lineno) + 1
        node["language"] = language
        node["caption"] = self.options.get("caption", "")
        return [node]


class _Passive(Directive):
    """A directive of Sphinx's that shows no text of the page as code."""

    has_content = True
    optional_arguments = 100
    option_spec = dict.fromkeys(
        ("alt", "caption", "exclude-members", "members", "no-members"), directives.unchanged
    )

    def run(self) -> list[nodes.Node]:
        return []


for _name in ("code-block", "code", "sourcecode", "literalinclude", "parsed-literal", "prompt"):
    directives.register_directive(_name, _Code)
for _name in ("toctree", "autoclass", "autofunction", "automodule", "graphviz"):
    directives.register_directive(_name, _Passive)


def _role(*args: Any, **kwargs: Any) -> tuple[list[nodes.reference], list[nodes.reference]]:
    return [nodes.reference(args[1], args[2])], []


for _name in ("doc", "class", "func", "meth", "mod", "exc", "data", "attr", "ref", "download"):
    roles.register_local_role(_name, _role)


def pages() -> list[str]:
    """Every page that a reader sees, as a path from the root."""
    found = [*ROOT.glob("*.rst"), *DOCS.glob("**/*.rst")]
    return sorted(str(path.relative_to(ROOT)) for path in found if "_build" not in path.parts)


@cache
def tree_of(page: str) -> nodes.document:
    """A page as docutils reads it."""
    return parsed((ROOT / page).read_text("utf-8"), page)


def parsed(text: str, page: str) -> nodes.document:
    """What docutils cannot read could hide a block: that is an error."""
    overrides = {
        "report_level": 2,
        "halt_level": 2,
        "input_encoding": "utf-8",
        "doctitle_xform": False,
        "file_insertion_enabled": False,
        # As Sphinx has it.
        "rfc_base_url": "https://datatracker.ietf.org/doc/html/",
    }
    return publish_doctree(text, source_path=page, settings_overrides=overrides)


@cache
def blocks_of(page: str) -> tuple[Block, ...]:
    """The page's blocks from top to bottom."""
    return blocks_in(tree_of(page), page)


def blocks_in(tree: nodes.document, page: str) -> tuple[Block, ...]:
    """The blocks of a parsed text, also those in lists, tables and notes."""
    found = []
    for node in tree.findall(
        lambda one: isinstance(one, nodes.literal_block | nodes.doctest_block)
    ):
        assert isinstance(node, nodes.Element)
        language = node.get("language", PLAIN)
        line = node.get("start") or (node.line or 1)
        found.append(Block(page, line, language, node.get("caption", ""), node.astext()))
    return tuple(found)


def snippets(page: str, language: str) -> list[Block]:
    """The page's blocks in ``language``; ``page`` is a path within ``docs/`` without suffix."""
    return [block for block in blocks_of(f"docs/{page}.rst") if block.language == language]

"""Somebody who reads a page, does what it says, and knows what is still to be done."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.core import checks

from .blocks import ROOT, Block


class Reading:
    """A page's blocks, each taken once. ``fixture`` gives what pytest has under a name."""

    def __init__(self, page: str, blocks: Sequence[Block], request: pytest.FixtureRequest) -> None:
        self.page = page
        self.fixture = request.getfixturevalue
        self.left = list(blocks)

    def take(self, language: str, *, caption: str = "") -> Block:
        """The next block of a language, with just this caption."""
        for block in self.left:
            if (block.language, block.caption) == (language, caption):
                self.left.remove(block)
                return block
        raise AssertionError(f"{self.page} has no more {language} {caption}".rstrip())

    def take_all(self, language: str) -> list[Block]:
        """All of a language that are left; there is one at least."""
        found = [block for block in self.left if block.language == language]
        assert found, f"{self.page} has no more {language}"
        self.left = [block for block in self.left if block not in found]
        return found

    def leave_to(self, test: str, *blocks: Block) -> None:
        """Another test does what these blocks say: ``tests/x.py::test_y``, which must exist."""
        assert blocks
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in tests, f"{blocks[0].place}: there is no {test}"

    def settings(self, block: Block, **names: Any) -> dict[str, Any]:
        """Put a block for settings.py in force and run the system checks over it.

        What it names that the settings have is there for it to change; the new values are
        the result.
        """
        settings = self.fixture("settings")
        for name in ("PAGOEFECTIVO", "INSTALLED_APPS", "DATABASES"):
            names.setdefault(name, copy.deepcopy(getattr(settings, name)))
        before = copy.deepcopy(names)
        names.setdefault("env", made_up)
        names.setdefault("timedelta", timedelta)
        block.run(names)
        changed = {
            name: value
            for name, value in names.items()
            if name.isupper() and before.get(name) != value
        }
        assert changed, f"{block.place} sets nothing"
        for name, value in changed.items():
            setattr(settings, name, value)
        found = [
            message
            for message in checks.run_checks()
            if message.id and message.id.startswith("pagoefectivo.")
        ]
        assert found == [], block.place
        return changed


def made_up(name: str) -> str:
    """An environment in which every variable is set, to a key of the right length."""
    return f"{name.lower()}-not-real-01"[:20].ljust(20, "x")

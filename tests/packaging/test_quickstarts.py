"""The quick starts in other languages say what the tutorial says, which a test follows."""

from __future__ import annotations

import re

import pytest

from .conftest import ROOT

CODE = re.compile(r"^\.\. code-block:: \w+\n\n(?:(?:   .*)?\n)+", re.MULTILINE)


def code_of(page: str) -> list[str]:
    return [block.rstrip() for block in CODE.findall((ROOT / "docs" / page).read_text("utf-8"))]


@pytest.mark.parametrize("page", ["quickstart-es.rst", "quickstart-zh.rst"])
def test_the_code_is_the_tutorials(page: str) -> None:
    assert len(code_of("tutorial.rst")) > 5
    assert code_of(page) == code_of("tutorial.rst")

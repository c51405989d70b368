"""The quick starts in other languages say what the tutorial says, which a test follows."""

from __future__ import annotations

import pytest

from tests.docs.blocks import blocks_of


def code_of(page: str) -> list[tuple[str, str, str]]:
    return [(block.language, block.caption, block.code) for block in blocks_of(f"docs/{page}.rst")]


@pytest.mark.parametrize("page", ["quickstart-es", "quickstart-zh"])
def test_the_code_is_the_tutorials(page: str) -> None:
    assert len(code_of("tutorial")) > 5
    assert code_of(page) == code_of("tutorial")

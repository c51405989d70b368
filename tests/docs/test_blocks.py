"""Every block of the README and the docs does what the page says, or the test says which."""

from __future__ import annotations

import ast
import re

import pytest

from . import shell
from .blocks import ROOT, blocks_in, blocks_of, pages, parsed
from .languages import BY_LANGUAGE
from .plays import PLAYS
from .reading import Reading

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("page", [page for page in pages() if blocks_of(page)])
def test_every_block_is_done(page: str, request: pytest.FixtureRequest) -> None:
    do(Reading(page, blocks_of(page), request))


def do(reading: Reading) -> None:
    if reading.page in PLAYS:
        PLAYS[reading.page](reading)
    for block in list(reading.left):
        if check := BY_LANGUAGE.get(block.language):
            check(block)
            reading.left.remove(block)
    untested = [f"{block.place} ({block.language})" for block in reading.left]
    # Whole in the message: not every pytest spells out what this module compares.
    assert not untested, f"{untested}: tests/docs/plays.py says what is done with a page's blocks"


def test_docstrings_have_no_blocks() -> None:
    """autodoc shows docstrings: what they say in words needs no test of its own."""
    found = []
    for path in (ROOT / "django_pagoefectivo").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                if re.search(r"::$|^ *>>> |^ *\.\. code", text, re.MULTILINE):
                    found.append(f"{path}:{getattr(node, 'lineno', 1)}")
    assert found == []


def test_every_play_has_its_page() -> None:
    assert set(PLAYS) <= set(pages())


NEW = """
A page
======

1. In a list::

     make no-such-thing

   .. note::

      .. code-block:: toml
         :caption: pyproject.toml

         answer = 42

>>> 6 * 7
42
"""


def test_a_block_is_found_wherever_it_stands() -> None:
    found = blocks_in(parsed(NEW, "new.rst"), "new.rst")
    assert [(block.place, block.language, block.caption) for block in found] == [
        ("new.rst:7", "literal", ""),
        ("new.rst:14", "toml", "pyproject.toml"),
        ("new.rst:16", "literal", ""),
    ]


def test_a_new_block_fails_until_something_is_done_with_it(request: pytest.FixtureRequest) -> None:
    _, toml, doctest = blocks_in(parsed(NEW, "new.rst"), "new.rst")
    with pytest.raises(AssertionError, match=r"new\.rst:14 \(toml\)"):
        do(Reading("new.rst", (toml,), request))
    with pytest.raises(AssertionError, match=r"new\.rst:16.*>>> 6"):
        do(Reading("new.rst", (doctest,), request))


@pytest.mark.parametrize(
    "line",
    [
        "make no-such-thing",
        "manage.py pagoefectivo_dance",
        "manage.py pagoefectivo_deliver --twice",
        "* * * manage.py pagoefectivo_deliver",
        "*/90 * * * * manage.py pagoefectivo_deliver",
        "pip install django-pagoefectivo[no-such-extra]",
        "pip install another-package",
        "export PAGOEFECTIVO_NO_SUCH=1",
        "celery -A shop worker --no-such",
        "python -m benchmarks.calls --no-such",
        "python -m benchmarks.no_such",
        "cd no_such_folder",
        "rm -rf /",
    ],
)
def test_a_line_that_nothing_would_take_is_an_error(line: str) -> None:
    (block,) = blocks_in(parsed(f"So::\n\n    {line}\n", "new.rst"), "new.rst")
    with pytest.raises(AssertionError, match=r"new\.rst:3"):
        shell.check(block)

"""The reference of the template tags, against the library."""

from __future__ import annotations

import inspect
import re

from django_pagoefectivo.pages.formats import format_money
from django_pagoefectivo.templatetags import pagoefectivo as library

from .blocks import DOCS

PAGE = (DOCS / "reference/template-tags.rst").read_text("utf-8")


def test_every_tag_and_filter_has_a_row_and_no_other() -> None:
    assert set(re.findall(r"^``{% (\w+)", PAGE, re.MULTILINE)) == set(library.register.tags)
    filters = set(re.findall(r"^``{{ [\w.]+\|(\w+)", PAGE, re.MULTILINE))
    assert filters == set(library.register.filters)


def test_every_option_is_told_with_its_default() -> None:
    for name in library.register.tags:
        row = PAGE.partition(f"``{{% {name}")[2].partition("``{%")[0].partition("=====")[0]
        parameters = inspect.signature(getattr(library, name)).parameters.values()
        options = {
            f"{one.name}={one.default!r}".replace("'", '"')
            for one in parameters
            if one.default is not one.empty
        }
        assert set(re.findall(r"``(\w+=[^`]+)``", row)) == options, name


def test_what_a_filter_gives() -> None:
    assert f"``{format_money('1234.5', 'PEN')}``" in PAGE
    assert f"``{library.cip_format('11546901')}``" in PAGE
    assert [library.cip_format(None), library.money(None), library.lima(None)] == [""] * 3

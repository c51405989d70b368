"""The pages as a strict Content-Security-Policy would have them: no inline code, no strangers."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import DASHBOARD, IMPORT, LINE_URL, URL, Page, csv, line, load, paid, pending, upload

pytestmark = pytest.mark.django_db


def test_the_check_itself_finds_what_is_refused() -> None:
    page = Page(
        '<style>a{}</style><p style="x" onclick="y"><script>z()</script>'
        '<img src="https://cdn.example/x.png"><link href="//cdn.example/x.css">'
        '<script src="/static/fine.js"></script><a href="https://shop.example/">fine</a>'
    )
    assert page.refused == [
        "<style>",
        "p style=x",
        "p onclick=y",
        "script z()",
        "img src=https://cdn.example/x.png",
        "link href=//cdn.example/x.css",
    ]


@pytest.mark.parametrize(
    "path",
    [
        DASHBOARD,
        f"{DASHBOARD}?period=custom",
        URL,
        IMPORT,
        URL + "{pk}/change/",
        URL + "{pk}/change/?tab=aside",
        URL + "{pk}/totals/",
        URL + "{pk}/missing/",
        URL + "{pk}/reconcile/",
        LINE_URL + "{line}/change/",
        LINE_URL + "{line}/act/link/",
        LINE_URL + "{line}/act/discard/",
    ],
)
def test_each_page_passes(as_role: Any, path: str) -> None:
    paid(1)
    paid(2)
    pending(3)
    statement = load(line(1), line(3), line(4))
    found = statement.lines.get(number=3)
    answer = as_role("clerk").get(path.format(pk=statement.pk, line=found.pk))
    assert answer.status_code == 200
    assert Page(answer.content.decode()).refused == []


def test_the_preview_passes(as_role: Any) -> None:
    client = as_role("clerk")
    for content in (csv(line(1)), csv("1;2", headings="a;b")):
        assert Page(upload(client, content).content.decode()).refused == []


def test_what_a_file_says_is_text(as_role: Any) -> None:
    client = as_role("clerk")
    evil = "<script>alert(1)</script>"
    previewed = upload(client, csv(line(1, amount=evil)), name=f"{evil}.csv")
    assert evil not in previewed.content.decode()
    mapping = upload(client, csv("1;2", headings=f"{evil};b"))
    assert evil not in mapping.content.decode()
    statement = load(line(1, amount=evil), name=f"{evil}.csv")
    html = client.get(f"{URL}{statement.pk}/change/").content.decode()
    assert evil not in html
    assert "&lt;script&gt;" in html

"""axe-core finds nothing serious, in every state, language and colour scheme."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from django_pagoefectivo.models import Payment
from tests.pages.conftest import STATES

from .conftest import Site
from .test_page import LANGUAGES, full

if TYPE_CHECKING:
    from playwright.sync_api import Page

Make = Callable[..., Payment]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
GRAVE = ("serious", "critical")


def axe() -> str:
    import axe_playwright_python

    return Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")


def violations(page: Page, source: str, part: str = "html") -> list[str]:
    """What axe-core finds on the page, whatever its weight, as lines to read."""
    page.evaluate(source)
    found: dict[str, Any] = page.evaluate(
        "([part, options]) => axe.run(part, options)",
        [part, {"runOnly": RULES, "resultTypes": ["violations"], "preload": False}],
    )
    least = 10 if part == "html" else 5
    assert len(found["passes"]) > least, "axe-core looked at next to nothing"
    return [
        f"{one['impact']} {one['id']}: {node['html'][:120]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state(language: str, scheme: Any, site: Site, store: Make) -> None:
    source = axe()
    page = site.visit(language=LANGUAGES[language], width=360, color_scheme=scheme).page
    found: list[str] = []
    for number, state in enumerate(STATES):
        payment = store(state, **full(state, cip=f"9999999999999{number}"))
        page.goto(payment.get_absolute_url())
        assert page.evaluate("document.documentElement.lang").startswith(language)
        found += [f"{state}: {line}" for line in violations(page, source)]
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_comes_up_in_between(scheme: Any, site: Site, buy: Make) -> None:
    source = axe()
    payment = buy()
    visit = site.visit(language="es-PE", width=1280, color_scheme=scheme)
    page = visit.page
    page.goto(payment.get_absolute_url() + "return/")
    page.click("[data-pe-copy]")
    page.locator("[data-pe-done]").wait_for()
    page.context.set_offline(True)
    page.locator("[data-pe-offline]").wait_for(state="visible")
    assert violations(page, source) == []
    visit.forgive("ERR_INTERNET_DISC")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["parts", "card"])
def test_in_a_shops_own_page(path: str, scheme: Any, site: Site, store: Make) -> None:
    page = site.visit(color_scheme=scheme).page
    page.goto(f"/{path}/{store().token}/")
    assert violations(page, axe()) == []


def test_axe_would_find_something(site: Site, store: Make) -> None:
    page = site.open(store()).page
    page.evaluate("document.querySelector('.pe-heading').style.color = '#eee'")
    found = violations(page, axe())
    assert any(line.startswith(GRAVE) and "color-contrast" in line for line in found)

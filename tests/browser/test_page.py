"""The page in a shopper's hand: copying, keys, narrow and enlarged, on paper, without script."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from django_pagoefectivo.models import Payment
from tests.pages.conftest import STATES

from .conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

Make = Callable[..., Payment]
LANGUAGES = {"en": "en-US", "es": "es-PE", "zh": "zh-CN"}

#: The most that a page has to hold: the longest texts and sums. The code is as long.
FULL = {
    "order_reference": "ORDER-" + "X" * 58,
    "description": "Entradas para el Teatro Municipal de Lima, platea alta, " * 4,
    "amount": Decimal("1234567.50"),
    "currency": "USD",
    "expires_at": timedelta(hours=2),
}

LONG_CIP = "12345678901234"


def full(state: str = "waiting", **fields: Any) -> dict[str, Any]:
    """``FULL`` for a payment in ``state``, less what makes it be in that state."""
    values = {**FULL, "cip": LONG_CIP, **fields}
    return {name: value for name, value in values.items() if name not in STATES[state]}


SHARING = "navigator.share = data => { window.shared = data; return Promise.resolve(); };"
COPY = {"en": "Copy code", "es": "Copiar código", "zh": "复制付款码"}


def clipboard(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def too_wide(page: Page) -> list[str]:
    """What reaches over the edge of the window, if anything does."""
    found: list[str] = page.evaluate(
        """() => {
          const room = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= room) return [];
          return [...document.querySelectorAll("body *")]
            .filter(e => e.getBoundingClientRect().right > room + 1)
            .map(e => e.outerHTML.slice(0, 80));
        }"""
    )
    return found


# -- the code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_code_is_copied_as_digits_and_that_is_said(
    language: str, site: Site, store: Make
) -> None:
    page = site.open(store(cip="11546901"), language=LANGUAGES[language]).page
    button = page.locator("[data-pe-copy]")
    assert button.inner_text() == COPY[language]
    button.click()
    page.wait_for_function("!!document.querySelector('[data-pe-copy][data-pe-done]')")
    assert clipboard(page) == "11546901"
    said = button.inner_text()
    assert said != COPY[language]
    page.wait_for_timeout(200)
    assert page.inner_text("[data-pe-live]") == said


def test_the_code_is_copied_where_the_browser_has_no_clipboard_for_scripts(
    site: Site, store: Make
) -> None:
    # Plain http, as in a shop under development: only the old way of copying is left.
    page = site.open(
        store(cip="11546901"),
        script="Object.defineProperty(window, 'isSecureContext', {value: false});",
    ).page
    page.click("[data-pe-copy]")
    page.get_by_role("button", name="Code copied").wait_for()
    assert clipboard(page) == "11546901"


def test_a_copy_that_fails_is_not_called_one(site: Site, store: Make) -> None:
    page = site.open(
        store(), script="navigator.clipboard.writeText = () => Promise.reject(new Error('no'));"
    ).page
    page.click("[data-pe-copy]")
    page.get_by_role("button", name="Could not copy").wait_for()


def test_what_is_selected_by_hand_is_digits_only(site: Site, store: Make) -> None:
    page = site.open(store(cip="11546901")).page
    page.click(".pe-cip__digits")
    page.keyboard.press("Control+c")
    assert "".join(clipboard(page).split()) == "11546901"


def test_sharing_gives_the_code_and_the_page(site: Site, store: Make) -> None:
    payment = store(cip="11546901")
    page = site.open(
        payment,
        script=SHARING,
    ).page
    page.get_by_role("button", name="Share").click()
    shared = page.evaluate("window.shared")
    assert "1154 6901" in shared["text"]
    assert "S/ 22.05" in shared["text"]
    assert shared["url"] == site.url + payment.get_absolute_url()


def test_a_browser_that_cannot_share_shows_no_such_button(site: Site, store: Make) -> None:
    page = site.open(store(), script="delete Navigator.prototype.share;").page
    assert page.locator("[data-pe-share]").is_hidden()


# -- without script ---------------------------------------------------------------------------


def test_without_script_everything_is_there_and_a_link_refreshes(site: Site, store: Make) -> None:
    payment = store(cip="11546901")
    page = site.open(payment, java_script_enabled=False).page
    text = page.inner_text("main")
    assert "S/ 22.05" in text
    assert page.locator(".pe-cip__digits span").all_inner_texts() == ["1154", "6901"]
    assert page.get_by_role("img", name="QR code").is_visible()
    # A button that could do nothing is not shown.
    assert page.locator("button:visible").count() == 0
    Payment.objects.filter(pk=payment.pk).update(status="paid", paid_at=timezone.now())
    page.get_by_role("link", name="I have paid: check now").click()
    assert "Your payment has arrived" in page.inner_text("h1")


# -- keys -------------------------------------------------------------------------------------


def test_keys_reach_everything_in_reading_order_and_focus_is_seen(site: Site, store: Make) -> None:
    page = site.open(store(cip="11546901"), script=SHARING).page
    expected = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button")]
          .filter(e => e.checkVisibility()).map(e => e.textContent.trim())"""
    )
    reached = []
    for _ in expected:
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
              const e = document.activeElement, style = getComputedStyle(e);
              const box = e.getBoundingClientRect();
              return {text: e.textContent.trim(), width: parseFloat(style.outlineWidth),
                      style: style.outlineStyle, height: box.height,
                      seen: box.bottom > 0 && box.top < innerHeight};
            }"""
        )
        assert focused["style"] != "none", focused
        assert focused["width"] >= 2, focused
        assert focused["seen"], focused
        assert focused["height"] >= 24, focused
        reached.append(focused["text"])
    assert reached == expected
    assert len(reached) == 6


def test_keys_alone_copy_and_ask_and_leave(site: Site, store: Make) -> None:
    page = site.open(store(cip="11546901")).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Code copied").wait_for()
    assert clipboard(page) == "11546901"
    press_until(page, "I have paid")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Still waiting for your payment").wait_for()
    press_until(page, "Back to the shop")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="The shop").wait_for()


def press_until(page: Page, words: str) -> None:
    for _ in range(12):
        if page.evaluate("document.activeElement.textContent").startswith(words):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"No key leads to “{words}”")


# -- narrow, enlarged, on paper ---------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_wider_than_320_pixels(language: str, site: Site, store: Make) -> None:
    page = site.visit(language=LANGUAGES[language], width=320, timezone_id="Europe/Madrid").page
    for number, state in enumerate(STATES):
        payment = store(state, **full(state, cip=f"9999999999999{number}"))
        for path in ("", "return/"):
            page.goto(payment.get_absolute_url() + path)
            assert too_wide(page) == [], state


def test_buttons_are_large_enough_for_a_thumb(site: Site, store: Make) -> None:
    page = site.open(store(), width=320).page
    for button in page.locator(".pe-button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44, button.inner_text()


def test_zoomed_to_200_percent_nothing_is_lost(site: Site, store: Make) -> None:
    # Half as many pixels for the style sheet, each twice as large.
    page = site.open(store(**full()), width=640, height=400, device_scale_factor=2).page
    assert too_wide(page) == []
    assert clipped(page) == []


@pytest.mark.parametrize(("width", "fields"), [(1280, full()), (360, {})])
def test_with_text_twice_as_large_nothing_is_lost(
    width: int, fields: dict[str, Any], site: Site, store: Make
) -> None:
    page = site.open(store(**fields), width=width).page
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert too_wide(page) == []
    assert clipped(page) == []


def clipped(page: Page) -> list[str]:
    """What does not show all of its text."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".pe-card *:not(.pe-sr):not(svg *)")]
          .filter(e => e.checkVisibility() && getComputedStyle(e).overflow !== "visible"
                       && (e.scrollWidth > e.clientWidth + 1
                           || e.scrollHeight > e.clientHeight + 1))
          .map(e => e.outerHTML.slice(0, 80))"""
    )
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_it_prints_on_one_page(paper: str, language: str, site: Site, store: Make) -> None:
    from pypdf import PdfReader

    payment = store(**full())
    page = site.open(payment, language=LANGUAGES[language], color_scheme="dark").page
    document = PdfReader(io.BytesIO(page.pdf(format=paper)))
    assert len(document.pages) == 1
    text = document.pages[0].extract_text()
    assert "US$ 1,234,567.50" in text
    assert LONG_CIP in "".join(text.split())
    # What can only be pressed on a screen is not on paper.
    assert COPY[language] not in text


# -- what it asks of others -------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_the_whole_page_is_light_and_asks_nobody_else(state: str, site: Site, store: Make) -> None:
    payment = store(state, **full(state))
    visit = site.open(payment, language="es-PE")
    visit.page.wait_for_load_state("networkidle")
    assert {urlsplit(request.url).netloc for request in visit.requests} == {
        urlsplit(site.url).netloc
    }
    bodies = [answer.body() for answer in visit.answers if answer.status == 200]
    assert len(bodies) >= 3
    assert sum(map(len, bodies)) < 40 * 1024
    assert visit.page.context.cookies() == []
    policy = visit.answers[0].headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")


def test_the_policy_is_one_that_bites(site: Site, store: Make) -> None:
    visit = site.open(store())
    visit.page.evaluate(
        """() => { const s = document.createElement("style"); s.textContent = "p{}";
                   document.head.append(s); }"""
    )
    assert any("Content Security Policy" in text for text in visit.complaints)
    visit.forgive("Content Security Policy")

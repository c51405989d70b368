"""The page that buys by the REST API alone, in the example shop as it is served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.live import ACCOUNT, live_shop

from .conftest import Visit
from .test_axe import axe, violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with live_shop(tmp_path_factory.mktemp("headless")) as url:
        yield url


@pytest.fixture(params=[(390, "light"), (1280, "dark")], ids=["phone", "desktop"])
def shopper(request: pytest.FixtureRequest, chromium: Browser, shop: str) -> Iterator[Visit]:
    width, scheme = request.param
    context = chromium.new_context(
        base_url=shop,
        locale="en-US",
        viewport={"width": width, "height": 844},
        color_scheme=scheme,
    )
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page())
    visit.watch()
    yield visit
    context.close()
    assert visit.complaints == []


def buy(page: Page, product: str) -> Any:
    """Buy one and wait for its code; the payment's panel."""
    page.get_by_role("button", name=f"Buy {product}").click()
    panel = page.locator("#payment[data-status=pending]")
    panel.wait_for()
    return panel


def test_log_in_buy_pay_and_cancel(shopper: Visit) -> None:
    page = shopper.page
    page.goto("/headless/")
    # Who is not logged in is sent to log in, and comes back.
    page.get_by_role("button", name="Buy Baby alpaca scarf").click()
    page.get_by_label("Username").fill(ACCOUNT)
    page.get_by_label("Password").fill(ACCOUNT)
    page.locator("main").get_by_role("button").click()
    page.get_by_text(ACCOUNT, exact=True).wait_for()

    panel = buy(page, "Baby alpaca scarf")
    assert re.fullmatch(r"\d{4} \d{4}", panel.locator("#payment-cip").inner_text())
    assert "S/ 129.90" in panel.inner_text()
    assert violations(page, axe()) == []
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    # Paid elsewhere, the page hears of it by itself.
    token = page.locator("#payment").get_attribute("data-token")
    hosted = page.context.new_page()
    answer = page.request.get(f"/pagoefectivo/api/payments/{token}/").json()
    hosted.goto(answer["cip_url"])
    hosted.get_by_role("button", name=re.compile("^Pay", re.IGNORECASE)).click()
    hosted.wait_for_load_state()
    hosted.close()
    page.locator("#payment[data-status=paid]").wait_for()
    assert page.locator("#payment-cip").is_hidden()

    buy(page, "Baby alpaca scarf")
    page.get_by_role("button", name="Cancel it").click()
    page.locator("#payment[data-status=cancelled]").wait_for()
    listed = page.locator("#payments li")
    listed.nth(0).get_by_text("cancelled", exact=True).wait_for()
    listed.nth(1).get_by_text("paid", exact=True).wait_for()


def test_a_lost_answer_is_asked_for_again(shopper: Visit) -> None:
    """The order and the payment are made once, though each answer got lost on the way."""
    page = shopper.page
    page.goto("/accounts/login/?next=/headless/")
    page.get_by_label("Username").fill(ACCOUNT)
    page.get_by_label("Password").fill(ACCOUNT)
    page.locator("main").get_by_role("button").click()
    page.get_by_role("button", name="Buy Baby alpaca scarf").wait_for()
    sent: list[tuple[str, str | None]] = []

    def lose_once(route: Any) -> None:
        request = route.request
        if request.method == "POST":
            sent.append((request.url, request.headers.get("idempotency-key")))
            if [url for url, _ in sent].count(request.url) == 1:
                route.fetch()
                route.abort()
                return
        route.continue_()

    page.route(re.compile("/headless/orders/$|/api/payments/$"), lose_once)
    before = page.request.get("/pagoefectivo/api/payments/").json()["results"]
    panel = buy(page, "Baby alpaca scarf")
    after = page.request.get("/pagoefectivo/api/payments/").json()["results"]
    assert len(after) == len(before) + 1
    assert panel.get_attribute("data-token") == after[0]["token"]
    assert len(sent) == 4
    assert sent[2][1] == sent[3][1] is not None
    shopper.forgive("ERR_FAILED")

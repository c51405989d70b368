"""The scripts of the how-to pages, run in a browser as they stand there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from django_pagoefectivo.models import Payment
from django_pagoefectivo.sandbox import control
from tests.api.live import ACCOUNT
from tests.docs.blocks import snippets

from .conftest import Site, Visit
from .test_headless import shop, shopper

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["shop", "shopper"]
ORDER = """
async () => {
  const response = await fetch("/headless/orders/", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-CSRFToken": document.cookie.match(/csrftoken=([^;]+)/)[1],
    },
    body: JSON.stringify({ product: "chalina-alpaca", token: crypto.randomUUID() }),
  });
  return (await response.json()).number;
}
"""


def run(page: Page, then: str, argument: str) -> object:
    """Put the page's script into a function, and call what it defines."""
    script = "\n".join(block.code for block in snippets("howto/headless", "javascript"))
    return page.evaluate(f"async (given) => {{\n{script}\nreturn await {then};\n}}", argument)


def test_the_page_of_the_how_to_buys_and_waits(shopper: Visit) -> None:
    page = shopper.page
    page.goto("/accounts/login/?next=/headless/")
    page.get_by_label("Username").fill(ACCOUNT)
    page.get_by_label("Password").fill(ACCOUNT)
    page.locator("main").get_by_role("button").click()
    page.get_by_role("button", name="Buy Baby alpaca scarf").wait_for()

    answer = run(page, "pay(given)", page.evaluate(ORDER))
    assert isinstance(answer, dict)
    assert answer["amount"] == "129.90"
    hosted = page.context.new_page()
    hosted.goto(answer["cip_url"])
    hosted.get_by_role("button", name=re.compile("^Pay", re.IGNORECASE)).click()
    hosted.wait_for_load_state()
    hosted.close()
    assert run(page, "wait(given)", answer["token"]) is True


def test_the_page_hears_of_the_payment(site: Site, buy: Callable[..., Payment]) -> None:
    payment = buy()
    visit = site.open(payment)
    (block,) = snippets("howto/theming", "javascript")
    visit.page.evaluate(f"() => {{\n{block.code}\n}}")
    assert payment.cip is not None
    control.pay(payment.cip)
    visit.page.wait_for_url("**/thank-you/")
    # The shop of these tests has no such page.
    visit.forgive("404")

"""A whole purchase in a browser, at the example shop, which runs as a process of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import Visit
from .test_live import ONE_POLL, heading, is_marked, mark, wait_for_heading

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROJECT = Path(__file__).resolve().parents[2] / "testproject"
CONFIGURES = re.compile(
    r"(PAGOEFECTIVO|DJANGO|SECURE)_"
    r"|(DATABASE_URL|CACHE_URL|SHOP_URL|DEBUG|SECRET_KEY|ALLOWED_HOSTS|ENV_FILE)$"
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The shop's address, with a database of its own and the sandbox on the same server."""
    folder = tmp_path_factory.mktemp("shop")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        **{name: value for name, value in os.environ.items() if not CONFIGURES.match(name)},
        "PYTHONPATH": str(PROJECT.parent),
        "ENV_FILE": os.devnull,
        "DATABASE_URL": f"sqlite:///{folder / 'shop.sqlite3'}",
        "SHOP_URL": url,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    subprocess.run(migrate, cwd=PROJECT, env=environment, check=True, timeout=60)
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=PROJECT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(server, port, folder / "server.log")
            yield url
        finally:
            server.terminate()
            server.wait(10)


def _wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"The shop did not start:\n{log.read_text(errors='replace')}")


@pytest.fixture
def shopper(chromium: Browser, shop: str) -> Iterator[Visit]:
    context = chromium.new_context(
        base_url=shop,
        locale="en-US",
        timezone_id="America/Lima",
        viewport={"width": 390, "height": 800},
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page())
    visit.watch()
    yield visit
    context.close()
    assert visit.complaints == []


def order(page: Page, product: str) -> None:
    """Put a product into the cart and check out, up to the page with the code."""
    page.goto("/")
    page.get_by_role("button", name=f"Add {product} to the cart").click()
    page.get_by_role("link", name="Cart").click()
    page.get_by_role("link", name="Check out").click()
    page.get_by_label("First name").fill("Rosa")
    page.get_by_label("Last name").fill("Quispe Mamani")
    page.get_by_label("E-mail").fill("rosa.quispe@example.com")
    page.get_by_role("button", name="Order and get the payment code").click()
    page.locator(".pe-card").wait_for()


def test_buy_copy_pay_and_see_it_paid(shopper: Visit) -> None:
    page = shopper.page
    order(page, "Baby alpaca scarf")
    assert "with this code" in heading(page)
    digits = "".join(page.locator(".pe-cip__digits span").all_inner_texts())
    assert digits.isdigit()
    page.get_by_role("button", name="Copy code").click()
    page.get_by_role("button", name="Code copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == digits

    mark(page)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Banks, agents and stores at PagoEfectivo").click()
    hosted = opened.value
    assert digits in "".join(hosted.inner_text("body").split())
    hosted.get_by_role("button", name=re.compile("^Pay", re.IGNORECASE)).click()
    hosted.wait_for_load_state()
    hosted.close()

    wait_for_heading(page, "Your payment has arrived", ONE_POLL)
    assert is_marked(page), "the page was loaded again"
    page.get_by_role("link", name="Back to the shop").click()
    assert "Your payment has arrived" in page.inner_text("main")


def test_the_payment_page_stands_in_the_shops_own_frame(shopper: Visit) -> None:
    page = shopper.page
    order(page, "Baby alpaca scarf")
    path = page.locator("[data-pe-watch]").get_attribute("data-pe-page")
    assert path is not None
    page.goto(path)
    assert page.get_by_role("navigation", name="Shop").is_visible()
    assert page.locator("h1").all_inner_texts() == [heading(page)]
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390

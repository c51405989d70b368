"""Another phone's camera reads the QR code."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from django_pagoefectivo.models import Payment

from .conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

Make = Callable[..., Payment]


def read(picture: bytes) -> list[str]:
    import zxingcpp
    from PIL import Image

    image = Image.open(io.BytesIO(picture)).convert("L")
    return [code.text for code in zxingcpp.read_barcodes(image)]


def screenshot(page: Page) -> bytes:
    # Of the whole page, as a camera would see it, and not of the code alone.
    page.locator(".pe-qr").scroll_into_view_if_needed()
    return page.screenshot()


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_reads_as_the_hosted_page(width: int, scheme: Any, site: Site, buy: Make) -> None:
    payment = buy()
    page = site.open(payment, width=width, color_scheme=scheme).page
    assert read(screenshot(page)) == [payment.cip_url]


def test_it_reads_on_its_own_in_a_dark_shop(site: Site, buy: Make) -> None:
    payment = buy()
    page = site.visit(color_scheme="dark").page
    page.goto(f"/parts/{payment.token}/")
    assert read(screenshot(page)) == [payment.cip_url]


def test_it_reads_on_paper(site: Site, buy: Make) -> None:
    payment = buy()
    page = site.open(payment, color_scheme="dark").page
    page.emulate_media(media="print")
    assert read(screenshot(page)) == [payment.cip_url]


def test_there_is_none_to_read_once_it_is_over(site: Site, store: Make) -> None:
    page = site.open(store("expired"), height=1600).page
    assert read(page.screenshot(full_page=True)) == []

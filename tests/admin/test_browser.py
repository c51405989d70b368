"""The staff's morning in a browser, without scripts or styles inside the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache

from django_pagoefectivo.models import Outcome, Payment, Status
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.services import Customer, create_payment
from tests.browser.conftest import chromium, missing

from .conftest import make_event, make_flagged, make_mismatch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route

# Pytest finds the fixture by its name here.
__all__ = ["chromium"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
LIST = "/admin/pagoefectivo/payment/"
WIDTHS = (390, 1280)


def strictly(route: Route) -> None:
    """Pass a page on under a policy that lets in nothing but the server's own files."""
    if route.request.method != "GET" or route.request.resource_type != "document":
        route.continue_()
        return
    answer = route.fetch(max_redirects=0)
    policy = {"content-security-policy": "default-src 'self'; img-src 'self' data:"}
    route.fulfill(response=answer, headers={**answer.headers, **policy})


@pytest.fixture
def visit(
    chromium: Browser,
    live_server: Any,
    as_role: Callable[[str], Any],
) -> Iterator[Callable[..., Page]]:
    """Open a page as somebody of a role; no page may complain or leave the server."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(role: str, path: str, width: int = 1280) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        name = django_settings.SESSION_COOKIE_NAME
        session = as_role(role).cookies[name].value
        context.add_cookies([{"name": name, "value": session, "url": live_server.url}])
        page = context.new_page()
        context.route("**/*", strictly)
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and "favicon" not in message.location["url"]
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(live_server.url) else complaints.append(request.url)
            ),
        )
        page.goto(live_server.url + path)
        return page

    yield open_page
    for context in contexts:
        context.unroute_all(behavior="ignoreErrors")
        context.close()
    assert complaints == []


def shows(thing: Locator) -> None:
    """Wait until ``thing`` can be seen."""
    thing.wait_for(state="visible")


def fits(page: Page) -> bool:
    """Whether nothing sticks out sideways, once the style is there."""
    page.wait_for_load_state("load")
    width: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return width <= 0


@pytest.mark.parametrize("width", WIDTHS)
def test_settle_an_amount_mismatch(visit: Any, width: int) -> None:
    payment, _ = make_mismatch("20.00")
    page = visit("boss", f"{LIST}inbox/", width)
    assert fits(page)
    page.get_by_role("link", name="Accept the amount as paid…").click()
    shows(page.get_by_text("20.00 PEN, operation"))
    assert fits(page)
    page.get_by_label("Note").fill("Known customer.")
    page.get_by_role("button", name="Accept the amount as paid").click()
    shows(page.get_by_text("Accepted: 20.00 PEN was paid."))
    shows(page.get_by_text("All done. Nothing waits for you."))
    payment.refresh_from_db()
    assert (payment.status, payment.paid_amount) == (Status.PAID, Decimal("20.00"))
    page.goto(page.url.replace("inbox/", f"{payment.pk}/change/"))
    shows(page.get_by_text("Accepted 20.00 PEN for 22.05 PEN. Known customer.").first)
    assert fits(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_link_a_notification_nobody_knew(visit: Any, width: int) -> None:
    payment = make_flagged("outcome_unknown", "created")
    event = make_event()
    page = visit("clerk", f"{LIST}inbox/", width)
    page.get_by_role("link", name="Link to a payment…").click()
    shows(page.get_by_role("heading", name="Most likely"))
    assert fits(page)
    page.get_by_role("button", name="It is this one").click()
    shows(page.get_by_text("All done. Nothing waits for you."))
    payment.refresh_from_db()
    event.refresh_from_db()
    assert (payment.status, event.outcome) == (Status.PAID, Outcome.APPLIED)


@pytest.mark.parametrize("width", WIDTHS)
def test_cancel_in_bulk(visit: Any, live_server: Any, settings: Any, width: int) -> None:
    cache.clear()
    merchant = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {
        "MERCHANTS": {"default": merchant | {"BASE_URL": f"{live_server.url}/sandbox/v1"}},
        "TIMEOUT": (5, 10),
    }
    for number in range(3):
        create_payment(
            order_reference=f"A-{number}",
            amount=Decimal("22.05"),
            customer=Customer(email="rosa.quispe@correo.example"),
        )
    page = visit("clerk", LIST, width)
    for row in (1, 2):
        page.locator(f"#result_list tbody tr:nth-child({row}) .action-select").check()
    page.locator("select[name=action]").select_option("cancel_payments")
    page.get_by_role("button", name="Go").click()
    shows(page.get_by_text("Cancel 2 payments?"))
    assert fits(page)
    page.get_by_role("button", name="Yes, do it").click()
    shows(page.get_by_text("2 payments were cancelled."))
    assert Payment.objects.filter(status=Status.CANCELLED).count() == 2
    assert control.calls(control.Operation.CANCEL).count() == 2
    cache.clear()


def test_the_day_filter(visit: Any) -> None:
    make_flagged("late_payment", "paid")
    page = visit("viewer", f"{LIST}?status__exact=paid")
    page.get_by_label("From").fill("2020-01-01")
    page.get_by_label("to", exact=True).fill("2020-01-02")
    page.get_by_role("button", name="Show").click()
    assert "status__exact=paid" in page.url
    shows(page.get_by_text("0 payments"))

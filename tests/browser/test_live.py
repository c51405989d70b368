"""What the waiting page learns by itself, and how little it asks for it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from django_pagoefectivo.models import Payment
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.services import cancel_payment, extend_payment

from .conftest import Site, Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

Make = Callable[..., Payment]

#: The first pace is 5 seconds, a tenth more or less; the rest is for a busy machine.
ONE_POLL = 5.5 + 2.5

#: ``document.hidden`` as a test says, for a browser without a window is never hidden.
HIDING = """
window.hideIt = is => {
  Object.defineProperty(document, "hidden", {value: is, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


def mark(page: Page) -> None:
    page.evaluate("window.neverReloaded = true")


def is_marked(page: Page) -> bool:
    return bool(page.evaluate("window.neverReloaded === true"))


def heading(page: Page) -> str:
    return page.inner_text("[data-pe-heading]")


def wait_for_heading(page: Page, words: str, seconds: float = ONE_POLL) -> float:
    """Wait until the heading says so; how long that took."""
    began = time.monotonic()
    page.locator("[data-pe-heading]", has_text=words).wait_for(timeout=seconds * 1000)
    return time.monotonic() - began


def test_it_turns_paid_within_one_poll_and_without_a_reload(site: Site, buy: Make) -> None:
    payment = buy()
    visit = site.open(payment)
    page = visit.page
    assert "with this code" in heading(page)
    mark(page)
    # The first answer is in, so the next one is a whole pace away.
    page.wait_for_event("response", lambda answer: "/status/" in answer.url)
    control.pay(str(payment.cip))
    wait_for_heading(page, "Your payment has arrived")
    assert is_marked(page)
    assert len(visit.polls) == 2
    page.wait_for_timeout(200)
    assert page.inner_text("[data-pe-live]") == "Your payment has arrived"
    assert page.title().startswith("Paid · ")
    assert page.locator(".pe-card").get_attribute("data-pe-state") == "paid"
    assert page.locator("[data-pe-copy]").count() == 0
    payment.refresh_from_db()
    assert payment.operation_number in page.inner_text(".pe-facts")


def test_it_tells_of_expiry(site: Site, buy: Make) -> None:
    payment = buy()
    page = site.open(payment).page
    mark(page)
    control.expire(str(payment.cip), notify=True)
    wait_for_heading(page, "This code has expired")
    assert is_marked(page)
    page.get_by_role("link", name="Back to the shop").click()
    assert heading_of_shop(page) == "The shop"


def heading_of_shop(page: Page) -> str:
    return page.inner_text("h1")


def test_it_tells_of_a_cancellation(site: Site, buy: Make) -> None:
    payment = buy()
    page = site.open(payment).page
    mark(page)
    cancel_payment(payment)
    wait_for_heading(page, "This code was cancelled")
    assert is_marked(page)


def test_it_shows_a_new_deadline(site: Site, buy: Make) -> None:
    payment = buy(expires_in=timedelta(hours=2))
    page = site.open(payment).page
    mark(page)
    assert page.locator("[data-pe-left]").is_visible()
    extend_payment(payment, expires_in=timedelta(days=3))
    page.locator("[data-pe-left]").wait_for(state="hidden", timeout=ONE_POLL * 1000)
    payment.refresh_from_db()
    shown = page.locator("time").get_attribute("datetime")
    assert shown is not None
    assert datetime.fromisoformat(shown) == payment.expires_at.replace(microsecond=0)
    assert is_marked(page)


def test_the_code_comes_to_the_page_that_waits_for_it(site: Site, store: Make) -> None:
    payment = store("preparing")
    page = site.open(payment).page
    assert page.locator(".pe-cip").count() == 0
    mark(page)
    Payment.objects.filter(pk=payment.pk).update(status="pending", cip="11546901")
    wait_for_heading(page, "with this code")
    assert page.locator("[data-pe-copy]").is_visible()
    assert is_marked(page)


def test_focus_is_not_lost_with_what_had_it(site: Site, store: Make) -> None:
    payment = store()
    page = site.open(payment).page
    page.focus("[data-pe-print]")
    Payment.objects.filter(pk=payment.pk).update(status="paid", paid_at=timezone.now())
    wait_for_heading(page, "Your payment has arrived")
    assert page.evaluate("document.activeElement.matches('[data-pe-heading]')")


def test_offline_is_said_and_being_back_is_noticed(site: Site, buy: Make) -> None:
    payment = buy()
    visit = site.open(payment)
    page = visit.page
    mark(page)
    notice = page.locator("[data-pe-offline]")
    assert notice.is_hidden()
    page.context.set_offline(True)
    notice.wait_for(state="visible")
    page.wait_for_timeout(200)
    assert "offline" in page.inner_text("[data-pe-live]")
    assert page.locator(".pe-cip").is_visible()
    control.pay(str(payment.cip))
    # A poll that finds no network must not end the watching.
    page.wait_for_event("requestfailed", lambda request: "/status/" in request.url)
    page.context.set_offline(False)
    wait_for_heading(page, "Your payment has arrived")
    assert notice.count() == 0
    assert is_marked(page)
    visit.forgive("ERR_INTERNET_DISC")


def test_being_back_without_news_takes_the_notice_away(site: Site, store: Make) -> None:
    visit = site.open(store())
    page = visit.page
    page.context.set_offline(True)
    page.locator("[data-pe-offline]").wait_for(state="visible")
    page.context.set_offline(False)
    # At once, and not with the next poll.
    page.locator("[data-pe-offline]").wait_for(state="hidden", timeout=3500)
    visit.forgive("ERR_INTERNET_DISC")


def test_a_server_that_fails_is_asked_again(site: Site, store: Make) -> None:
    payment = store()
    visit = site.visit()
    page = visit.page
    page.clock.install()
    failing = {"left": 2}

    def answer(route: Any) -> None:
        if failing["left"]:
            failing["left"] -= 1
            route.fulfill(status=503, headers={"Retry-After": "30"}, body="busy")
        else:
            route.continue_()

    page.route("**/status/**", answer)
    page.goto(payment.get_absolute_url())
    run_polls(visit, 1)
    page.clock.run_for(25_000)
    assert len(visit.polls) == 1, "asked again before Retry-After"
    run_polls(visit, 2)
    assert page.locator("[data-pe-offline]").is_visible()
    run_polls(visit, 3)
    page.locator("[data-pe-offline]").wait_for(state="hidden")
    visit.forgive("503")


def run_polls(visit: Visit, count: int, limit: int = 200) -> int:
    """Let the page's clock run until it has had so many answers; how many seconds it took."""
    page = visit.page
    for second in range(limit):
        if len(visit.poll_codes) >= count:
            # The script takes the answer up, and sets its next timer, in tasks of its own.
            page.wait_for_timeout(100)
            return second
        page.clock.run_for(1000)
        page.wait_for_timeout(15)
    raise AssertionError(f"{len(visit.poll_codes)} answers in {limit} seconds, not {count}")


def test_an_unchanged_state_costs_no_bytes_and_asks_ever_less_often(
    site: Site, store: Make
) -> None:
    visit = site.visit()
    page = visit.page
    page.clock.install()
    page.goto(store().get_absolute_url())
    paces = [run_polls(visit, count) for count in (1, 2, 3)]
    assert all(4 <= pace <= 7 for pace in paces), paces
    assert visit.poll_codes == [200, 304, 304]
    page.clock.fast_forward(2 * 3600_000)
    run_polls(visit, 4)
    # What it heard then is the pace of somebody who has looked on for two hours.
    assert "watched=72" in visit.polls[-1].url
    assert 53 <= run_polls(visit, 5) <= 68


def test_nothing_is_asked_while_nobody_looks(site: Site, store: Make) -> None:
    payment = store()
    visit = site.visit(script=HIDING)
    page = visit.page
    page.clock.install()
    page.goto(payment.get_absolute_url())
    run_polls(visit, 1)
    page.evaluate("hideIt(true)")
    asked = len(visit.polls)
    page.clock.run_for(600_000)
    page.wait_for_timeout(200)
    assert len(visit.polls) == asked
    Payment.objects.filter(pk=payment.pk).update(status="paid", paid_at=timezone.now())
    page.evaluate("hideIt(false)")
    # Who comes back to the page wants to know now, and not after a pace.
    wait_for_heading(page, "Your payment has arrived", 3)


def test_an_answer_that_comes_while_nobody_looks_is_the_last(site: Site, store: Make) -> None:
    hide_on_answer = """
    const ask = window.fetch;
    window.fetch = (...all) => ask(...all).then(answer => { hideIt(true); return answer; });
    """
    visit = site.visit(script=HIDING + hide_on_answer)
    page = visit.page
    page.clock.install()
    page.goto(store().get_absolute_url())
    run_polls(visit, 1)
    page.clock.run_for(600_000)
    page.wait_for_timeout(200)
    assert len(visit.polls) == 1


@pytest.mark.parametrize("state", ["paid", "expired", "cancelled", "refunded", "failed"])
def test_nothing_is_asked_once_it_is_over(state: str, site: Site, store: Make) -> None:
    visit = site.visit(script=HIDING)
    page = visit.page
    page.clock.install()
    page.goto(store(state).get_absolute_url())
    page.clock.run_for(600_000)
    page.evaluate("hideIt(true)")
    page.evaluate("hideIt(false)")
    page.wait_for_timeout(200)
    assert visit.polls == []


def test_asking_ends_with_the_news(site: Site, store: Make) -> None:
    payment = store()
    visit = site.visit()
    page = visit.page
    page.clock.install()
    page.goto(payment.get_absolute_url())
    run_polls(visit, 1)
    Payment.objects.filter(pk=payment.pk).update(status="paid", paid_at=timezone.now())
    run_polls(visit, 2)
    wait_for_heading(page, "Your payment has arrived")
    page.clock.run_for(600_000)
    page.wait_for_timeout(200)
    assert len(visit.polls) == 2


def test_an_unknown_payment_is_asked_about_once(site: Site, store: Make) -> None:
    payment = store()
    visit = site.visit()
    page = visit.page
    page.clock.install()
    page.goto(payment.get_absolute_url())
    payment.delete()
    run_polls(visit, 1)
    page.clock.run_for(600_000)
    page.wait_for_timeout(200)
    assert len(visit.polls) == 1
    visit.forgive("404")


def test_asking_now_says_that_nothing_has_changed(site: Site, store: Make) -> None:
    payment = store()
    page = site.open(payment).page
    mark(page)
    page.get_by_role("link", name="I have paid: check now").click()
    page.get_by_text("Still waiting for your payment", exact=True).first.wait_for()
    Payment.objects.filter(pk=payment.pk).update(status="paid", paid_at=timezone.now())
    page.locator("[data-pe-refresh]").click()
    wait_for_heading(page, "Your payment has arrived", 3)
    assert is_marked(page)


def test_the_countdown_counts(site: Site, store: Make, soon: timedelta) -> None:
    payment = store(expires_at=soon)
    visit = site.visit()
    page = visit.page
    page.clock.install()
    page.goto(payment.get_absolute_url())
    left = page.locator("[data-pe-left]")
    assert re.fullmatch(r"2 h (19|20) min left", left.inner_text())
    page.clock.fast_forward(2 * 3600_000)
    page.clock.run_for(15_000)
    assert re.fullmatch(r"(19|20) min left", left.inner_text())
    page.clock.fast_forward(1200_000)
    page.clock.run_for(1_000)
    assert left.is_hidden() or left.inner_text() == "less than a minute left"


def test_the_countdown_trusts_the_server_and_not_the_phone(
    site: Site, store: Make, soon: timedelta
) -> None:
    payment = store(expires_at=soon)
    page = site.visit().page
    page.clock.install(time=timezone.now() + timedelta(hours=9))
    page.goto(payment.get_absolute_url())
    assert re.fullmatch(r"2 h (19|20) min left", page.locator("[data-pe-left]").inner_text())


def test_who_is_elsewhere_sees_both_times(site: Site, store: Make) -> None:
    payment = store()
    there = site.open(payment, timezone_id="Europe/Madrid").page
    assert "In your time zone: " in there.inner_text("[data-pe-localtime]")
    here = site.open(payment, timezone_id="America/Lima").page
    assert here.locator("[data-pe-localtime]").is_hidden()


def test_the_return_view_shows_what_the_sandbox_knows(site: Site, buy: Make) -> None:
    payment = buy()
    control.pay(str(payment.cip), notify=False)
    page = site.visit().page
    page.goto(f"{payment.get_absolute_url()}return/?status=failed")
    assert heading(page) == "Your payment has arrived"
    payment.refresh_from_db()
    assert payment.is_paid


def test_the_return_view_goes_on_watching(site: Site, buy: Make) -> None:
    payment = buy()
    page = site.visit().page
    page.goto(f"{payment.get_absolute_url()}return/?status=paid")
    assert "with this code" in heading(page)
    assert page.get_by_text("PagoEfectivo has not confirmed a payment yet").is_visible()
    control.pay(str(payment.cip))
    wait_for_heading(page, "Your payment has arrived")
    assert page.title().startswith("Paid · ")


def test_parts_and_card_in_a_shops_own_page(site: Site, buy: Make) -> None:
    payment = buy()
    parts, card = site.visit(), site.visit()
    parts.page.goto(f"/parts/{payment.token}/")
    card.page.goto(f"/card/{payment.token}/")
    parts.page.evaluate(
        "document.addEventListener('pagoefectivo:status', e => { window.heard = e.detail; })"
    )
    control.pay(str(payment.cip))
    parts.page.get_by_text("Paid", exact=True).wait_for(timeout=ONE_POLL * 1000)
    assert parts.page.evaluate("window.heard.paid") is True
    wait_for_heading(card.page, "Your payment has arrived")
    # The shop's own heading stays the first one, and its title is the shop's.
    assert card.page.locator("h1").all_inner_texts() == ["Your order"]
    assert card.page.locator("h2[data-pe-heading]").count() == 1
    assert card.page.title() == "The shop"

"""A real browser against a real server: the pages, the sandbox and the webhook together."""

from __future__ import annotations

import copy
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import override_settings

from django_pagoefectivo.models import Payment
from django_pagoefectivo.services import Customer, create_payment
from tests.pages.conftest import build_payment

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request, Response

HERE = Path(__file__).parent
PACKAGES = {
    "playwright": "playwright",
    "axe_playwright_python": "axe-playwright-python",
    "zxingcpp": "zxing-cpp",
    "pypdf": "pypdf",
    "PIL": "pillow",
}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium_path() -> str | None:
    """The system's Chromium; ``CHROMIUM`` names another one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def missing() -> str:
    """What keeps these tests from running, as a sentence; empty where nothing does."""
    absent = [name for module, name in PACKAGES.items() if not importlib.util.find_spec(module)]
    if absent:
        return f"not installed: {', '.join(absent)} (pip install --group browser)"
    if chromium_path() is None:
        return "no Chromium here (apt-get install chromium, or name one in CHROMIUM)"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if HERE in item.path.parents]
    reason = missing() if here else ""
    # A lane that is there to run these must not pass because it ran none.
    if reason and os.environ.get("REQUIRE_BROWSER"):
        raise pytest.UsageError(f"REQUIRE_BROWSER is set, but {reason}")
    for item in here:
        item.add_marker(pytest.mark.browser)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def live_server(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """A server of its own, since one that runs already keeps the middleware it began with."""
    from pytest_django.live_server_helper import LiveServer

    middleware = ["tests.browser.frame.PolicyMiddleware", *settings.MIDDLEWARE]
    with override_settings(MIDDLEWARE=middleware):
        server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    # Playwright keeps an event loop in this thread, and Django would take each query of a
    # test for one inside a coroutine. For a module only, so that no other test sees either.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
            yield browser
            browser.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@dataclass
class Visit:
    """A page in a browser, with everything it asked for and complained about."""

    page: Page
    requests: list[Request] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def polls(self) -> list[Request]:
        return [request for request in self.requests if "/status/" in request.url]

    @property
    def poll_codes(self) -> list[int]:
        return [answer.status for answer in self.answers if "/status/" in answer.url]

    def forgive(self, words: str) -> None:
        """Take what a test has brought about on purpose out of the complaints."""
        self.complaints[:] = [text for text in self.complaints if words not in text]

    def watch(self) -> None:
        """Note what happens on the page from now on."""
        page = self.page
        # Playwright marks the function it is given, which a list's method does not allow.
        page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108
        page.on("response", lambda answer: self.answers.append(answer))  # noqa: PLW0108
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(f"{message.type}: {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )


@dataclass
class Site:
    """The server with the shop, the pages and the sandbox on it, and browsers to visit it."""

    url: str
    chromium: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)

    def visit(
        self, *, language: str = "en-US", width: int = 390, script: str = "", **options: Any
    ) -> Visit:
        """A new page in a browser of its own. ``script`` runs before any of the page's."""
        context = self.chromium.new_context(
            base_url=self.url,
            locale=language,
            timezone_id=options.pop("timezone_id", "America/Lima"),
            viewport={"width": width, "height": options.pop("height", 800)},
            permissions=["clipboard-read", "clipboard-write"],
            **options,
        )
        context.set_default_timeout(10_000)
        if script:
            context.add_init_script(script)
        self.contexts.append(context)
        visit = Visit(context.new_page())
        visit.watch()
        self.visits.append(visit)
        return visit

    def open(self, payment: Payment, **options: Any) -> Visit:
        """The payment's page."""
        visit = self.visit(**options)
        visit.page.goto(payment.get_absolute_url())
        return visit


@pytest.fixture
def site(
    chromium: Browser, live_server: Any, transactional_db: None, settings: Any
) -> Iterator[Site]:
    """The site, with no complaint in any browser's console at the end.

    A test that breaks something on purpose lets its visit ``forgive`` that.
    """
    changed = copy.deepcopy(settings.PAGOEFECTIVO)
    changed["MERCHANTS"]["default"]["BASE_URL"] = f"{live_server.url}/sandbox/v1"
    changed["RETURN_URL"] = "/"
    # The sandbox shares this process, and its answers wait for the same processors.
    changed["TIMEOUT"] = (5, 20)
    settings.PAGOEFECTIVO = changed
    settings.ROOT_URLCONF = "tests.browser.frame"
    cache.clear()
    site = Site(live_server.url, chromium)
    yield site
    for context in site.contexts:
        context.close()
    cache.clear()
    assert [text for visit in site.visits for text in visit.complaints] == []


@pytest.fixture
def buy(site: Site) -> Callable[..., Payment]:
    """Ask the sandbox for a code over HTTP, as a shop does."""

    def ask(**fields: Any) -> Payment:
        values: dict[str, Any] = {
            "order_reference": "A-1001",
            "amount": Decimal("22.05"),
            "description": "Two tickets",
            "customer": Customer(email="rosa.quispe@correo.example"),
            **fields,
        }
        return create_payment(**values)

    return ask


@pytest.fixture
def store(site: Site) -> Callable[..., Payment]:
    """Store a payment in a state, without asking anybody; see ``tests/pages``."""

    def put(state: str = "waiting", **fields: Any) -> Payment:
        payment = build_payment(state, **fields)
        payment.save()
        return payment

    return put


@pytest.fixture
def soon() -> timedelta:
    """A deadline that is near enough to be counted down to."""
    return timedelta(hours=2, minutes=20, seconds=30)

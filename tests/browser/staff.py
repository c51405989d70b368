"""A member of the shop's staff in a browser that lets in nothing but the server's own files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer

from tests.admin.conftest import as_role

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

# Pytest finds the fixtures by their names in the modules that import them.
__all__ = ["as_role", "fits", "live_server", "shows", "visit"]
WIDTHS = (390, 1280)


class PolicyMiddleware:
    """Nothing but files of this server; Django's own scripts in the admin need no more."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data:"
        return response


@pytest.fixture(scope="module")
def live_server(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """A server of its own, since one that runs already keeps the middleware it began with."""
    middleware = [f"{__name__}.PolicyMiddleware", *django_settings.MIDDLEWARE]
    with override_settings(MIDDLEWARE=middleware):
        server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.fixture
def visit(
    chromium: Browser,
    live_server: Any,
    as_role: Callable[[str], Any],
) -> Iterator[Callable[..., Page]]:
    """Open a page as somebody of a role; no page may complain or leave the server."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(role: str, path: str, width: int = 1280, scheme: Any = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        name = django_settings.SESSION_COOKIE_NAME
        session = as_role(role).cookies[name].value
        context.add_cookies([{"name": name, "value": session, "url": live_server.url}])
        page = context.new_page()
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
        context.close()
    assert complaints == [], complaints


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

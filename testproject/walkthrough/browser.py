"""As much of a browser as a purchase needs: pages, cookies, links and forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

from .report import Deviation


@dataclass
class Form:
    """A form as it stands in a page: its fields filled in, its buttons named."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    #: Each button's words, with the name and value it sends.
    buttons: list[tuple[str, str, str]] = field(default_factory=list)

    def offers(self, words: str) -> bool:
        """Whether one of its buttons says ``words``, in whatever case."""
        return any(words.casefold() in button[0].casefold() for button in self.buttons)


class _Reader(HTMLParser):
    """Collects the text and the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._form: Form | None = None
        self._select = ""
        self._button: tuple[str, str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        if self._form is None:
            return
        name, value = given.get("name", ""), given.get("value", "")
        kind = given.get("type", "submit" if tag == "button" else "text").lower()
        if tag == "button" or (tag == "input" and kind == "submit"):
            words = [given.get("aria-label", ""), value if tag == "input" else ""]
            self._button = (name, value, words)
            if tag == "input":
                self.handle_endtag("button")
        elif tag == "input" and name and (kind not in ("radio", "checkbox") or "checked" in given):
            self._form.fields[name] = value
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in self._form.fields:
                self._form.fields[self._select] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._button is not None and self._form is not None:
            name, value, words = self._button
            self._form.buttons.append((" ".join(" ".join(words).split()), name, value))
            self._button = None
        elif tag == "select":
            self._select = ""
        elif tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._button is not None:
            self._button[2].append(data)


@dataclass
class Page:
    """A page that was opened."""

    url: str
    status: int
    text: str
    forms: list[Form]
    headers: requests.structures.CaseInsensitiveDict[str]

    def form(self, words: str) -> Form | None:
        """The first form with a button that says ``words``."""
        return next((form for form in self.forms if form.offers(words)), None)


class Browser:
    """One shopper's browser."""

    def __init__(self, home: str) -> None:
        self.home = home
        self._session = requests.Session()
        # Proxies and netrc of this machine have no business between two of its own ports.
        self._session.trust_env = False
        self._session.headers["Accept-Language"] = "en"

    def open(self, address: str) -> Page:
        """Follow a link to ``address``, a path or a whole URL."""
        return self._page(self._session.get(urljoin(self.home, address), timeout=15))

    def json(self, address: str) -> dict[str, object]:
        """What a script on the page reads from ``address``."""
        answer = self._session.get(urljoin(self.home, address), timeout=15)
        answer.raise_for_status()
        data: dict[str, object] = answer.json()
        return data

    def press(self, page: Page, words: str, **filled: str) -> Page:
        """Fill a form of ``page`` in and press its button that says ``words``.

        Raises ``Deviation`` if there is none.
        """
        form = page.form(words)
        if form is None:
            raise Deviation(f"{page.url} has no button that says “{words}”.")
        pressed = next(
            button for button in form.buttons if words.casefold() in button[0].casefold()
        )
        data = form.fields | filled
        if pressed[1]:
            data[pressed[1]] = pressed[2]
        answer = self._session.request(
            form.method.upper(),
            urljoin(page.url, form.action),
            data=data,
            headers={"Referer": page.url},
            timeout=30,
        )
        return self._page(answer)

    @staticmethod
    def _page(answer: requests.Response) -> Page:
        answer.encoding = "utf-8"
        reader = _Reader()
        reader.feed(answer.text)
        text = " ".join(" ".join(reader.words).split())
        return Page(answer.url, answer.status_code, text, reader.forms, answer.headers)

"""Links: those out of here are well formed and few, those within lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from docutils import nodes

import django_pagoefectivo
from django_pagoefectivo.doctor.findings import docs_link

from .blocks import DOCS, ROOT, blocks_of, pages, tree_of

#: Where a page may send its reader. A new host is a decision.
HOSTS = {
    "datatracker.ietf.org",
    "django-environ.readthedocs.io",
    "factoryboy.readthedocs.io",
    "pytest-django.readthedocs.io",
}
#: Shops and merchants that are made up, by the name that is kept for such.
MADE_UP = re.compile(r"([\w-]+\.)*example")
URL = re.compile(r"https?://[^\s\"'`<>)\]},]+")
#: What a reader of the source tree is told to look at.
PATH = re.compile(r"(?:docs|tests|testproject|benchmarks|django_pagoefectivo)/[\w./-]+")
FILE = re.compile(r"[\w-]+\.(?:rst|toml|py|md|txt|yaml)|Makefile")


def links_of(page: str) -> Iterator[str]:
    """The addresses that a page links, as docutils resolves them."""
    for node in tree_of(page).findall(nodes.reference):
        if address := node.get("refuri"):
            yield address


def words_of(page: str) -> Iterator[str]:
    """What stands in double backticks, outside of blocks."""
    for node in tree_of(page).findall(nodes.literal):
        yield node.astext()


@pytest.mark.parametrize("page", pages())
def test_links_out_are_https_and_of_a_known_host(page: str) -> None:
    for address in links_of(page):
        parts = urlsplit(address)
        if parts.scheme == "mailto":
            continue
        if parts.hostname == "127.0.0.1":
            assert parts.scheme == "http"
            continue
        assert parts.scheme == "https", address
        assert parts.hostname in HOSTS, address
        assert parts.port is None, address
        assert not re.search(r"[\s<>`]", address), address


@pytest.mark.parametrize("page", pages())
def test_addresses_in_words_and_blocks_are_made_up(page: str) -> None:
    texts = [*words_of(page), *(block.code for block in blocks_of(page))]
    for address in URL.findall("\n".join(texts)):
        host = urlsplit(address).hostname or ""
        assert host == "127.0.0.1" or MADE_UP.fullmatch(host), address


def test_no_host_is_allowed_that_nobody_links() -> None:
    linked = {urlsplit(address).hostname for page in pages() for address in links_of(page)}
    assert linked >= HOSTS


@pytest.mark.parametrize("page", pages())
def test_pictures_and_included_files_are_there(page: str) -> None:
    folder = (ROOT / page).parent
    for node in tree_of(page).findall(nodes.image):
        picture = folder / node["uri"]
        assert picture.is_file(), node["uri"]
        assert node.get("alt"), f"{page}: {node['uri']} has no words for who cannot see it"
    for block in blocks_of(page):
        if block.language.startswith("file "):
            assert (folder / block.language.removeprefix("file ")).is_file(), block.place


@pytest.mark.parametrize("page", pages())
def test_files_that_a_page_names_are_there(page: str) -> None:
    for text in words_of(page):
        path = text.partition("::")[0]
        if PATH.fullmatch(path) and not path.startswith("django_pagoefectivo/states"):
            assert any((base / path).exists() for base in (ROOT, ROOT / TEMPLATES)), (page, path)
        elif FILE.fullmatch(path) and page in ("README.rst", "CONTRIBUTING.rst", "SECURITY.rst"):
            known = path in ("settings.py", "urls.py")
            assert known or (ROOT / path).exists() or any(PACKAGE.rglob(path)), (page, path)


PACKAGE = Path(django_pagoefectivo.__file__).parent
TEMPLATES = "django_pagoefectivo/templates"


def anchors_of(page: str) -> set[str]:
    """The anchors that Sphinx makes of a page's titles."""
    return {name for node in tree_of(page).findall(nodes.section) for name in (node["ids"] or [])}


def test_the_codes_own_links_lead_to_pages_and_sections() -> None:
    """Whatever names a page of the docs in the package: findings, checks, docstrings."""
    named = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        named |= set(
            re.findall(r'"((?:explanation|howto|reference)/[a-z-]+(?:#[a-z-]+)?|tutorial)"', text)
        )
        for file in re.findall(r"docs/[\w/-]+\.\w+", text):
            assert (ROOT / file).is_file(), (path, file)
    assert len(named) > 5
    for name in named:
        page, _, section = name.partition("#")
        assert (DOCS / f"{page}.rst").is_file(), name
        assert not section or section in anchors_of(f"docs/{page}.rst"), name
        assert docs_link(name)


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(
        re.findall(r"^   ([a-z/-]+)$", (DOCS / "index.rst").read_text("utf-8"), re.MULTILINE)
    )
    ours = {page.removeprefix("docs/").removesuffix(".rst") for page in pages() if "/" in page}
    assert listed == ours - {"index"}

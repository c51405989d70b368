"""What the how-to pages say is done here, word for word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.template import Context, Engine

import django_pagoefectivo
from tests.docs.blocks import snippets

from .conftest import build_payment

PACKAGE = Path(django_pagoefectivo.__file__).parent
HOWTO = PACKAGE.parent / "docs" / "howto"
CSS = (PACKAGE / "static/django_pagoefectivo/pagoefectivo.css").read_text("utf-8")
SHOP_BASE = (
    "<title>{% block title %}{% endblock %}</title>{% block extra_head %}{% endblock %}"
    "<nav>The shop</nav>{% block content %}{% endblock %}"
)


def theming_templates() -> dict[str, str]:
    """What the page on theming shows, by the file it goes into."""
    found = snippets("howto/theming", "html+django")
    return {block.caption: block.code for block in found if block.caption}


def render(engine: Engine, source: str, **context: Any) -> str:
    return engine.from_string(source).render(Context(context))


@pytest.fixture
def shop(tmp_path: Path) -> Engine:
    """A project's templates: its base, and what the pages say to put beside it."""
    own = {"templates/shop/base.html": SHOP_BASE, **theming_templates()}
    for caption, code in own.items():
        path = tmp_path / caption
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, "utf-8")
    return Engine(
        dirs=[str(tmp_path / "templates")],
        app_dirs=True,
        libraries={
            "i18n": "django.templatetags.i18n",
            "static": "django.templatetags.static",
            "pagoefectivo": "django_pagoefectivo.templatetags.pagoefectivo",
        },
        builtins=["django.template.defaulttags"],
    )


def test_parts_are_all_there() -> None:
    parts = next(
        block.code
        for block in snippets("howto/theming", "html+django")
        if "pagoefectivo_qr" in block.code
    )
    payment = build_payment(cip="11546901")
    html = render(Engine.get_default(), parts, payment=payment)
    for piece in ("pe-status", "pe-cip", "pe-expiry", "pe-qr", "Pay now", "S/ 22.05", "1154 6901"):
        assert piece in html
    assert html.count("data-pe-copy=") == 1


def test_the_shops_own_templates_are_used(shop: Engine) -> None:
    payment = build_payment("paid", order_reference="A-1001")
    with patch.object(Engine, "get_default", return_value=shop):
        page = shop.get_template("django_pagoefectivo/payment.html")
        html = page.render(Context({"payment": payment, "label": "paid"}))
    assert "<nav>The shop</nav>" in html
    assert "pagoefectivo.css" in html.partition("<nav>")[0]


@pytest.mark.django_db
def test_the_shops_own_words_are_used(tmp_path: Path, shop: Engine, settings: Any) -> None:
    (templates,) = settings.TEMPLATES
    settings.TEMPLATES = [{**templates, "DIRS": [str(tmp_path / "templates")]}]
    html = render(
        Engine.get_default(),
        "{% load pagoefectivo %}{% pagoefectivo_instructions payment %}",
        payment=build_payment("paid", order_reference="A-1001"),
    )
    assert "We pack your order today." in html
    assert "The shop has been told" not in html
    assert "Your payment has arrived" in html
    assert "hola@shop.example" in html


def test_every_custom_property_is_told_and_no_other() -> None:
    known = set(re.findall(r"var\((--pe-[\w-]+)", CSS))
    text = (HOWTO / "theming.rst").read_text("utf-8")
    assert set(re.findall(r"``(--pe-[\w-]+)``", text)) == known


def test_every_state_and_block_is_told() -> None:
    text = (HOWTO / "theming.rst").read_text("utf-8").partition("Other words in one state")[2]
    states = PACKAGE / "templates/django_pagoefectivo/states"
    card = (states.parent / "card.html").read_text("utf-8")
    for name in [path.stem for path in states.iterdir()] + re.findall(r"{% block (\w+)", card):
        assert f"``{name}``" in text, name


def test_pictures_are_there_and_light() -> None:
    for page in HOWTO.glob("*.rst"):
        for name in re.findall(r"(?:figure|image):: (\S+)", page.read_text("utf-8")):
            assert 0 < (page.parent / name).stat().st_size < 60_000, name

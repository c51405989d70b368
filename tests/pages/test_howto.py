"""What the how-to pages say is done here, word for word."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.template import Context, Engine
from django.utils import translation

import django_pagoefectivo
from django_pagoefectivo.models import Payment
from django_pagoefectivo.services import Customer
from django_pagoefectivo.signals import payment_pending

from .conftest import build_payment

PACKAGE = Path(django_pagoefectivo.__file__).parent
HOWTO = PACKAGE.parent / "docs" / "howto"
CSS = (PACKAGE / "static/django_pagoefectivo/pagoefectivo.css").read_text("utf-8")
BLOCK = re.compile(
    r"^\.\. code-block:: (?P<kind>\S+)\n(?:   :caption: (?P<caption>.*)\n)?\n"
    r"(?P<code>(?:(?:   .*)?\n)+)",
    re.MULTILINE,
)
SHOP_BASE = (
    "<title>{% block title %}{% endblock %}</title>{% block extra_head %}{% endblock %}"
    "<nav>The shop</nav>{% block content %}{% endblock %}"
)


def snippets(page: str, kind: str) -> list[tuple[str, str]]:
    """Caption and code of each block of ``kind``."""
    text = (HOWTO / page).read_text("utf-8")
    return [
        (found["caption"] or "", textwrap.dedent(found["code"]).strip())
        for found in BLOCK.finditer(text)
        if found["kind"] == kind
    ]


def render(engine: Engine, source: str, **context: Any) -> str:
    return engine.from_string(source).render(Context(context))


@pytest.fixture
def shop(tmp_path: Path) -> Engine:
    """A project's templates: its base, and what the pages say to put beside it."""
    own = {"templates/shop/base.html": SHOP_BASE, **dict(snippets("theming.rst", "html+django"))}
    for caption, code in own.items():
        if caption:
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


@pytest.mark.parametrize("page", ["theming.rst", "languages.rst", "email.rst"])
def test_templates_render(page: str) -> None:
    engine = Engine.get_default()
    found = [code for caption, code in snippets(page, "html+django") if not caption]
    assert found
    for code in found:
        html = render(engine, code, payment=build_payment(cip="11546901"), instructions="…")
        assert html.strip()


def test_parts_are_all_there() -> None:
    parts = next(
        code for _, code in snippets("theming.rst", "html+django") if "pagoefectivo_qr" in code
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
    for _, code in snippets("theming.rst", "css"):
        assert set(re.findall(r"(--pe-[\w-]+):", code)) <= known


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


@pytest.mark.django_db
def test_the_mail_goes_out_in_the_shoppers_language(configure: Callable[..., None]) -> None:
    configure(SITE_URL="https://shop.example")
    made: list[dict[str, Any]] = []

    def create_payment(**fields: Any) -> Payment:
        made.append(fields)
        payment = build_payment(
            customer_email=fields["customer"].email, metadata=fields["metadata"]
        )
        payment.save()
        return payment

    namespace: dict[str, Any] = {}
    with (
        patch("django_pagoefectivo.services.create_payment", create_payment),
        patch.object(payment_pending, "receivers", []),
        translation.override("es"),
    ):
        for _, code in snippets("email.rst", "python"):
            ast.parse(code)
            exec(compile(code, "email.rst", "exec"), namespace)  # noqa: S102
    assert made[0]["customer"] == Customer(email="ana@shop.example")

    payment = namespace["payment"]
    namespace["mail_instructions"](payment)
    namespace["mail_instructions_in_their_language"](payment)
    english, spanish = mail.outbox
    assert english.to == ["ana@shop.example"]
    assert "Pay before" in english.body
    assert "Paga antes de" in spanish.body
    for message in (english, spanish):
        assert f"https://shop.example{payment.get_absolute_url()}" in message.body
        assert isinstance(message, EmailMultiAlternatives)
        ((html, kind),) = message.alternatives
        assert kind == "text/html"
        assert "<ol" in str(html)


def test_language_settings_are_django_ones(settings: Any) -> None:
    for caption, code in snippets("languages.rst", "python"):
        assert caption == "settings.py"
        values: dict[str, Any] = {"BASE_DIR": Path("/shop")}
        exec(compile(code, "languages.rst", "exec"), values)  # noqa: S102
        for name, value in values.items():
            if name.isupper() and name != "BASE_DIR":
                setattr(settings, name, value)
    for code, _ in settings.LANGUAGES:
        with translation.override(code):
            assert str(Payment.Status.PAID.label) == {"es": "pagado", "zh-hans": "已付款"}.get(
                code, "paid"
            )

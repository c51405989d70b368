from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import segno
from django.template import Context, Template
from django.test import Client
from django.utils import translation
from django.utils.html import escape

import django_pagoefectivo
from django_pagoefectivo.models import Payment

from .conftest import HOSTED, STATES, build_payment
from .markup import Page, refused_by_strict_csp

STATIC = Path(django_pagoefectivo.__file__).parent / "static" / "django_pagoefectivo"
FILES = (STATIC / "pagoefectivo.css", STATIC / "pagoefectivo.js")
TAGS = ("instructions", "cip", "qr", "expiry", "status", "button")
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&amp;{{ 7 }}"

#: State → what the shopper must be told, and what must not be on offer.
TOLD = {
    "preparing": "on its way",
    "waiting": "with this code",
    "overdue": "The time to pay is over",
    "checking": "do not pay again",
    "confirming": "is being confirmed",
    "paid": "Your payment has arrived",
    "expired": "This code has expired",
    "cancelled": "This code was cancelled",
    "refunded": "Your payment was refunded",
    "failed": "No payment code could be made",
}


def render(tag: str, payment: Payment, **context: Any) -> str:
    source = "{% load pagoefectivo %}{% pagoefectivo_" + tag + " payment %}"
    return Template(source).render(Context({"payment": payment, **context}))


def svg_matrix(svg: str) -> list[list[int]]:
    """The modules that an SVG of horizontal strokes paints, quiet zone and all."""
    found = re.search(r'viewBox="0 0 (\d+) \1"', svg)
    assert found
    size = int(found[1])
    path = re.search(r'<path stroke="#000" d="([^"]+)"', svg)
    assert path
    matrix = [[0] * size for _ in range(size)]
    x, y = 0.0, 0.0
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", path[1]):
        values = [float(number) for number in numbers.split()]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            for column in range(int(x), int(x + values[0])):
                matrix[int(y)][column] = 1
            x += values[0]
    return matrix


@pytest.mark.parametrize("state", STATES)
def test_state_is_told(state: str, client: Client, make_payment: Callable[..., Payment]) -> None:
    payment = make_payment(state)
    html = client.get(payment.get_absolute_url()).content.decode()
    page = Page(html)
    assert TOLD[state] in page.all("section", class_="pe-card")[0].text
    (card,) = page.all("section", data_pe_state="*")
    assert card.attributes["data-pe-state"] == state
    assert len(page.all("h1")) == 1
    # A code that should not be paid is neither copied nor scanned nor explained.
    payable = state == "waiting"
    assert bool(page.all("button", data_pe_copy="*")) is payable
    assert bool(page.all("svg", class_="pe-qr")) is payable
    assert bool(page.all("ol")) is payable
    assert (HOSTED in page.links()) is payable
    # Whoever must go on elsewhere can.
    assert "/" in page.links()
    assert payment.order_reference in page.all(class_="pe-help")[0].text
    # The script watches what may still change; without it there is a link.
    final = "data-pe-final" in card.attributes
    assert final is payment.is_final
    assert bool(page.all("a", data_pe_refresh="*")) is not final


def test_the_waiting_card_says_all_there_is_to_know(
    client: Client, make_payment: Callable[..., Payment]
) -> None:
    payment = make_payment(cip="11546901")
    page = Page(client.get(payment.get_absolute_url()).content.decode())
    (digits,) = page.all("span", class_="pe-cip__digits")
    assert digits.text == "11546901"
    assert digits.attributes["aria-hidden"] == "true"
    assert page.all("button", data_pe_copy="11546901")
    card = page.all("section", class_="pe-card")[0].text
    assert "S/ 22.05" in card
    assert payment.order_reference in card
    assert "Two tickets" in card
    (time,) = page.all("time")
    assert (time.attributes["datetime"] or "").endswith("-05:00")
    assert "(Lima time)" in card
    # Heard digit by digit, not as eleven million.
    assert any("1 1 5 4 , 6 9 0 1" in element.text for element in page.all(class_="pe-sr"))


@pytest.mark.parametrize(
    ("state", "fields", "words"),
    [
        ("preparing", {"created_at": timedelta(minutes=-10)}, "longer than usual"),
        ("paid", {"attention": "late_payment"}, "after the time to pay was over"),
        ("paid", {"attention": "duplicate_payment"}, "had been paid before"),
        ("paid", {}, "1253"),
        ("waiting", {"currency": "USD"}, "PagoEfectivo dólares"),
        ("waiting", {"currency": "USD"}, "US$ 22.05"),
        ("waiting", {"cip": None}, "Go to PagoEfectivo for your code"),
    ],
)
def test_shades(state: str, fields: dict[str, Any], words: str) -> None:
    assert words in render("instructions", build_payment(state, **fields))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("tag", TAGS)
def test_a_strict_policy_refuses_nothing(state: str, tag: str) -> None:
    assert refused_by_strict_csp(render(tag, build_payment(state))) == []


@pytest.mark.parametrize("state", STATES)
def test_a_strict_policy_refuses_nothing_of_the_page(
    state: str, client: Client, make_payment: Callable[..., Payment]
) -> None:
    html = client.get(make_payment(state).get_absolute_url()).content.decode()
    assert refused_by_strict_csp(html) == []
    ids = [element.attributes["id"] for element in Page(html).all(id="*")]
    assert len(ids) == len(set(ids))


def test_the_policy_s_test_can_fail() -> None:
    for bad in (
        '<p style="color:red">x</p>',
        "<style>p{}</style>",
        "<script>alert(1)</script>",
        '<a onclick="x()">x</a>',
        '<a href="javascript:x()">x</a>',
        '<script src="https://cdn.example/x.js"></script>',
    ):
        assert refused_by_strict_csp(bad)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("tag", TAGS)
def test_nothing_of_a_payment_becomes_markup(state: str, tag: str) -> None:
    payment = build_payment(
        state,
        order_reference=EVIL,
        description=EVIL,
        operation_number=EVIL,
        cip=None if STATES[state].get("cip", "") is None else EVIL,
        currency=EVIL,
    )
    html = render(tag, payment)
    assert "<script>" not in html
    assert "<img" not in html
    assert not [e for e in Page(html).elements if e.tag == "img" or "onerror" in e.attributes]
    if tag == "instructions":
        assert escape(EVIL) in html


def test_an_address_of_another_host_is_nowhere() -> None:
    for address in ("https://evil.example/pay", "javascript:alert(1)"):
        payment = build_payment(cip_url=address)
        for tag in TAGS:
            html = render(tag, payment)
            assert address not in html
            assert "pe-qr" not in html


@pytest.mark.parametrize(
    "address", [HOSTED, "https://payment.pagoefectivo.pe/x.html?a=1&b=<2>&ñ=é"]
)
def test_the_qr_code_is_exactly_the_address(address: str) -> None:
    svg = render("qr", build_payment(cip_url=address))
    expected = [
        list(row) for row in segno.make(address, error="m", micro=False).matrix_iter(border=4)
    ]
    assert svg_matrix(svg) == [[int(bool(module)) for module in row] for row in expected]
    other = segno.make(address + "x", error="m", micro=False).matrix_iter(border=4)
    assert svg_matrix(svg) != [[int(bool(module)) for module in row] for row in other]
    picture = Page(svg).all("svg", role="img")[0]
    assert picture.attributes["aria-label"]
    assert picture.attributes["width"] == picture.attributes["height"] == "176"


def test_the_matrix_reader_reads_segno_s_own_drawing() -> None:
    code = segno.make("other text", micro=False)
    out = io.BytesIO()
    code.save(out, kind="svg", omitsize=True, svgclass=None, lineclass=None)
    drawn = svg_matrix(out.getvalue().decode())
    assert sum(map(sum, drawn)) == sum(bool(m) for row in code.matrix for m in row)


@pytest.mark.parametrize(
    ("state", "tag", "shown"),
    [
        ("preparing", "cip", False),
        ("waiting", "cip", True),
        ("expired", "cip", True),
        ("paid", "qr", False),
        ("expired", "qr", False),
        ("preparing", "qr", False),
    ],
)
def test_parts_show_only_what_there_is(state: str, tag: str, shown: bool) -> None:
    assert bool(render(tag, build_payment(state)).strip()) is shown


@pytest.mark.parametrize("state", sorted(set(STATES) - {"waiting"}))
def test_a_code_that_should_not_be_paid_is_struck_and_not_copied(state: str) -> None:
    page = Page(render("cip", build_payment(state)))
    assert not page.all("button")
    assert not page.all(class_="pe-cip__digits") or page.all(class_="pe-cip__digits--off")


def test_parts_alone() -> None:
    payment = build_payment(cip="11546901")
    (status,) = Page(render("status", payment)).all(role="status")
    assert status.text == "Waiting for payment"
    (button,) = Page(render("button", payment)).all("a")
    assert button.attributes["href"] == payment.get_absolute_url()
    assert "(Lima time)" in render("expiry", payment)


def test_filters() -> None:
    source = (
        "{% load pagoefectivo %}{{ payment.amount|money:payment.currency }} "
        "{{ payment.cip|cip_format }} {{ none|cip_format }}{{ none|money:'PEN' }}{{ none|lima }}"
    )
    context = Context({"payment": build_payment(cip="11546901"), "none": None})
    with translation.override("es"):
        assert Template(source).render(context).strip() == "S/ 22.05 1154 6901"


def test_the_card_brings_its_files_once_unless_told_not_to() -> None:
    payment = build_payment()
    page = Page(render("instructions", payment))
    assert len(page.all("link", rel="stylesheet")) == len(page.all("script")) == 1
    bare = Template(
        "{% load pagoefectivo %}{% pagoefectivo_instructions payment media=False level=3 %}"
    ).render(Context({"payment": payment}))
    assert not Page(bare).all("link")
    assert not Page(bare).all("script")
    assert Page(bare).all("h3", data_pe_heading="*")
    assert Page(bare).all("h4")


def test_headings_step_down_by_one(client: Client, make_payment: Callable[..., Payment]) -> None:
    page = Page(client.get(make_payment().get_absolute_url()).content.decode())
    levels = [int(e.tag[1]) for e in page.elements if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


@pytest.mark.parametrize("state", STATES)
def test_the_whole_page_is_small_and_asks_nobody_else(
    state: str, client: Client, make_payment: Callable[..., Payment]
) -> None:
    payment = make_payment(state, description="x" * 140, order_reference="y" * 64)
    html = client.get(payment.get_absolute_url()).content
    assert len(html) + sum(path.stat().st_size for path in FILES) < 40_000
    page = Page(html.decode())
    loaded = [e.attributes.get("src") or "" for e in page.all("script")]
    loaded += [e.attributes.get("href") or "" for e in page.all("link")]
    assert sorted(Path(address).name for address in loaded) == [path.name for path in FILES]
    assert all(address.startswith("/static/django_pagoefectivo/") for address in loaded)


def test_static_files_name_no_other_site_and_need_no_exception_from_a_policy() -> None:
    for path in FILES:
        text = path.read_text()
        for forbidden in (
            "http://", "https://", "//cdn", "@import", "url(", "eval(", "new Function",
            "innerHTML", "insertAdjacentHTML", "document.write", ".style.", "localStorage",
        ):  # fmt: skip
            assert forbidden not in text, (path.name, forbidden)


def test_the_page_is_said_to_be_in_the_language_it_is_in(
    client: Client, make_payment: Callable[..., Payment]
) -> None:
    payment = make_payment()
    html = client.get(payment.get_absolute_url(), headers={"Accept-Language": "es"})
    page = Page(html.content.decode())
    assert page.all("html", lang="es")
    assert page.all("section", lang="es")


def test_a_shop_can_put_the_page_into_its_own_frame(
    client: Client, make_payment: Callable[..., Payment], tmp_path: Path, settings: Any
) -> None:
    templates = tmp_path / "django_pagoefectivo"
    (templates / "states").mkdir(parents=True)
    (tmp_path / "shop.html").write_text(
        "<html><head>{% block extra_head %}{% endblock %}</head>"
        "<body>My shop{% block content %}{% endblock %}</body></html>"
    )
    (templates / "base.html").write_text(
        '{% extends "shop.html" %}'
        "{% block extra_head %}{% block pagoefectivo_head %}{% endblock %}{% endblock %}"
    )
    (templates / "states" / "waiting.html").write_text(
        '{% extends "django_pagoefectivo/states/waiting.html" %}'
        "{% block how_to_pay %}Only at our counter.{% endblock %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    html = client.get(make_payment().get_absolute_url()).content.decode()
    assert "My shop" in html
    assert "pagoefectivo.js" in html.partition("</head>")[0]
    assert "Only at our counter." in html
    assert "pe-cip__digits" in html
    assert "pe-steps" not in html

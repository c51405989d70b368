from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import RequestFactory
from django.utils import translation

from django_pagoefectivo.pages.mail import render_instructions

from .conftest import DOCUMENT, EMAIL, HOSTED, PHONE, STATES, build_payment
from .markup import Page


@pytest.mark.parametrize("kind", ["html", "text"])
@pytest.mark.parametrize("state", STATES)
def test_a_code_is_told_only_where_it_can_be_paid(kind: Any, state: str) -> None:
    text = render_instructions(build_payment(state, cip="11546901"), kind)
    assert ("1154 6901" in text) is (state == "waiting")
    for private in (EMAIL, PHONE, DOCUMENT):
        assert private not in text


def test_html_is_a_balanced_fragment_with_nothing_to_load() -> None:
    payment = build_payment(order_reference="<b>&")
    page = Page(render_instructions(payment))
    assert not page.all("img")
    assert not page.all("script")
    assert not page.all("svg")
    assert page.links() == [HOSTED]
    assert "<b>&" in page.elements[0].text


def test_text_is_plain() -> None:
    payment = build_payment(order_reference="Señor & Söhne")
    text = render_instructions(payment, "text")
    assert "Señor & Söhne" in text
    assert "&amp;" not in text
    assert "<" not in text
    assert "\n\n\n" not in text
    assert "S/ 22.05" in text


def test_the_link_is_whole(configure: Callable[..., None]) -> None:
    payment = build_payment()
    path = payment.get_absolute_url()
    request = RequestFactory().get("/", secure=True)
    assert f"https://testserver{path}" in render_instructions(payment, "text", request=request)
    configure(SITE_URL="https://shop.example")
    assert f"https://shop.example{path}" in render_instructions(payment, "text")
    assert f'href="https://shop.example{path}"' in render_instructions(payment, "html")


def test_an_address_of_another_host_is_not_in_the_mail() -> None:
    payment = build_payment(cip_url="https://evil.example/pay")
    assert "evil.example" not in render_instructions(payment, "text")
    assert not Page(render_instructions(payment)).links()


def test_an_unknown_format_is_said_so() -> None:
    with pytest.raises(ValueError, match="'pdf'"):
        render_instructions(build_payment(), "pdf")  # type: ignore[arg-type]


def test_it_goes_into_a_mail() -> None:
    payment = build_payment()
    with translation.override("es"):
        mail.send_mail(
            "Tu código",
            render_instructions(payment, "text"),
            None,
            [payment.customer_email],
            html_message=render_instructions(payment),
        )
    (message,) = mail.outbox
    assert "22.05" in message.body

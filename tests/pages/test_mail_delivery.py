"""The instructions on their way through SMTP: what was written is what is read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import django
import pytest
from aiosmtpd.controller import Controller
from django.core.mail import EmailMultiAlternatives
from django.utils import translation

from django_pagoefectivo.models import Payment
from django_pagoefectivo.pages.mail import render_instructions

from .conftest import HOSTED, build_payment
from .markup import Page

#: Language → words of the subject, and of both forms of the body.
WORDS = {
    "en": ("Your payment code", "Pay before", "Nobody needs your card number"),
    "es": ("Tu código de pago", "Paga antes de", "Para este pago nadie necesita"),
    "zh-hans": ("您的付款码", "付款截止时间", "不需要您的银行卡号或密码"),
}


class Catch:
    """Takes in every mail and delivers none."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope.content)
        return "250 OK"


@pytest.fixture
def caught(settings: Any) -> Iterator[list[bytes]]:
    """Raw mails, in the order in which a server on this machine was given them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    catch = Catch()
    controller = Controller(catch, hostname="127.0.0.1", port=port)
    controller.start()
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    if django.VERSION >= (6, 1):
        there = {"host": "127.0.0.1", "port": port}
        settings.MAILERS = {"default": {"BACKEND": smtp, "OPTIONS": there}}
    else:
        settings.EMAIL_BACKEND = smtp
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "SITE_URL": "https://tienda.example"}
    yield catch.mails
    controller.stop()


def payment() -> Payment:
    return build_payment(cip="11546901", amount=Decimal("1234.50"), order_reference="Ñandú-7")


def send(one: Payment, language: str) -> None:
    """What a shop does when an order was placed."""
    with translation.override(language):
        mail = EmailMultiAlternatives(
            subject=WORDS[language][0],
            body=render_instructions(one, "text"),
            from_email="Tienda Ñandú <hola@tienda.example>",
            to=["rosa.quispe@correo.example"],
        )
        mail.attach_alternative(render_instructions(one, "html"), "text/html")
    assert mail.send() == 1


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    assert body.get_content_charset() == "utf-8"
    return str(body.get_content())


@pytest.mark.parametrize("language", WORDS)
def test_both_forms_arrive_as_they_were_written(language: str, caught: list[bytes]) -> None:
    one = payment()
    send(one, language)
    (raw,) = caught
    # Longer lines may be cut on the way.
    assert max(map(len, raw.splitlines())) <= 998
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert mail["Subject"] == WORDS[language][0]
    assert mail.get_content_type() == "multipart/alternative"
    with translation.override(language):
        assert part(mail, "plain").replace("\r\n", "\n").strip() == (
            render_instructions(one, "text").strip()
        )
        assert part(mail, "html").replace("\r\n", "\n").strip() == (
            render_instructions(one, "html").strip()
        )


@pytest.mark.parametrize("language", WORDS)
def test_the_reader_is_told_what_to_do(language: str, caught: list[bytes]) -> None:
    one = payment()
    send(one, language)
    mail = message_from_bytes(caught[0], policy=policy.default)
    assert isinstance(mail, EmailMessage)
    text, html = part(mail, "plain"), part(mail, "html")
    page = Page(html)
    read = " ".join(page.elements[0].text.split())
    for form in (text, read):
        for words in (*WORDS[language][1:], "1154 6901", "S/ 1,234.50", "Ñandú-7", "PagoEfectivo"):
            assert words in form
    link = f"https://tienda.example{one.get_absolute_url()}"
    assert link in text.splitlines(), "a link alone on its line is found by every mail reader"
    assert page.links() == [link]
    assert HOSTED not in html
    assert page.elements[0].attributes["lang"] == language


def test_one_mail_is_in_one_language(caught: list[bytes]) -> None:
    for language in WORDS:
        send(payment(), language)
    english = WORDS["en"][1].encode()
    assert [english in raw for raw in caught] == [True, False, False]

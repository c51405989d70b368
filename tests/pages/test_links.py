from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.test import RequestFactory

from django_pagoefectivo.models import Payment
from django_pagoefectivo.pages.links import hosted_url, is_linkable, origin_host, shop_url

from .conftest import HOSTED, build_payment

HOSTS = {"pagoefectivo.pe", ".pagoefectivo.pe", "proxy.example:8443"}


@pytest.mark.parametrize(
    "url",
    [
        HOSTED,
        "https://payment.pagoefectivo.pe/A.html",
        "https://PAYMENT.PagoEfectivo.PE/A.html",
        "https://pagoefectivo.pe/",
        "https://payment.pagoefectivo.pe:443/A.html",
        "https://proxy.example:8443/A.html",
    ],
)
def test_linked(url: str) -> None:
    assert is_linkable(url, hosts=HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://payment.pagoefectivo.pe/A.html",
        "https://pagoefectivo.pe.evil.example/A.html",
        "https://evilpagoefectivo.pe/A.html",
        "https://evil.example/payment.pagoefectivo.pe",
        "https://evil.example?payment.pagoefectivo.pe",
        "https://evil.example#.pagoefectivo.pe",
        "https://payment.pagoefectivo.pe@evil.example/",
        "https://user:pass@payment.pagoefectivo.pe/",
        "https://evil.example\\.pagoefectivo.pe/",
        "https:\\\\payment.pagoefectivo.pe/",
        "https://evil.example\n.pagoefectivo.pe/",
        "https://payment.pagoefectivo.pe/\tA.html",
        " https://payment.pagoefectivo.pe/",
        "https://payment.pagoefectivo.pe:8443/",
        "https://payment.pagoefectivo.pe:99999/",
        "https://[payment.pagoefectivo.pe/",
        "https:///payment.pagoefectivo.pe",
        "https:payment.pagoefectivo.pe",
        "//payment.pagoefectivo.pe/A.html",
        "/A.html",
        "A.html",
        "javascript:alert(1)//payment.pagoefectivo.pe",
        "javascript://payment.pagoefectivo.pe/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        "ftp://payment.pagoefectivo.pe/",
        "https://proxy.example/A.html",
        "https://sub.proxy.example:8443/A.html",
    ],
)
def test_not_linked(url: str) -> None:
    assert not is_linkable(url, hosts=HOSTS)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://payment.pagoefectivo.pe/", True),
        ("http://payment.pagoefectivo.pe:80/", True),
        ("http://evil.example/", False),
        ("javascript:alert(1)", False),
    ],
)
def test_plain_http_where_it_is_allowed(url: str, allowed: bool) -> None:
    assert is_linkable(url, hosts=HOSTS, allow_http=True) is allowed


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("/", True),
        ("/thanks/?order=1#top", True),
        ("//evil.example/", False),
        ("/\\evil.example/", False),
        ("///evil.example/", False),
        ("thanks/", False),
        ("?next=1", False),
    ],
)
def test_paths_where_they_are_allowed(url: str, allowed: bool) -> None:
    assert is_linkable(url, hosts=HOSTS, allow_path=True) is allowed
    assert not is_linkable(url, hosts=HOSTS)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Shop.Example/x", "shop.example"),
        ("https://shop.example:443/x", "shop.example"),
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000"),
        ("", ""),
        ("https://shop.example:x/", ""),
    ],
)
def test_origin_host(url: str, host: str) -> None:
    assert origin_host(url) == host


LOCAL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("merchant", "debug", "url", "linked"),
    [
        ({"BASE_URL": None}, False, HOSTED, True),
        ({"BASE_URL": None}, False, "http://payment.pagoefectivo.pe/A", False),
        ({"BASE_URL": None}, True, "http://payment.pagoefectivo.pe/A", True),
        ({"BASE_URL": LOCAL}, False, "http://127.0.0.1:8000/pay/1", True),
        ({"BASE_URL": LOCAL}, False, "http://127.0.0.1:8001/pay/1", False),
        ({"BASE_URL": LOCAL}, False, "http://127.0.0.1/pay/1", False),
        ({"BASE_URL": LOCAL}, False, HOSTED, True),
        (
            {"BASE_URL": LOCAL, "ENVIRONMENT": "production"},
            True,
            "http://127.0.0.1:8000/pay/1",
            False,
        ),
        (
            {"BASE_URL": None, "ENVIRONMENT": "production"},
            True,
            "http://payment.pagoefectivo.pe/A",
            False,
        ),
        (
            {"BASE_URL": "https://proxy.example/v1", "ENVIRONMENT": "production"},
            False,
            "https://proxy.example/A",
            True,
        ),
        ({"BASE_URL": None}, False, "https://evil.example/A", False),
    ],
)
def test_hosted_page(
    merchant: dict[str, Any],
    debug: bool,
    url: str,
    linked: bool,
    settings: Any,
    configure: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.DEBUG = debug
    configure(merchant=merchant)
    assert hosted_url(build_payment(cip_url=url)) == (url if linked else "")
    assert bool(caplog.records) is not linked


def test_hosted_page_of_a_merchant_no_longer_configured() -> None:
    assert hosted_url(build_payment(merchant="gone")) == HOSTED
    assert hosted_url(build_payment(merchant="gone", cip_url="http://127.0.0.1:9/x")) == ""


def test_no_hosted_page_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert hosted_url(build_payment(cip_url="")) == ""
    assert not caplog.records


def by_metadata(payment: Payment) -> str:
    return str(payment.metadata["return"])


@pytest.mark.parametrize(
    ("values", "metadata", "expected"),
    [
        ({}, "", "/"),
        ({"SITE_URL": "https://shop.example/"}, "", "https://shop.example"),
        ({"RETURN_URL": "/thanks/"}, "", "/thanks/"),
        ({"RETURN_URL": "https://www.shop.example/t"}, "", "https://www.shop.example/t"),
        ({"RETURN_URL": "http://www.shop.example/t"}, "", ""),
        ({"RETURN_URL": "pagoefectivo:webhook"}, "", "/pagoefectivo/webhook/"),
        ({"RETURN_URL": "no-such-view"}, "", ""),
        ({"RETURN_URL": "//evil.example/"}, "", ""),
        ({"RETURN_URL": by_metadata}, "/orders/7/", "/orders/7/"),
        (
            {"RETURN_URL": by_metadata},
            "https://testserver/orders/7/",
            "https://testserver/orders/7/",
        ),
        ({"RETURN_URL": by_metadata}, "http://testserver/orders/7/", ""),
        ({"RETURN_URL": by_metadata}, "https://evil.example/", ""),
        ({"RETURN_URL": by_metadata}, "//evil.example/", ""),
        ({"RETURN_URL": by_metadata}, "javascript:alert(1)", ""),
        ({"RETURN_URL": by_metadata}, "https://known.example/x", "https://known.example/x"),
        ({"RETURN_URL": by_metadata}, "https://a.wild.example/", "https://a.wild.example/"),
        ({"RETURN_URL": by_metadata}, "https://wild.example/", "https://wild.example/"),
        (
            {"RETURN_URL": by_metadata, "SITE_URL": "https://shop.example"},
            "https://shop.example/o/7/",
            "https://shop.example/o/7/",
        ),
        ({"RETURN_URL": by_metadata}, None, ""),
    ],
)
def test_way_back_to_the_shop(
    values: dict[str, Any],
    metadata: str | None,
    expected: str,
    settings: Any,
    configure: Callable[..., None],
) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "known.example", ".wild.example"]
    configure(**values)
    payment = build_payment(metadata={} if metadata is None else {"return": metadata})
    assert shop_url(payment, RequestFactory().get("/")) == expected


def test_any_allowed_host_is_no_trusted_host(settings: Any, configure: Callable[..., None]) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    configure(RETURN_URL=by_metadata)
    payment = build_payment(metadata={"return": "https://evil.example/"})
    assert shop_url(payment, RequestFactory().get("/")) == ""


def test_a_faulty_setting_is_logged_and_costs_only_the_link(
    configure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    configure(RETURN_URL="no-such-view")
    with caplog.at_level(logging.ERROR):
        assert shop_url(build_payment()) == ""
    assert "no-such-view" in caplog.text

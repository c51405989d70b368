"""The hosted page and the panel, with a browser's form posts."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
from django.test import Client

from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.control import ApiFault, NotificationFault

from .conftest import Api

pytestmark = pytest.mark.django_db(transaction=True)


class Browser:
    """Opens a page and sends its forms."""

    def __init__(self, api: Api) -> None:
        self.http, self.host = api.http, api.host

    def open(self, url: str) -> str:
        answer = self.http.get(url, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.text

    def press(self, page: str, action: str, **fields: Any) -> requests.Response:
        form = next(
            form for form in re.findall(r"<form.*?</form>", page, re.DOTALL) if action in form
        )
        address = re.search(r'action="([^"]+)"', form)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert address
        assert token
        return self.http.post(
            self.host + address[1], data={"csrfmiddlewaretoken": token[1], **fields}, timeout=10
        )


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api)


@pytest.fixture
def made(api: Api) -> dict[str, Any]:
    return api.make(amount=1234.5, paymentConcept="Dos polos <b>", userName="Ana")


def test_a_new_code(browser: Browser, made: dict[str, Any]) -> None:
    page = browser.open(made["cipUrl"])
    assert f'<h1 class="cip">{made["cip"]}</h1>' in page
    assert "S/ 1,234.50" in page
    assert "Waiting for payment" in page
    assert "Dos polos &lt;b&gt;" in page
    assert "A-1001-1" in page
    assert "Nothing was sent to the shop yet." in page
    for fault in NotificationFault:
        assert f'value="{fault.value}"' in page
    for action in ("/pay/", "/expire/", "/delete/"):
        assert action in page
    assert "/refund/" not in page


def test_no_inline_script_or_style_and_nothing_personal(
    browser: Browser, made: dict[str, Any]
) -> None:
    for page in (browser.open(made["cipUrl"]), browser.open(f"{browser.host}/sandbox/")):
        assert "<script" not in page
        assert "<style" not in page
        assert "style=" not in page
        assert not re.search(r"\son\w+=", page)
        assert "ana@shop.example" not in page


def test_pay(api: Api, browser: Browser, made: dict[str, Any]) -> None:
    page = browser.open(made["cipUrl"])
    answer = browser.press(page, "/pay/", fault="twice", seconds="")
    assert answer.url == made["cipUrl"]
    page = answer.text
    assert '<p class="state paid">Paid</p>' in page
    assert page.count("cip.paid</strong>") == 2
    assert control.code(made["cip"]).operation_number in page
    assert "/refund/" in page
    assert "/pay/" not in page
    sent = control.SandboxNotification.objects.all()
    assert {row.url for row in sent} == {f"{api.host}/pagoefectivo/webhook/default/"}
    page = browser.press(page, "/refund/").text
    assert '<p class="state refunded">Refunded</p>' in page
    assert "cip.refunded" in page
    assert "/refund/" not in page


def test_expire_and_pay_after_it(browser: Browser, made: dict[str, Any]) -> None:
    page = browser.open(made["cipUrl"])
    page = browser.press(page, "/expire/", notify="on").text
    assert '<p class="state expired">Expired</p>' in page
    assert "cip.expired" in page
    assert "Pay after expiry" in page
    assert "/delete/" not in page
    page = browser.press(page, "/pay/", fault="late", seconds="0.1").text
    assert '<p class="state paid">Paid</p>' in page


def test_expire_in_silence(browser: Browser, made: dict[str, Any]) -> None:
    page = browser.press(browser.open(made["cipUrl"]), "/expire/").text
    assert "Nothing was sent to the shop yet." in page


def test_delete(api: Api, browser: Browser, made: dict[str, Any]) -> None:
    answer = browser.press(browser.open(made["cipUrl"]), "/delete/")
    assert answer.url == f"{api.host}/sandbox/"
    assert '<span class="state deleted">Deleted</span>' in answer.text
    assert made["cipUrl"].rpartition("/")[2] not in answer.text
    assert api.http.get(made["cipUrl"], timeout=10).status_code == 404


def test_delete_crossing_a_payment(browser: Browser, made: dict[str, Any]) -> None:
    page = browser.open(made["cipUrl"])
    control.pay(made["cip"], notify=False)
    assert browser.press(page, "/delete/").url == made["cipUrl"]
    assert control.code(made["cip"]).status_at() == 23


def test_a_form_filled_in_wrongly(browser: Browser, made: dict[str, Any]) -> None:
    page = browser.open(made["cipUrl"])
    for fields in ({"fault": "no"}, {"fault": "late", "seconds": "99"}, {}):
        answer = browser.press(page, "/pay/", **fields)
        assert answer.status_code == 400
        assert 'class="error"' in answer.text
    assert control.code(made["cip"]).status_at() == 22


def test_a_notification_that_was_refused(browser: Browser, made: dict[str, Any]) -> None:
    page = browser.open(made["cipUrl"])
    page = browser.press(page, "/pay/", fault="wrong-signature").text
    assert "403, then 403" in page
    assert "Wrong signature" in page


def test_the_panel(api: Api, browser: Browser, made: dict[str, Any]) -> None:
    control.pay(made["cip"])
    page = browser.open(f"{api.host}/sandbox/")
    assert str(made["cip"]) in page
    assert made["cipUrl"].removeprefix(api.host) in page
    assert "Token 1" in page
    assert "Create 1" in page
    assert "cip.paid" in page
    assert "Nothing is armed" in page
    for fault in ApiFault:
        assert f'value="{fault.value}"' in page


def test_an_empty_panel(anonymous: Api) -> None:
    page = Browser(anonymous).open(f"{anonymous.host}/sandbox/")
    assert "No code was asked for yet." in page
    assert "Nothing was sent to the shop yet." in page


def test_the_panel_with_many_rows(api: Api, browser: Browser) -> None:
    codes = [
        control.SandboxCode(
            cip=20_000_000 + number,
            service_id="1234",
            transaction_code=f"T-{number}",
            amount=number + 1,
            currency="USD",
            date_expiry="2030-01-01T00:00:00Z",
            origin=api.host,
        )
        for number in range(200)
    ]
    control.SandboxCode.objects.bulk_create(codes)
    page = browser.open(f"{api.host}/sandbox/")
    assert page.count('class="state ') == 20
    assert "US$ 200.00" in page


def test_arm_and_clear(api: Api, browser: Browser) -> None:
    page = browser.open(f"{api.host}/sandbox/")
    page = browser.press(page, "/faults/", fault="error-500", operation="search", times="3").text
    assert "<strong>Error 500</strong> · Search · 3 times" in page
    page = browser.press(
        page, "/faults/", fault="slow", operation="any", times="1", seconds="2"
    ).text
    assert "Any call · 1 time · 2 s" in page
    (fault, slow) = control.armed()
    assert (fault.fault, fault.times_left) == ("error-500", 3)
    assert slow.seconds == 2
    page = browser.press(page, "/faults/clear/").text
    assert "Nothing is armed" in page


def test_arming_nonsense(api: Api, browser: Browser) -> None:
    page = browser.open(f"{api.host}/sandbox/")
    answer = browser.press(page, "/faults/", fault="error-500", operation="create", times="0")
    assert answer.status_code == 400
    assert 'class="error"' in answer.text
    assert not control.armed().exists()


@pytest.mark.parametrize("path", ["pay/", "expire/", "delete/", "refund/"])
def test_forms_need_their_token(api: Api, made: dict[str, Any], path: str) -> None:
    code = control.code(made["cip"])
    client = Client(enforce_csrf_checks=True)
    assert client.post(f"/sandbox/{code.uuid}/{path}").status_code == 403
    assert client.get(f"/sandbox/{code.uuid}/{path}").status_code == 405
    assert client.post("/sandbox/faults/").status_code == 403
    assert client.post("/sandbox/faults/clear/").status_code == 403


def test_forms_need_their_token_without_the_middleware(api: Api, settings: Any) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
    client = Client(enforce_csrf_checks=True)
    assert client.get("/sandbox/").status_code == 200
    assert client.post("/sandbox/faults/clear/").status_code == 403

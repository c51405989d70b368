"""The Payment API over real HTTP: a plain client that knows nothing of the project's own."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.test import Client
from django.utils import timezone

from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.control import ApiFault, NotificationFault, SandboxCode

from .conftest import SECRET_KEY, lima

pytestmark = pytest.mark.django_db(transaction=True)

MERCHANT_ID = "M-1234"


class PaymentApi:
    """The calls, spelt out."""

    def __init__(self, host: str, key: str = SECRET_KEY) -> None:
        self.host, self.key = host, key
        self.base = f"{host}/sandbox/api/v1"

    def signature(self, signed: bytes) -> str:
        return hmac.new(self.key.encode(), signed, hashlib.sha256).hexdigest()

    def post(self, body: bytes, signature: str | None = None) -> requests.Response:
        headers = {"Content-Type": "application/json"}
        if signature is None:
            signature = self.signature(body)
        if signature:
            headers["X-Signature"] = signature
        return requests.post(f"{self.base}/payment", data=body, headers=headers, timeout=20)

    def order(self, **changes: Any) -> dict[str, Any]:
        data = {
            "merchantId": MERCHANT_ID,
            "amount": "22.05",
            "currency": "PEN",
            "orderNumber": "A-1001-1",
            "description": "Dos polos de algodón",
            "expiresAt": lima(timedelta(hours=24)),
            "customer": {"email": "ana@shop.example", "name": "Ana Ñahui", "phone": "+51987654321"},
        }
        return {name: value for name, value in {**data, **changes}.items() if value is not ...}

    def create(self, **changes: Any) -> requests.Response:
        return self.post(json.dumps(self.order(**changes), ensure_ascii=False).encode())

    def make(self, **changes: Any) -> dict[str, Any]:
        answer = self.create(**changes)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def status(self, query: str, signature: str | None = None) -> requests.Response:
        headers = {
            "X-Signature": self.signature(query.encode()) if signature is None else signature
        }
        return requests.get(f"{self.base}/payment/status?{query}", headers=headers, timeout=20)


@pytest.fixture
def api(live_server: Any, transactional_db: None, settings: Any) -> PaymentApi:
    settings.PAGOEFECTIVO = {
        "MERCHANTS": {
            "default": {
                "API": "payment",
                "BASE_URL": "http://127.0.0.1:9/api/v1",
                "SERVICE_ID": MERCHANT_ID,
                "SECRET_KEY": SECRET_KEY,
            }
        }
    }
    return PaymentApi(live_server.url)


def fields(answer: requests.Response) -> dict[str, str]:
    assert answer.status_code == 400, answer.text
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def test_create_answers_with_an_id_and_where_to_send_the_shopper(api: PaymentApi) -> None:
    made = api.make(callbackUrl="https://shop.example/hook/", returnUrl="https://shop.example/back")
    assert set(made) == {"paymentId", "redirectUrl"}
    code = control.code(made["paymentId"])
    assert made["redirectUrl"] == f"{api.host}/sandbox/{code.uuid}.html"
    assert (code.transaction_code, str(code.amount), code.currency) == ("A-1001-1", "22.05", "PEN")
    assert code.concept == "Dos polos de algodón"
    assert code.details["name"] == "Ana Ñahui"
    assert code.callback_url == "https://shop.example/hook/"


def test_without_a_term_it_has_the_usual_one(api: PaymentApi) -> None:
    code = control.code(api.make(expiresAt=...)["paymentId"])
    assert timedelta(hours=23) < code.date_expiry - timezone.now() <= timedelta(hours=24)


class TestSignatures:
    @pytest.mark.parametrize("signature", ["", "00", "f" * 64, "ñ"])
    def test_a_create_that_is_not_signed_is_refused(self, api: PaymentApi, signature: str) -> None:
        body = json.dumps(api.order()).encode()
        answer = api.post(body, signature.encode().decode("latin-1"))
        assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_SIGNATURE")
        assert SandboxCode.objects.count() == 0

    def test_it_covers_the_exact_bytes(self, api: PaymentApi) -> None:
        body = json.dumps(api.order()).encode()
        signature = api.signature(body)
        assert api.post(body + b" ", signature).status_code == 401
        assert api.post(body, signature).status_code == 201

    def test_on_a_question_it_covers_the_query(self, api: PaymentApi) -> None:
        payment_id = api.make()["paymentId"]
        query = f"merchantId={MERCHANT_ID}&paymentId={payment_id}"
        assert api.status(query, api.signature(b"")).status_code == 401
        other = query.replace("paymentId", "orderNumber")
        assert api.status(other, api.signature(query.encode())).status_code == 401
        assert api.status(query).status_code == 200

    def test_another_key_or_another_merchant(self, api: PaymentApi) -> None:
        stranger = PaymentApi(api.host, "another-key-not-real")
        assert stranger.create().status_code == 401
        assert api.create(merchantId="M-9999").status_code == 401

    def test_a_merchant_of_the_other_contract_has_no_say_here(
        self, api: PaymentApi, settings: Any
    ) -> None:
        merchant = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
        entry = {**merchant, "API": "cip", "SERVICE_ID": "1234", "ACCESS_KEY": "x" * 20}
        settings.PAGOEFECTIVO = {"MERCHANTS": {"default": entry}}
        assert api.create(merchantId="1234").status_code == 401


class TestRules:
    @pytest.mark.parametrize("name", ["amount", "currency", "orderNumber"])
    @pytest.mark.parametrize("value", [..., None, ""], ids=["missing", "null", "empty"])
    def test_required(self, api: PaymentApi, name: str, value: Any) -> None:
        assert fields(api.create(**{name: value})) == {name: "REQUIRED"}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("amount", 22.05), ("amount", "22.5"), ("amount", "0.00"), ("amount", "-1.00"),
            ("amount", "1e3"), ("amount", "22,05"), ("amount", "\u0662\u0662.05"),
            ("currency", "USD"), ("currency", ["PEN"]),
            ("orderNumber", "x" * 37), ("orderNumber", 5),
            ("expiresAt", "2026-11-24T10:15:30"), ("expiresAt", "2001-01-01T00:00:00-05:00"),
            ("returnUrl", "javascript:alert(1)"), ("callbackUrl", "shop.example"),
            ("callbackUrl", "https://shop.example/" + "x" * 500), ("customer", "Ana"),
        ],
    )  # fmt: skip
    def test_invalid(self, api: PaymentApi, name: str, value: Any) -> None:
        assert fields(api.create(**{name: value})) == {name: "INVALID"}

    def test_of_the_customer_and_all_at_once(self, api: PaymentApi) -> None:
        answer = api.create(
            amount="x", customer={"documentType": "RUC", "phone": "call me", "name": 5}
        )
        assert fields(answer) == {
            "amount": "INVALID",
            "customer.email": "REQUIRED",
            "customer.documentType": "INVALID",
            "customer.phone": "INVALID",
            "customer.name": "INVALID",
        }
        assert all(error["message"] for error in answer.json()["errors"])

    @pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"\xff", b'{"a": NaN}'], ids=str)
    def test_no_json(self, api: PaymentApi, body: bytes) -> None:
        assert fields(api.post(body)) == {"body": "INVALID"}

    def test_over_the_limit(self, api: PaymentApi, settings: Any) -> None:
        settings.PAGOEFECTIVO_SANDBOX = {"AMOUNT_LIMIT": "100"}
        answer = api.create(amount="100.01")
        assert (answer.status_code, answer.json()["code"]) == (400, "AMOUNT_LIMIT")

    def test_an_order_number_is_taken_once(self, api: PaymentApi) -> None:
        first = api.make()
        answer = api.create(amount="1.00")
        assert (answer.status_code, answer.json()["code"]) == (409, "ORDER_EXISTS")
        found = api.status(f"merchantId={MERCHANT_ID}&orderNumber=A-1001-1").json()
        assert (found["paymentId"], found["amount"]) == (first["paymentId"], "22.05")

    def test_only_these_methods(self, api: PaymentApi) -> None:
        assert requests.get(f"{api.base}/payment", timeout=10).status_code == 405
        assert requests.post(f"{api.base}/payment/status", timeout=10).status_code == 405


class TestStatus:
    def ask(self, api: PaymentApi, **by: str) -> requests.Response:
        query = "&".join([f"merchantId={MERCHANT_ID}", *(f"{n}={v}" for n, v in by.items())])
        return api.status(query)

    def test_its_words(self, api: PaymentApi) -> None:
        made = api.make()
        name = made["paymentId"]
        first = self.ask(api, paymentId=name).json()
        assert first == {
            "paymentId": name,
            "redirectUrl": made["redirectUrl"],
            "orderNumber": "A-1001-1",
            "status": "PENDING",
            "amount": "22.05",
            "currency": "PEN",
            "paidAt": None,
            "expiresAt": first["expiresAt"],
        }
        control.pay(name, notify=False)
        paid = self.ask(api, orderNumber="A-1001-1").json()
        assert (paid["status"], paid["paidAt"][-6:]) == ("PAID", "-05:00")
        control.refund(name, notify=False)
        assert self.ask(api, paymentId=name).json()["status"] == "REFUNDED"

    def test_expired_and_cancelled(self, api: PaymentApi) -> None:
        one, two = api.make()["paymentId"], api.make(orderNumber="B")["paymentId"]
        control.expire(one)
        control.delete(two)
        assert self.ask(api, paymentId=one).json()["status"] == "EXPIRED"
        assert self.ask(api, paymentId=two).json()["status"] == "CANCELLED"

    @pytest.mark.parametrize("by", [{"paymentId": "nonsense"}, {"orderNumber": "B"}], ids=str)
    def test_nobody(self, api: PaymentApi, by: dict[str, str]) -> None:
        api.make()
        answer = self.ask(api, **by)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")

    def test_without_a_name(self, api: PaymentApi) -> None:
        assert fields(self.ask(api)) == {"paymentId": "REQUIRED", "orderNumber": "REQUIRED"}

    def test_another_merchants_is_not_found(self, api: PaymentApi) -> None:
        made = api.make()
        SandboxCode.objects.update(service_id="M-9", order_key="M-9 A-1001-1")
        assert self.ask(api, paymentId=made["paymentId"]).status_code == 404
        assert self.ask(api, orderNumber="A-1001-1").status_code == 404


class TestCallbacks:
    def test_the_body_and_its_signature(self, api: PaymentApi) -> None:
        name = api.make()["paymentId"]
        control.pay(name, notify=False)
        body = control.build_notification(control.code(name))
        said = json.loads(body)
        assert list(said) == [
            "eventType", "eventId", "paymentId", "orderNumber", "amount", "currency", "status",
            "occurredAt",
        ]  # fmt: skip
        assert (said["eventType"], said["status"], said["amount"]) == (
            "payment.paid",
            "PAID",
            "22.05",
        )
        assert (said["paymentId"], said["orderNumber"]) == (name, "A-1001-1")
        assert b" " not in body

    def test_it_goes_where_the_create_call_said_and_once_more_if_not_200(
        self, api: PaymentApi
    ) -> None:
        wanted = f"{api.host}/nowhere/"
        name = api.make(callbackUrl=wanted)["paymentId"]
        (sent,) = control.pay(name)
        assert (sent.url, sent.statuses) == (wanted, (404, 404))
        assert sent.signature == api.signature(sent.body)
        kept = control.SandboxNotification.objects.get()
        assert (kept.first_status, kept.second_status) == (404, 404)

    def test_repeated_it_is_the_same_event_and_paid_twice_is_another(self, api: PaymentApi) -> None:
        name = api.make(callbackUrl=f"{api.host}/nowhere/")["paymentId"]
        first, second = control.pay(name, fault=NotificationFault.TWICE)
        assert first.body == second.body
        one, two = control.pay(name, fault=NotificationFault.SECOND_OPERATION)
        assert json.loads(one.body)["eventId"] != json.loads(two.body)["eventId"]

    @pytest.mark.parametrize("fault", list(NotificationFault), ids=str)
    def test_every_fault_can_be_sent(self, api: PaymentApi, fault: NotificationFault) -> None:
        name = api.make(callbackUrl=f"{api.host}/nowhere/")["paymentId"]
        sent = control.pay(name, fault=fault, delay=0)
        genuine = [one for one in sent if one.signature.lower() == api.signature(one.body)]
        wrong = fault is NotificationFault.WRONG_SIGNATURE
        assert len(genuine) == (0 if wrong else len(sent))
        assert bool(sent) is (fault is not NotificationFault.NEVER)


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "status"),
        [
            (ApiFault.ERROR_500, 500), (ApiFault.ERROR_500_AFTER, 500), (ApiFault.HTML_500, 500),
            (ApiFault.HTML_200, 200), (ApiFault.TOKEN_REFUSED, 401), (ApiFault.REJECTED, 400),
            (ApiFault.OVER_LIMIT, 400), (ApiFault.WRONG_SERVICE, 403), (ApiFault.TRUNCATED, 201),
            (ApiFault.CODE_AS_TEXT, 201), (ApiFault.CODE_AS_NUMBER, 201),
        ],
        ids=str,
    )  # fmt: skip
    def test_armed_like_those_of_the_other_contract(
        self, api: PaymentApi, fault: ApiFault, status: int
    ) -> None:
        control.arm(fault)
        assert api.create().status_code == status
        assert SandboxCode.objects.count() == int(fault.is_done)
        assert control.calls("create").get().fault == fault
        assert not control.armed().exists()
        if fault.is_done:
            assert api.create(orderNumber="B").status_code == 201

    @pytest.mark.parametrize("fault", [ApiFault.CUT_BEFORE, ApiFault.CUT_AFTER], ids=str)
    def test_a_cut_line(self, api: PaymentApi, fault: ApiFault) -> None:
        control.arm(fault)
        with pytest.raises(requests.RequestException):
            api.create()
        assert SandboxCode.objects.count() == int(fault.is_done)

    def test_a_wrong_amount_in_a_status(self, api: PaymentApi) -> None:
        name = api.make()["paymentId"]
        control.arm(ApiFault.WRONG_AMOUNT, "search")
        query = f"merchantId={MERCHANT_ID}&paymentId={name}"
        assert api.status(query).json()["amount"] == "23.05"
        assert api.status(query).json()["amount"] == "22.05"


class TestThePage:
    def test_it_is_the_same_page_with_a_way_back(self, api: PaymentApi) -> None:
        made = api.make(returnUrl="https://shop.example/back")
        page = requests.get(made["redirectUrl"], timeout=10).text
        assert made["paymentId"] in page
        assert "https://shop.example/back" in page
        assert "S/ 22.05" in page

    def test_paid_on_it(self, api: PaymentApi) -> None:
        code = control.code(api.make(callbackUrl=f"{api.host}/nowhere/")["paymentId"])
        answer = Client().post(f"/sandbox/{code.uuid}/pay/", {"fault": "none", "seconds": "0"})
        assert answer.status_code == 302
        assert control.code(str(code.uuid)).status == SandboxCode.Status.PAID


def test_a_name_that_nobody_has(api: PaymentApi) -> None:
    for name in ("12345", "nonsense", "0b5f1c7e-8a76-4d6e-9d8a-0b5f1c7e8a76"):
        with pytest.raises(SandboxCode.DoesNotExist):
            control.code(name)


def test_it_is_closed_while_a_merchant_is_in_production(api: PaymentApi, settings: Any) -> None:
    merchants = settings.PAGOEFECTIVO["MERCHANTS"]
    live = {**merchants["default"], "ENVIRONMENT": "production"}
    settings.PAGOEFECTIVO = {"MERCHANTS": {**merchants, "live": live}}
    assert api.create().status_code == 404

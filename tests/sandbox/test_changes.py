"""``/cips/search`` and ``/cips/<cip>``: asked about, extended, deleted, expired by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_pagoefectivo.sandbox import control

from .conftest import Api, lima

pytestmark = pytest.mark.django_db(transaction=True)

NEVER = "1900-01-01T00:00:00-05:00"
INVALID_CIP = {
    "code": "111",
    "message": "Solicitud con datos inválidos.",
    "data": [{"code": "113", "message": "Valor inválido.", "field": "cip"}],
}


def test_the_documented_answer_to_a_search(api: Api) -> None:
    made = api.make()
    answer = api.call("POST", "/cips/search", {"data": [{"cip": made["cip"]}]})
    assert answer.status_code == 200
    payload = answer.json()
    assert payload["code"] == "100"
    (found,) = payload["data"]
    created = found.pop("dateCreation")
    assert found == {
        "cip": made["cip"],
        "transactionCode": "A-1001-1",
        "amount": 22.05,
        "currency": "PEN",
        "status": 22,
        "statusName": "Generado.",
        "dateExpiry": made["dateExpiry"],
        "datePayment": NEVER,
        "dateRemoval": NEVER,
        "token": made["cipUrl"].rpartition("/")[2].removesuffix(".html"),
    }
    assert len(created) == 25
    assert created.endswith("-05:00")


def test_every_status(api: Api) -> None:
    cips = [api.make(transactionCode=f"A-{number}")["cip"] for number in range(5)]
    _generated, paid, expired, deleted, annulled = cips
    control.pay(paid, notify=False)
    control.expire(expired)
    control.delete(deleted)
    control.SandboxCode.objects.filter(cip=annulled).update(status=24)
    found = {item["cip"]: item for item in api.search(*cips)}
    assert [(item["status"], item["statusName"]) for item in found.values()] == [
        (22, "Generado."),
        (23, "Cancelado."),
        (21, "Expirado."),
        (25, "Eliminado."),
        (24, "Anulado."),
    ]
    assert found[paid]["datePayment"] != NEVER
    assert found[deleted]["dateRemoval"] != NEVER
    assert found[expired]["datePayment"] == NEVER


def test_many_codes_in_one_call_in_their_order(api: Api) -> None:
    cips = [api.make(transactionCode=f"A-{number}")["cip"] for number in range(10)]
    cips.reverse()
    assert [item["cip"] for item in api.search(*cips, 99, *cips)] == cips
    assert control.calls("search").count() == 1


def test_a_code_of_another_service_is_not_there(api: Api) -> None:
    cip = api.make()["cip"]
    control.SandboxCode.objects.update(service_id="999")
    assert api.search(cip) == []
    body = {"dateExpiry": lima(timedelta(days=2))}
    assert api.call("PATCH", f"/cips/{cip}", body).json() == INVALID_CIP
    assert api.call("DELETE", f"/cips/{cip}").json() == INVALID_CIP


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "112", "data"),
        ({"data": []}, "113", "data"),
        ({"data": {}}, "113", "data"),
        ({"data": [1]}, "113", "data"),
        ({"data": [{"cip": 1}] * 1001}, "113", "data"),
        ({"data": [{}]}, "112", "cip"),
        ({"data": [{"cip": "10092759"}]}, "113", "cip"),
        ({"data": [{"cip": 1.5}]}, "113", "cip"),
        ({"data": [{"cip": 10**14}]}, "113", "cip"),
        ({"data": [{"cip": True}]}, "113", "cip"),
    ],
)
def test_a_search_of_the_wrong_form(api: Api, body: Any, code: str, field: str) -> None:
    answer = api.call("POST", "/cips/search", body)
    assert answer.status_code == 400
    (error,) = answer.json()["data"]
    assert (error["code"], error["field"]) == (code, field)


def test_extend(api: Api) -> None:
    cip = api.make()["cip"]
    until = lima(timedelta(days=3))
    answer = api.call("PATCH", f"/cips/{cip}", {"dateExpiry": until})
    assert answer.status_code == 200
    assert answer.json() == {"code": 100, "message": "Solicitud exitosa.", "data": {}}
    (found,) = api.search(cip)
    assert found["dateExpiry"] == until


def test_an_expired_code_goes_back_to_generated(api: Api) -> None:
    cip = api.make()["cip"]
    control.expire(cip)
    assert api.status(cip) == 21
    api.call("PATCH", f"/cips/{cip}", {"dateExpiry": lima(timedelta(days=1))})
    assert api.status(cip) == 22


def test_a_code_past_its_term_is_expired_by_itself(api: Api) -> None:
    cip = api.make(dateExpiry=lima(timedelta(minutes=30)))["cip"]
    with time_machine.travel(datetime.now().astimezone() + timedelta(minutes=31)):
        assert api.status(cip) == 21
        assert api.call("DELETE", f"/cips/{cip}").status_code == 400
        body = {"dateExpiry": lima(timedelta(hours=1))}
        assert api.call("PATCH", f"/cips/{cip}", body).status_code == 200
        assert api.status(cip) == 22


@pytest.mark.parametrize("value", [..., "", "2030-01-01", "2020-01-01T00:00:00-05:00", 5])
def test_a_wrong_term(api: Api, value: Any) -> None:
    cip = api.make()["cip"]
    body = {} if value is ... else {"dateExpiry": value}
    answer = api.call("PATCH", f"/cips/{cip}", body)
    assert answer.status_code == 400
    (error,) = answer.json()["data"]
    assert error["field"] == "dateExpiry"
    assert error["code"] == ("112" if value in (..., "") else "113")


def test_delete(api: Api) -> None:
    made = api.make()
    assert api.http.get(made["cipUrl"], timeout=10).status_code == 200
    answer = api.call("DELETE", f"/cips/{made['cip']}")
    assert answer.status_code == 200
    assert answer.json() == {"code": "100", "message": "Solicitud exitosa.", "data": {}}
    assert api.status(made["cip"]) == 25
    assert api.http.get(made["cipUrl"], timeout=10).status_code == 404


def test_what_cannot_be_changed(api: Api) -> None:
    paid, deleted, expired = (api.make(transactionCode=f"A-{n}")["cip"] for n in range(3))
    control.pay(paid, notify=False)
    control.delete(deleted)
    control.expire(expired)
    body = {"dateExpiry": lima(timedelta(days=1))}
    for cip in (paid, deleted, 99, 10**20):
        answer = api.call("PATCH", f"/cips/{cip}", body)
        assert (answer.status_code, answer.json()) == (400, INVALID_CIP)
    for cip in (paid, deleted, expired, 99, 10**20):
        answer = api.call("DELETE", f"/cips/{cip}")
        assert (answer.status_code, answer.json()) == (400, INVALID_CIP)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_other_methods(api: Api, method: str) -> None:
    assert api.call(method, "/cips/12345678").status_code == 405


def test_changes_need_a_token(api: Api) -> None:
    cip = api.make()["cip"]
    api.token = ""
    assert api.call("DELETE", f"/cips/{cip}").status_code == 401
    assert api.call("PATCH", f"/cips/{cip}", {}).status_code == 401
    assert api.call("POST", "/cips/search", {}).status_code == 401


def test_a_refund_is_still_paid_to_a_search(api: Api) -> None:
    cip = api.make()["cip"]
    control.pay(cip, notify=False)
    control.refund(cip, notify=False)
    assert api.status(cip) == 23
    assert control.code(cip).refunded_at is not None


def test_a_payment_keeps_its_first_operation(api: Api) -> None:
    cip = api.make()["cip"]
    moment = timezone.now() - timedelta(hours=1)
    control.pay(cip, operation_number="1253", paid_at=moment, notify=False)
    control.pay(cip, operation_number="9999", notify=False)
    code = control.code(str(cip))
    assert (code.operation_number, code.paid_at) == ("1253", moment)


def test_expire_and_delete_leave_a_paid_code_alone(api: Api) -> None:
    cip = api.make()["cip"]
    control.pay(cip, notify=False)
    control.expire(cip)
    assert control.delete(cip) is False
    assert api.status(cip) == 23


def test_reset(api: Api) -> None:
    control.pay(api.make()["cip"])
    control.arm(control.ApiFault.SLOW)
    control.reset()
    for model in (
        control.SandboxCode,
        control.SandboxCall,
        control.SandboxFault,
        control.SandboxNotification,
    ):
        assert not model.objects.exists()

"""The API's faults, each as a real client sees it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from django.test import RequestFactory

from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.connection import cut
from django_pagoefectivo.sandbox.control import ApiFault, Operation, SandboxCode
from django_pagoefectivo.sandbox.faults import NotificationFault

from .conftest import Api

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.mark.parametrize(("fault", "made"), [(ApiFault.CUT_BEFORE, 0), (ApiFault.CUT_AFTER, 1)])
def test_a_cut_connection(api: Api, fault: ApiFault, made: int) -> None:
    control.arm(fault)
    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        api.create()
    assert SandboxCode.objects.count() == made
    (call,) = control.calls("create")
    assert (call.status, call.fault) == (0, fault)
    assert api.create().status_code == 201, "the next call is answered properly"


def test_a_cut_where_the_socket_cannot_be_had() -> None:
    response = cut(RequestFactory().post("/"))
    assert response["Content-Length"] == "1000"
    parts = iter(response)
    assert len(next(parts)) < 1000
    with pytest.raises(ConnectionResetError):
        next(parts)


@pytest.mark.parametrize(
    ("fault", "status", "made"),
    [
        (ApiFault.ERROR_500, 500, 0),
        (ApiFault.ERROR_500_AFTER, 500, 1),
        (ApiFault.TOKEN_REFUSED, 401, 0),
        (ApiFault.REJECTED, 400, 0),
        (ApiFault.OVER_LIMIT, 400, 0),
        (ApiFault.WRONG_SERVICE, 400, 0),
    ],
)
def test_an_error(api: Api, fault: ApiFault, status: int, made: int) -> None:
    control.arm(fault)
    answer = api.create()
    assert answer.status_code == status
    assert SandboxCode.objects.count() == made
    payload = answer.json()
    data = payload.pop("data")
    assert (
        payload
        == {
            500: {"code": "166", "message": "Error interno."},
            401: {"code": "401", "message": "No autorizado."},
            400: {
                ApiFault.REJECTED: {"code": "111", "message": "Solicitud con datos inválidos."},
                ApiFault.OVER_LIMIT: {
                    "code": "511",
                    "message": "El monto supera el límite del servicio.",
                },
                ApiFault.WRONG_SERVICE: {
                    "code": "508",
                    "message": "El servicio del token es inválido.",
                },
            }.get(fault),
        }[status]
    )
    if fault is ApiFault.REJECTED:
        assert data == [{"code": "113", "message": "Valor inválido.", "field": "userEmail"}]
    else:
        assert data == []
    assert api.create().status_code == 201


@pytest.mark.parametrize(("fault", "status"), [(ApiFault.HTML_500, 500), (ApiFault.HTML_200, 200)])
def test_html(api: Api, fault: ApiFault, status: int) -> None:
    control.arm(fault)
    answer = api.create()
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert not SandboxCode.objects.exists()


def test_a_slow_answer(api: Api) -> None:
    control.arm(ApiFault.SLOW, seconds=2)
    with pytest.raises(requests.ReadTimeout):
        api.call("POST", "/cips", api.order(), timeout=1)
    assert SandboxCode.objects.count() == 1
    control.arm(ApiFault.SLOW, seconds=0.3)
    started = time.monotonic()
    assert api.create().status_code == 201
    assert time.monotonic() - started >= 0.3


def test_truncated_json(api: Api) -> None:
    control.arm(ApiFault.TRUNCATED)
    answer = api.create()
    assert answer.status_code == 201
    assert answer.text.startswith('{"code": 100')
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert SandboxCode.objects.count() == 1


def test_a_wrong_amount(api: Api) -> None:
    control.arm(ApiFault.WRONG_AMOUNT)
    made = api.make()
    assert made["amount"] == 23.05
    control.arm(ApiFault.WRONG_AMOUNT, "search")
    (found,) = api.search(made["cip"])
    assert found["amount"] == 23.05
    control.arm(ApiFault.WRONG_AMOUNT, "cancel")
    assert api.call("DELETE", f"/cips/{made['cip']}").json()["data"] == {}


def test_codes_as_text_and_as_numbers(api: Api) -> None:
    control.arm(ApiFault.CODE_AS_TEXT)
    assert api.create().json()["code"] == "100"
    control.arm(ApiFault.CODE_AS_NUMBER, Operation.SEARCH)
    answer = api.call("POST", "/cips/search", {"data": [{"cip": 1}]})
    assert answer.json()["code"] == 100


def test_an_error_is_spoilt_too(api: Api) -> None:
    control.arm(ApiFault.CODE_AS_NUMBER)
    assert api.create(amount=0).json()["code"] == 111


@pytest.mark.parametrize(
    ("operation", "method", "path"),
    [
        ("authorize", "POST", "/authorizations"),
        ("create", "POST", "/cips"),
        ("search", "POST", "/cips/search"),
        ("extend", "PATCH", "/cips/12345678"),
        ("cancel", "DELETE", "/cips/12345678"),
    ],
)
def test_each_operation(api: Api, operation: str, method: str, path: str) -> None:
    control.arm(ApiFault.ERROR_500, operation)
    for other in ("/cips", "/cips/search"):
        if other != path:
            assert api.call("POST", other, {}).status_code == 400
    assert api.call(method, path, {}).status_code == 500
    assert api.call(method, path, {}).status_code != 500


def test_any_operation(api: Api) -> None:
    control.arm(ApiFault.ERROR_500, "any", times=2)
    assert api.call("POST", "/cips/search", {}).status_code == 500
    assert api.create().status_code == 500
    assert api.create().status_code == 201


def test_faults_queue_up(api: Api) -> None:
    control.arm(ApiFault.ERROR_500, times=2)
    control.arm(ApiFault.REJECTED)
    assert control.armed().count() == 2
    assert [api.create().status_code for _ in range(4)] == [500, 500, 400, 201]
    assert not control.armed().exists()


def test_a_fault_that_another_call_has_taken(api: Api) -> None:
    control.SandboxFault.objects.create(fault="error-500", operation="create", times_left=0)
    control.arm(ApiFault.REJECTED)
    assert api.create().status_code == 400


def test_disarm(api: Api) -> None:
    control.arm(ApiFault.ERROR_500, times=5)
    assert str(control.armed()[0]) == "error-500 for 5 calls: create"
    assert control.disarm() == 1
    assert api.create().status_code == 201


@pytest.mark.parametrize(
    "arguments", [{"times": 0}, {"seconds": 31}, {"seconds": -1}, {"operation": "pay"}]
)
def test_arming_nonsense(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|not a valid"):
        control.arm(ApiFault.SLOW, **arguments)


@pytest.mark.parametrize("fault", [*ApiFault, *NotificationFault])
def test_each_fault_says_what_it_does(fault: ApiFault | NotificationFault) -> None:
    assert fault.label
    assert fault.explanation.endswith(".")
    assert "\n" not in fault.explanation

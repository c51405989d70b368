"""``POST /authorizations`` and what its token is good for."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
import time_machine

from django_pagoefectivo.sandbox import control, credentials

from .conftest import ACCESS_KEY, SECRET_KEY, SERVICE_ID, Api, lima

pytestmark = pytest.mark.django_db(transaction=True)

UNAUTHORIZED = {"code": "401", "message": "No autorizado.", "data": []}


def authorize(api: Api, **changes: Any) -> requests.Response:
    data = {name: v for name, v in api.credentials(**changes).items() if v is not ...}
    return api.http.post(f"{api.base}/authorizations", json=data, timeout=10)


def test_the_documented_answer(anonymous: Api) -> None:
    answer = authorize(anonymous)
    assert answer.status_code == 201
    payload = answer.json()
    assert payload["code"] == "100"
    assert payload["message"] == "Solicitud exitosa."
    data = payload["data"]
    assert set(data) == {"token", "codeService", "tokenStart", "tokenExpires"}
    assert 150 <= len(data["token"]) <= 250
    header, _claims, _signature = data["token"].split(".")
    assert urlsafe_b64decode(header + "==") == b'{"alg":"HS256","typ":"JWT"}'
    start, end = (datetime.fromisoformat(data[name]) for name in ("tokenStart", "tokenExpires"))
    assert end - start == timedelta(hours=2)
    assert data["tokenStart"].endswith("-05:00")
    assert len(data["tokenStart"]) == 25


def test_two_tokens_are_not_the_same(anonymous: Api) -> None:
    one, two = (authorize(anonymous).json()["data"]["token"] for _ in range(2))
    assert one != two


def test_a_field_of_the_wrong_form(anonymous: Api) -> None:
    answer = authorize(anonymous, accessKey=..., idService="1234")
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "111",
        "message": "Solicitud con datos inválidos.",
        "data": [
            {"code": "112", "message": "Requerido.", "field": "accessKey"},
            {"code": "113", "message": "Valor inválido.", "field": "idService"},
        ],
    }


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_off(anonymous: Api, minutes: int) -> None:
    answer = authorize(anonymous, dateRequest=lima(timedelta(minutes=minutes)))
    assert answer.status_code == 400
    assert answer.json()["data"][0]["field"] == "dateRequest"


@pytest.mark.parametrize(
    "changes",
    [
        {"idService": 4321},
        {"accessKey": "ANOTHERKEY0000000001"},
        {"accessKey": "\u00e9"},
        {"hashString": "0" * 64},
        {"hashString": "\u00e9" * 64},
    ],
)
def test_wrong_credentials(anonymous: Api, changes: dict[str, Any]) -> None:
    answer = authorize(anonymous, **changes)
    assert answer.status_code == 401
    assert answer.json() == UNAUTHORIZED


def test_the_hash_is_lower_case(anonymous: Api) -> None:
    hashed = anonymous.credentials()["hashString"].upper()
    assert authorize(anonymous, hashString=hashed).status_code == 401


def test_the_published_vector() -> None:
    date = "2026-11-23T10:15:30-05:00"
    hashed = "baf9368d5c329d26d7661ce5d6f102ce5df502f6df638a7ddc4337745dc60e3d"
    assert credentials.credentials_match(SERVICE_ID, ACCESS_KEY, date, hashed)


def test_a_token_serves_many_calls(api: Api) -> None:
    for number in range(5):
        api.make(transactionCode=f"A-{number}")
    assert control.calls("authorize").count() == 1
    assert control.calls("create").count() == 5
    assert control.calls().count() == 6


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer abc", "Bearer a.b.c", "{token}", "Token {token}"],
)
def test_no_token_or_a_wrong_one(api: Api, header: str) -> None:
    header = header.format(token=api.token)
    answer = api.call("POST", "/cips", api.order(), headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json() == UNAUTHORIZED


def test_a_forged_token(api: Api) -> None:
    header, claims, signature = api.token.split(".")
    other = "A" if signature[0] != "A" else "B"
    api.token = f"{header}.{claims}.{other}{signature[1:]}"
    assert api.create().status_code == 401


def test_a_token_lives_two_hours(api: Api) -> None:
    start = datetime.now().astimezone()
    with time_machine.travel(start + timedelta(hours=1, minutes=59)):
        assert api.create(dateExpiry=lima(timedelta(hours=1))).status_code == 201
    with time_machine.travel(start + timedelta(hours=2, seconds=1)):
        assert api.create(dateExpiry=lima(timedelta(hours=1))).status_code == 401


def test_a_token_of_a_service_that_is_gone(api: Api, settings: Any) -> None:
    merchant = {**settings.PAGOEFECTIVO["MERCHANTS"]["default"], "SERVICE_ID": "999"}
    settings.PAGOEFECTIVO = {"MERCHANTS": {"default": merchant}}
    answer = api.create()
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "508",
        "message": "El servicio del token es inválido.",
        "data": [],
    }


def test_keys_are_nowhere_in_what_is_kept_or_shown(api: Api) -> None:
    data = api.make()
    control.pay(data["cip"])
    pages = api.http.get(data["cipUrl"], timeout=10).text
    pages += api.http.get(f"{api.host}/sandbox/", timeout=10).text
    rows = "".join(
        str(row.__dict__)
        for model in (control.SandboxCode, control.SandboxCall, control.SandboxNotification)
        for row in model.objects.all()
    )
    for secret in (ACCESS_KEY, SECRET_KEY, api.token):
        assert secret not in pages
        assert secret not in rows

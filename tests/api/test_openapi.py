"""The OpenAPI document: valid, as committed, and true to what is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.test import override_settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from rest_framework.test import APIClient

from django_pagoefectivo.api import views
from django_pagoefectivo.api.openapi import EXTENSIONS, document
from django_pagoefectivo.api.problems import CODES
from django_pagoefectivo.testing import make_payment
from tests.servers import PagoEfectivo
from tests.shop.models import Order

from .conftest import PAYMENTS, STATISTICS, body, path_of
from .openapi_file import PATH, text


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(PATH.read_text("utf-8"))
    return read


def validator(committed: dict[str, Any], name: str) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": committed["components"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def operations(committed: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in committed["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_the_committed_document_is_the_codes() -> None:
    assert PATH.read_text("utf-8") == text(), "run: make openapi"


def test_it_is_valid_openapi_3_1(committed: dict[str, Any]) -> None:
    assert committed["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(committed).validate()


def test_every_operation_is_described(committed: dict[str, Any]) -> None:
    found = dict(operations(committed))
    assert {operation["operationId"] for operation in found.values()} == {
        "listPayments",
        "createPayment",
        "readPayment",
        "syncPayment",
        "extendPayment",
        "cancelPayment",
        "readStatistics",
    }
    for name, operation in found.items():
        assert operation["summary"], name
        assert operation["description"], name
        statuses = set(operation["responses"])
        assert {"401", "403", "405", "429", "500", "503"} <= statuses, name
        for status, response in operation["responses"].items():
            kinds = set(response["content"])
            expected = "application/json" if status < "400" else "application/problem+json"
            assert kinds == {expected}, (name, status)
            assert response["description"], (name, status)


def test_every_problem_is_documented(committed: dict[str, Any]) -> None:
    told = {
        code.strip("` ")
        for _, operation in operations(committed)
        for status, response in operation["responses"].items()
        if status >= "400"
        for code in response["description"].split(",")
    }
    assert told == set(CODES)
    assert set(committed["components"]["schemas"]["ProblemCode"]["enum"]) == set(CODES)


def test_examples_are_what_their_schemas_say(committed: dict[str, Any]) -> None:
    seen = 0
    for _, operation in operations(committed):
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in contents:
            for media in content.get("content", {}).values():
                name = media["schema"]["$ref"].rpartition("/")[2]
                for example in media.get("examples", {}).values():
                    validator(committed, name).validate(example["value"])
                    seen += 1
    assert seen >= 6


def test_it_needs_nothing_of_the_shops_settings() -> None:
    shop = {"DEFAULT_SCHEMA_CLASS": "rest_framework.schemas.openapi.AutoSchema"}
    before = document()
    with override_settings(REST_FRAMEWORK=shop):
        assert document() == before
    targets = [extension.target_class for extension in EXTENSIONS]
    assert all(isinstance(one, type) and one.__name__ in vars(views) for one in targets)


@pytest.mark.django_db(transaction=True)
def test_answers_are_what_the_document_says(
    committed: dict[str, Any],
    pe: PagoEfectivo,
    client_of: Callable[[str], APIClient],
    account: Callable[[str], User],
) -> None:
    order = Order.objects.create(number="A-1")
    for status in ("created", "pending", "paid", "expired", "cancelled", "refunded", "failed"):
        make_payment(
            status, user=account("owner"), order=order, attention="late_payment", description="x"
        )
    root, owner = client_of("superuser"), client_of("owner")
    made = root.post(PAYMENTS, body())
    checked = [
        ("Payment", made),
        ("PaymentPage", root.get(PAYMENTS)),
        ("PaymentPage", owner.get(PAYMENTS, {"page_size": 2})),
        ("Payment", owner.get(path_of(owner.get(PAYMENTS).json()["results"][0]["token"]))),
        ("Payment", root.post(path_of(made.json()["token"], "sync"))),
        ("Payment", root.post(path_of(made.json()["token"], "extend"), {"expires_in": 60})),
        ("Payment", root.post(path_of(made.json()["token"], "cancel"))),
        ("Statistics", root.get(STATISTICS)),
        ("Problem", owner.get(STATISTICS)),
        ("Problem", root.post(PAYMENTS, {"amount": 1})),
        ("Problem", root.post(path_of(made.json()["token"], "cancel"))),
        ("Problem", APIClient().get(PAYMENTS)),
    ]
    for name, answer in checked:
        assert (answer.status_code < 400) == (name != "Problem"), answer.content
        validator(committed, name).validate(json.loads(answer.content))
        allowed = set(committed["components"]["schemas"][name]["properties"])
        assert set(answer.json()) == allowed

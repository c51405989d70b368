"""Which contract a merchant has is a matter of ``gateways/`` alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_pagoefectivo
from django_pagoefectivo.gateways.registry import BUILT_IN

PACKAGE = Path(django_pagoefectivo.__file__).parent
#: The gateways themselves; the setting that names them; the sandbox, which is the other side.
KNOW_THE_CONTRACTS = ("gateways", "conf", "sandbox")
#: Modules outside that may say a contract's name, and why.
REASONS = {
    "testing": "notifications are made in each contract's form",
    "management": "a rehearsal and a doctor name the contract for people",
}
MODULES = {"cip", "payment"}
CLASSES = {cls.__name__ for cls in BUILT_IN.values()}


def modules() -> list[Path]:
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in {*KNOW_THE_CONTRACTS, *REASONS}
    ]


def questions(source: str) -> Iterator[str]:
    """Every place in a module that asks which contract there is."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr == "api":
            yield f"line {node.lineno}: reads .api"
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in CLASSES:
                yield f"line {node.lineno}: names {name}"
        if isinstance(node, ast.ImportFrom) and node.module:
            module = node.module.split(".")
            if "gateways" in module and module[-1] in MODULES:
                yield f"line {node.lineno}: imports {node.module}"
            for alias in node.names:
                if alias.name in CLASSES:
                    yield f"line {node.lineno}: imports {alias.name}"
        if isinstance(node, ast.Compare):
            for part in (node.left, *node.comparators):
                if isinstance(part, ast.Constant) and part.value in BUILT_IN:
                    yield f"line {node.lineno}: compares with {part.value!r}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_outside_asks_which_contract_a_merchant_has(path: Path) -> None:
    assert list(questions(path.read_text("utf-8"))) == []


def test_there_is_something_to_look_at() -> None:
    names = {str(path.relative_to(PACKAGE)) for path in modules()}
    assert {"services/payments.py", "services/webhooks.py", "views.py", "pages/views.py"} <= names


@pytest.mark.parametrize(
    "source",
    [
        'if merchant.api == "cip":\n    pass',
        'if "payment" == kind:\n    pass',
        "from ..gateways import CipGateway",
        "from ..gateways.payment import PaymentGateway as P",
        "from django_pagoefectivo.gateways.cip import read_status",
        "isinstance(gateway, gateways.PaymentGateway)",
        "getattr(x, 'y'); z = config.merchant('a').api",
    ],
)
def test_a_question_is_seen(source: str) -> None:
    assert list(questions(source))


def test_the_gateways_know_no_models_and_no_requests() -> None:
    for path in sorted((PACKAGE / "gateways").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                assert top not in {"models", "services", "views", "pages", "admin"}, path
                assert not name.startswith(("django.db", "django.http", "django.urls")), path

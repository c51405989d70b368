"""Installations whose settings break the checks themselves, or contradict each other."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from django_pagoefectivo.conf import forget_merchants
from django_pagoefectivo.doctor import Severity

from .conftest import Report

Doctor = Callable[..., Report]
PRODUCTION = {"ENVIRONMENT": "production", "BASE_URL": None}


def ready() -> bool:
    """Whether the command calls the installation ready; it must exit with 1 if not."""
    out = StringIO()
    status = 0
    try:
        call_command("pagoefectivo_doctor", "--offline", "--format=json", stdout=out)
    except SystemExit as end:
        status = int(end.code or 0)
    answer = bool(json.loads(out.getvalue())["ready"])
    assert answer is (status == 0)
    return answer


# -- what breaks a check -------------------------------------------------------------------


@pytest.fixture
def shop_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A module of the shop's with the given source; the name to import it by."""

    def write(source: str) -> str:
        (tmp_path / "doctors_shop.py").write_text(source, "utf-8")
        monkeypatch.delitem(sys.modules, "doctors_shop", raising=False)
        return "doctors_shop"

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return write


@pytest.mark.django_db
def test_a_urlconf_that_cannot_be_imported_hides_nothing(
    doctor: Doctor,
    configure: Callable[..., None],
    settings: Any,
    shop_module: Callable[[str], str],
) -> None:
    configure(merchant=PRODUCTION)
    settings.USE_TZ = False
    settings.ROOT_URLCONF = shop_module("import os\nimport nowhere_to_be_found\n")
    report = doctor()
    assert report.of("pagoefectivo.E005").severity is Severity.ERROR
    assert report.of("pagoefectivo.E006").severity is Severity.ERROR
    broken = [one for one in report if one.id == "doctor"]
    assert {one.severity for one in broken} == {Severity.ERROR}
    (urls,) = [one for one in broken if "check_urls" in one.sentence]
    assert 'there is no module "nowhere_to_be_found"' in urls.sentence
    assert "doctors_shop.py, line 2" in urls.sentence
    assert 'Install "nowhere_to_be_found"' in urls.mend


@pytest.mark.django_db(transaction=True)
def test_middleware_that_is_not_there(settings: Any, doctor: Doctor) -> None:
    settings.MIDDLEWARE = ["nope.Missing", *settings.MIDDLEWARE]
    found = doctor().of("doctor")
    assert found.severity is Severity.ERROR
    assert 'there is no module "nope"' in found.sentence
    assert "MIDDLEWARE" in found.mend
    assert not ready()
    settings.MIDDLEWARE = ["tests.doctor.test_configuration.Missing"]
    found = doctor().of("doctor")
    assert "Missing" in found.sentence
    assert "Correct the import" in found.mend


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("source", "line"), [("key = 'swordfish\n", 1), ("\nraise ValueError('swordfish')\n", 2)]
)
def test_an_error_of_the_shops_is_placed_but_not_quoted(
    doctor: Doctor,
    settings: Any,
    shop_module: Callable[[str], str],
    source: str,
    line: int,
) -> None:
    settings.ROOT_URLCONF = shop_module(source)
    found = [one for one in doctor() if one.id == "doctor"]
    assert found
    assert all(f"doctors_shop.py, line {line}" in one.sentence for one in found)
    assert "swordfish" not in str(found)
    assert not ready()


# -- merchants from elsewhere --------------------------------------------------------------


class Source:
    """Where merchants come from."""

    gives: Any = None

    def __call__(self) -> Any:
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


SOURCE = Source()


@pytest.fixture
def source(settings: Any) -> Iterator[Source]:
    own = {**settings.PAGOEFECTIVO["MERCHANTS"]["default"], **PRODUCTION}
    SOURCE.gives = {"default": own, "other": {**own, "SECRET_KEY": ""}}
    settings.PAGOEFECTIVO = {"MERCHANTS": f"{__name__}.SOURCE", "SITE_URL": "http://shop.pe"}
    yield SOURCE
    forget_merchants()


@pytest.mark.django_db
def test_merchants_of_a_callable_are_looked_at(doctor: Doctor, source: Source) -> None:
    report = doctor()
    assert report.of("pagoefectivo.E005").severity is Severity.ERROR
    assert "other" in report.of("pagoefectivo.E002").sentence
    assert report.of("pagoefectivo.W013").severity is Severity.WARNING


@pytest.mark.django_db(transaction=True)
def test_a_callable_that_fails_is_not_ready(doctor: Doctor, source: Source) -> None:
    source.gives = RuntimeError("postgres://user:swordfish@vault")
    found = doctor().of("pagoefectivo.W014")
    # For migrate it is a warning; whoever asks whether payments would work is told no.
    assert found.severity is Severity.ERROR
    assert "swordfish" not in found.sentence
    assert not ready()


# -- settings that contradict each other ---------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("environment", "url", "words"),
    [
        ("production", "https://pre1a.services.pagoefectivo.pe/v1", "nobody can pay"),
        ("sandbox", "https://services.pagoefectivo.pe/v1", "real codes"),
    ],
)
def test_environment_and_address_that_contradict_each_other(
    doctor: Doctor, configure: Callable[..., None], environment: str, url: str, words: str
) -> None:
    configure(merchant={"ENVIRONMENT": environment, "BASE_URL": url})
    found = doctor().of("pagoefectivo.E015")
    assert found.severity is Severity.ERROR
    assert words in found.sentence
    assert not ready()

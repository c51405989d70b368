"""What the page about reconciling tells people to write is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import load_command_class

from django_pagoefectivo.conf.config import Config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/reconcile.rst").read_text("utf-8")
COMMANDS = re.findall(r"^ {4}(?:\* \* \* \* \*  )?manage\.py (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_take_these_options(line: str) -> None:
    name, *options = shlex.split(line)
    parser = load_command_class("django_pagoefectivo", name).create_parser("manage.py", name)
    parser.parse_args(options)


def test_all_of_them_are_found() -> None:
    assert {line.split()[0] for line in COMMANDS} == {
        *("pagoefectivo_import", "pagoefectivo_bulk", "pagoefectivo_export")
    }


def test_the_setting_is_read(settings: Any) -> None:
    [snippet] = re.findall(r"code-block:: python\n\n((?: {3}.*\n)+)", PAGE)
    names: dict[str, Any] = {}
    exec("if True:\n" + snippet, names)  # noqa: S102
    assert Config(settings.PAGOEFECTIVO | names["PAGOEFECTIVO"]).background == "command"


@pytest.mark.django_db
def test_the_permissions_exist() -> None:
    named = set(re.findall(r"^``pagoefectivo\.(\w+)``", PAGE, re.MULTILINE))
    assert len(named) == 5
    assert Permission.objects.filter(codename__in=named).count() == 5


def test_the_pictures_are_there_and_small() -> None:
    for name in re.findall(r"figure:: \.\./(\S+)", PAGE):
        assert (ROOT / "docs" / name).stat().st_size < 150_000

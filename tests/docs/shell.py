"""What a page tells people to type, read by the programs that would read it."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable
from typing import Any

import click
from celery.bin.celery import celery
from django.core.management import CommandError, get_commands, load_command_class

from django_pagoefectivo.conf import from_env

from .blocks import ROOT, Block

#: Minute, hour, day, month and weekday, and then the command.
CRON = re.compile(r"((?:(?:\*(?:/\d+)?|\d+(?:[-,/]\d+)*)\s+){5})(.+)")
_HIGHEST = (59, 23, 31, 12, 7)
_PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


class Unknown(AssertionError):
    """A line that none of the programs here would take."""


def lines_of(block: Block) -> list[str]:
    """The commands of a block; where there are prompts, what follows them."""
    lines = [line.rstrip() for line in block.code.splitlines() if line.strip()]
    if block.language == "console":
        assert all(line.startswith("$ ") for line in lines), f"{block.place}: output is not checked"
        lines = [line.removeprefix("$ ") for line in lines]
    return lines


def check(block: Block) -> None:
    """Fail with page and line if a command or an option of the block does not exist."""
    for line in lines_of(block):
        try:
            check_line(line)
        except (Unknown, CommandError, click.ClickException) as error:
            raise AssertionError(f"{block.place}: {line!r}: {error}") from error


def check_line(line: str) -> None:
    """One command, with or without the times of a crontab before it."""
    if line[0] in "*0123456789":
        line = _scheduled(line)
    program, *words = shlex.split(line, comments=True)
    if program not in _PROGRAMS:
        raise Unknown(f"no check knows {program!r}")
    _PROGRAMS[program](words)


def _scheduled(line: str) -> str:
    found = CRON.fullmatch(line)
    if found is None:
        raise Unknown("that is no line of a crontab")
    for times, highest in zip(found[1].split(), _HIGHEST, strict=True):
        if any(int(number) > highest for number in re.findall(r"\d+", times)):
            raise Unknown(f"{times!r} is never")
    return found[2]


def _manage(words: list[str]) -> None:
    name, *options = words
    if name not in get_commands():
        raise Unknown(f"there is no command {name!r}")
    app = get_commands()[name]
    command = load_command_class(app, name) if isinstance(app, str) else app
    parser = command.create_parser("manage.py", name)
    parser.parse_args(options)


def _python(words: list[str]) -> None:
    if words[0].endswith("manage.py"):
        _manage(words[1:])
    elif words[:2] == ["-m", "venv"]:
        assert len(words) == 3
    elif words[0] == "-m":
        _module(words[1], words[2:])
    else:
        raise Unknown("neither manage.py nor a module")


def _module(name: str, options: list[str]) -> None:
    """A module of this repository; it is read and not imported, for it may need a server."""
    path = ROOT / f"{name.replace('.', '/')}.py"
    if not path.is_file():
        raise Unknown(f"there is no module {name}")
    known = set(re.findall(r'add_argument\(\s*"(--[\w-]+)"', path.read_text("utf-8")))
    if unknown := {word.partition("=")[0] for word in options if word.startswith("--")} - known:
        raise Unknown(f"{name} does not take {sorted(unknown)}")


def _make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {
        target
        for names in re.findall(r"^([a-z][\w -]*):(?!=)", makefile, re.MULTILINE)
        for target in names.split()
    }
    if missing := set(words) - targets:
        raise Unknown(f"no such target: {sorted(missing)}")


def _pip(words: list[str]) -> None:
    action, wanted = words
    assert action == "install"
    found = re.fullmatch(r"([\w-]+)(?:\[([\w,-]+)\])?", wanted)
    if found is None or found[1] != _PROJECT["name"]:
        raise Unknown(f"{wanted!r} is not this package")
    if found[2] and (missing := set(found[2].split(",")) - set(_PROJECT["optional-dependencies"])):
        raise Unknown(f"no such extra: {sorted(missing)}")


def _export(words: list[str]) -> None:
    """A variable must be one that ``from_env`` reads."""
    for word in words:
        name = word.partition("=")[0].removeprefix("PAGOEFECTIVO_")
        if f"``{name}``" not in (from_env.__doc__ or ""):
            raise Unknown(f"from_env reads no {word.partition('=')[0]}")


def _apt_get(words: list[str]) -> None:
    """Packages of the system must be those that the CI installs."""
    action, *packages = words
    assert action == "install"
    installed = (ROOT / ".ci/run").read_text("utf-8").split()
    if unknown := set(packages) - set(installed):
        raise Unknown(f".ci/run does not install {sorted(unknown)}")


def _celery(words: list[str]) -> None:
    assert words[0] == "-A"
    name, options = words[2], words[3:]
    if name not in celery.commands:
        raise Unknown(f"celery has no {name!r}")
    command = celery.commands[name]
    command.make_parser(click.Context(command)).parse_args(list(options))


def _folder(words: list[str]) -> None:
    (path,) = words
    if not (ROOT / path).is_dir():
        raise Unknown(f"there is no folder {path}")


def _client_generator(words: list[str]) -> None:
    """``tests/api/test_generators.py`` runs it; here only that its document is there."""
    assert words[:2] == ["generate", "--path"]
    if not (ROOT / words[2]).is_file():
        raise Unknown(f"there is no file {words[2]}")


def _activate(words: list[str]) -> None:
    assert words == [".venv/bin/activate"]


_PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    ".": _activate,
    "apt-get": _apt_get,
    "cd": _folder,
    "celery": _celery,
    "django-admin": _manage,
    "export": _export,
    "make": _make,
    "manage.py": _manage,
    "openapi-python-client": _client_generator,
    "pip": _pip,
    "python": _python,
}

"""The wheel and the sdist hold all that an installation needs, and nothing more."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from .conftest import ROOT

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]
PACKAGE = "django_pagoefectivo"


def in_the_repository() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", PACKAGE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def test_the_wheel_is_the_package_and_its_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    package = {name for name in names if name.startswith(f"{PACKAGE}/")}
    assert package == in_the_repository()
    assert {PurePosixPath(name).name for name in names - package} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "LICENSE",
        "entry_points.txt",
        "top_level.txt",
    }


@pytest.mark.parametrize(
    "part",
    [
        "py.typed",
        "templates/django_pagoefectivo/",
        "templates/admin/",
        "static/django_pagoefectivo/",
        "locale/es/LC_MESSAGES/django.mo",
        "locale/zh_Hans/LC_MESSAGES/django.mo",
        "migrations/0001_initial.py",
        "management/commands/",
        "sandbox/migrations/",
    ],
)
def test_what_is_easily_forgotten_is_in_the_wheel(wheel: Path, part: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert any(name.startswith(f"{PACKAGE}/{part}") for name in archive.namelist())


def test_the_sdist_has_the_same_package_and_no_tests(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    package = {name for name in names if name.startswith(f"{PACKAGE}/")}
    assert package == in_the_repository()
    assert names - package == {
        "CHANGELOG.rst",
        "LICENSE",
        "MANIFEST.in",
        "PKG-INFO",
        "README.rst",
        "pyproject.toml",
        "setup.cfg",
        f"{PACKAGE}.egg-info/PKG-INFO",
        f"{PACKAGE}.egg-info/SOURCES.txt",
        f"{PACKAGE}.egg-info/dependency_links.txt",
        f"{PACKAGE}.egg-info/entry_points.txt",
        f"{PACKAGE}.egg-info/requires.txt",
        f"{PACKAGE}.egg-info/top_level.txt",
    }

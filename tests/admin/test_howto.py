"""What the page about reconciling tells people to write is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/reconcile.rst").read_text("utf-8")


@pytest.mark.django_db
def test_the_permissions_exist() -> None:
    named = set(re.findall(r"^``pagoefectivo\.(\w+)``", PAGE, re.MULTILINE))
    assert len(named) == 5
    assert Permission.objects.filter(codename__in=named).count() == 5


def test_the_pictures_are_there_and_small() -> None:
    for name in re.findall(r"figure:: \.\./(\S+)", PAGE):
        assert (ROOT / "docs" / name).stat().st_size < 150_000

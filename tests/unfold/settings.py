"""The suite's settings with django-unfold as the admin's theme."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as USUAL

INSTALLED_APPS = ["unfold", *USUAL]

"""Sphinx configuration."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django_pagoefectivo import __version__  # noqa: E402

project = "django-pagoefectivo"
author = "The django-pagoefectivo developers"
copyright = "2026, the django-pagoefectivo developers"
release = version = __version__

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = f"{project} {release}"
nitpicky = False
exclude_patterns = ["_build"]

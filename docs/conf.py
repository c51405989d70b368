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

extensions = ["sphinx.ext.autodoc", "sphinx.ext.graphviz", "sphinx_copybutton"]
if "spelling" in tags:  # type: ignore[name-defined] # noqa: F821 - Sphinx gives it
    extensions.append("sphinxcontrib.spelling")
autodoc_typehints = "description"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["docs.css"]
graphviz_output_format = "svg"
exclude_patterns = ["_build"]

# Every reference leads somewhere. What the standard library, Django and its kin document stays
# a name here, since their pages cannot be asked for while these are built.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(collections\.abc|datetime|decimal|django|environ|rest_framework|uuid)\..+"),
    # The same, under the names by which the code imports them.
    ("py:class", r"APIView|Decimal|HttpRequest|Request|UUID|User|datetime|models\.Model|timedelta"),
]

# `make linkcheck`. Made-up shops and what runs on the reader's machine are no links.
linkcheck_ignore = [r"https?://([\w-]+\.)?(shop|outlet)\.example", r"http://127\.0\.0\.1:\d+"]
linkcheck_timeout = 20
linkcheck_retries = 2

# `make spelling`.
spelling_lang = "en_GB"
# The field's words; the dictionaries are Hunspell's wherever there are others as well.
spelling_word_list_filename = [str(Path(__file__).parent / "spelling" / "words.txt")]
spelling_exclude_patterns = ["quickstart-*"]
spelling_warning = True
spelling_ignore_contributor_names = False

"""The committed OpenAPI document: ``python -m tests.api.openapi_file`` writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

import django

PATH = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.yaml"


def text() -> str:
    """The document as the code has it now."""
    from drf_spectacular.renderers import OpenApiYamlRenderer

    from django_pagoefectivo.api.openapi import document

    rendered: bytes = OpenApiYamlRenderer().render(document(), renderer_context={})
    return rendered.decode()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    PATH.write_text(text(), "utf-8")

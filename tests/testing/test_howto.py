"""The page on testing, copied into a project of its own and run there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import snippets
from tests.testing.test_projects import SETTINGS, URLS, run_pytest, write

FILE_DATABASE = 'DATABASES["default"]["TEST"] = {"NAME": "/tmp/shop-tests.sqlite3"}'


@pytest.mark.slow
def test_every_snippet_runs(tmp_path: Path) -> None:
    found = snippets("howto/test-your-shop", "python")
    files = {block.caption.removesuffix(".py"): block.code for block in found if block.caption}
    assert len(files) == 7
    assert [block.code for block in found if not block.caption] == [FILE_DATABASE]
    own = SETTINGS.replace('"django_pagoefectivo.sandbox",', "")
    write(tmp_path, settings=own, urls=URLS, **files)
    done = run_pytest(tmp_path, "--ds", "settings_for_tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 passed" in done.stdout

"""What every test may rely on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import translation


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """Start each test in the settings' language.

    A request through LocaleMiddleware leaves its language active in the thread, so that the
    order of the tests would decide in which language the next one reads a page.
    """
    yield
    translation.deactivate()

"""What the tests of metrics share with those of the promises."""

from __future__ import annotations

from tests.promises.conftest import _own_urls

__all__ = ["_own_urls"]

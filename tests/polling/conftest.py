"""What the tests of polling share with those of the promises."""

from __future__ import annotations

from tests.promises.conftest import _own_urls, probe

__all__ = ["_own_urls", "probe"]

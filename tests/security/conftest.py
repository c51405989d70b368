"""The promises' fixtures serve here, too."""

from tests.promises.conftest import _own_urls

__all__ = ["_own_urls"]

"""What is said where a library is needed that only an extra of this package installs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def from_extra(extra: str, need: str, *, instead: str = "") -> Iterator[None]:
    """Import within it what ``extra`` installs.

    Without it the ``ImportError`` is a sentence: ``need`` says what needs which library,
    ``instead`` what would do as well.
    """
    try:
        yield
    except ImportError as error:
        choice = f", or {instead}" if instead else ""
        raise ImportError(
            f'{need}. Install it with pip install "django-pagoefectivo[{extra}]"{choice}.'
        ) from error

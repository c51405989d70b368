"""What to rehearse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Rehearsal:
    """What to rehearse. ``patience`` is in seconds, ``make_order`` the shop's own."""

    merchant: str = "default"
    #: ``"built-in"``: the sandbox of this package; ``"sandbox"``: PagoEfectivo's integration.
    environment: str = "built-in"
    email: str = "rehearsal@example.com"
    keep: bool = False
    patience: float = 15.0
    make_order: Callable[[], Any] | None = None
    #: The scenarios of the built-in sandbox to play; empty: all of them.
    only: tuple[str, ...] = ()

    @property
    def is_built_in(self) -> bool:
        """Whether the built-in sandbox plays PagoEfectivo."""
        return self.environment != "sandbox"

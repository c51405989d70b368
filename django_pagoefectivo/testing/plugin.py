"""The pytest plugin: the kit as fixtures. Needs pytest-django.

pytest loads it before any settings are read and in every project of the environment, so
nothing of Django is imported before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .captured import CapturedSignals
    from .sandbox import Sandbox


@pytest.fixture
def pagoefectivo_sandbox(live_server: Any, transactional_db: None) -> Iterator[Sandbox]:
    """PagoEfectivo on the live server, beside the shop; ``create_payment`` gets codes there."""
    from .hosting import require_sandbox

    require_sandbox()
    from .sandbox import sandbox_at

    with sandbox_at(live_server.url) as sandbox:
        yield sandbox


@pytest.fixture
def pay(pagoefectivo_sandbox: Sandbox) -> Callable[..., Any]:
    """``pay(payment)``: pay its code at the sandbox, which notifies the shop over HTTP."""
    return pagoefectivo_sandbox.pay


@pytest.fixture
def expire(request: pytest.FixtureRequest, db: None) -> Callable[..., Any]:
    """``expire(payment)``: let its term end unpaid, at the sandbox if the test uses it."""
    if "pagoefectivo_sandbox" in request.fixturenames:
        sandbox: Sandbox = request.getfixturevalue("pagoefectivo_sandbox")
        return sandbox.expire
    from .notifying import let_expire

    return let_expire


@pytest.fixture
def notify(db: None) -> Callable[..., Any]:
    """``notify(payment)``: post a notification to the shop's webhook, without any server."""
    from .notifying import notify

    return notify


@pytest.fixture
def payment_signals() -> Iterator[CapturedSignals]:
    """Every payment signal of the test, with its arguments."""
    from .captured import captured_signals

    with captured_signals() as captured:
        yield captured

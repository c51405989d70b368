"""The health view."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from django_pagoefectivo import health
from django_pagoefectivo.models import WebhookEvent
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import body_of, notify, post, statements

pytestmark = pytest.mark.django_db(transaction=True)
HEALTH = "/pagoefectivo/health/"


@pytest.fixture(autouse=True)
def _look_again() -> Iterator[None]:
    health._Found.until = 0.0
    yield
    health._Found.until = 0.0


def test_a_new_installation(client: Any) -> None:
    answer = client.get(HEALTH)
    assert answer.status_code == 200
    assert answer.json() == {"database": True, "last_notification_minutes": None}
    assert "no-store" in answer["Cache-Control"]


def test_the_age_of_the_last_genuine_notification(client: Any) -> None:
    notify(make_payment())
    WebhookEvent.objects.update(received_at=timezone.now() - timedelta(minutes=7, seconds=30))
    assert post(body_of(make_payment()), signature="0" * 64).status_code == 403
    assert client.get(HEALTH).json()["last_notification_minutes"] == 7


def test_it_can_be_asked_often(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT", 3600.0)
    with statements() as seen:
        for _ in range(50):
            assert client.get(HEALTH).status_code == 200
    assert len(seen) == 1


def test_a_database_that_is_away(client: Any) -> None:
    def away(*args: Any) -> Any:
        raise OperationalError("server closed the connection; password=hunter2")

    with connection.execute_wrapper(away):
        answer = client.get(HEALTH)
    assert answer.status_code == 503
    assert answer.json() == {"database": False, "last_notification_minutes": None}


def test_nobody_need_log_in_and_nothing_else_is_told(client: Any) -> None:
    assert client.post(HEALTH).status_code == 405
    assert client.head(HEALTH).status_code == 200

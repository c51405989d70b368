"""What the page on Celery says to paste is run here."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.beat import Scheduler
from django.utils import timezone

from django_pagoefectivo import tasks
from django_pagoefectivo.models import SignalDelivery, WebhookEvent
from django_pagoefectivo.testing import make_payment
from tests.docs.blocks import snippets
from tests.promises.kit import notify, refresh
from tests.servers import PAID, Code, PagoEfectivo

from .conftest import Queue, receivers_here, wait_for

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "celery.rst"


def pasted() -> dict[str, Any]:
    """The settings after every snippet for settings.py."""
    values: dict[str, Any] = {"PAGOEFECTIVO": {}}
    for block in snippets("howto/celery", "python"):
        assert block.caption == "settings.py"
        block.run(values)
    return values


def test_every_task_is_on_the_page_and_every_task_of_the_page_is_one() -> None:
    app = Celery("tests", set_as_current=False)
    known = {name for name in app.tasks if name.startswith("pagoefectivo.")}
    assert set(re.findall(r"``(pagoefectivo\.\w+)``", PAGE.read_text())) == known
    assert tasks.deliver.name in known
    for name in known:
        task: Any = app.tasks[name]
        assert task.acks_late
        assert task.reject_on_worker_lost
        assert task.ignore_result
        assert task.max_retries is not None
        assert task.retry_jitter


@pytest.mark.broker
@pytest.mark.django_db(transaction=True)
def test_the_schedule_does_its_work(
    queue: Queue, pe: PagoEfectivo, configure: Callable[..., None], settings: Any
) -> None:
    """Beat sends what was pasted, a worker does it: sweep, poll and prune."""
    configure(**pasted()["PAGOEFECTIVO"])
    assert settings.PAGOEFECTIVO["SIGNAL_DELIVERY"] == "celery"
    raised = make_payment()
    with receivers_here("a"):
        notify(raised)
    queue.messages()
    SignalDelivery.objects.update(attempts=1, due_at=timezone.now())
    lost = make_payment()
    pe.codes[str(lost.cip)] = Code(
        str(lost.cip), lost.transaction_code, lost.amount, "PEN", "1900-01-01T00:00:00-05:00", PAID
    )
    old = timezone.now() - timedelta(days=1000)
    WebhookEvent.objects.create(
        merchant="default", body=b"x", outcome="rejected", received_at=old, last_received_at=old
    )
    assert queue.app is not None
    queue.app.conf.beat_schedule = pasted()["CELERY_BEAT_SCHEDULE"]
    beat = Scheduler(queue.app, lazy=True)
    beat.setup_schedule()
    for entry in beat.schedule.values():
        if str(entry.task).startswith("pagoefectivo."):
            beat.apply_async(entry, advance=False)
    beat.close()
    with queue.worker("a:ok", MERCHANTS=settings.PAGOEFECTIVO["MERCHANTS"]):
        wait_for(lambda: refresh(lost).status == "paid")
        wait_for(lambda: not WebhookEvent.objects.filter(outcome="rejected").exists())
        wait_for(lambda: not SignalDelivery.objects.filter(state="pending").exists())
    assert queue.told == {"a": 2}
    assert len(pe.of("search")) == 1

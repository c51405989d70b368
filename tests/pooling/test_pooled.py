"""Everything through psycopg's pool, and through PgBouncer in transaction mode."""

from __future__ import annotations

import csv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from django_pagoefectivo.models import (
    ApiExchange,
    JobState,
    Payment,
    SignalDelivery,
    Statement,
    WebhookEvent,
)
from django_pagoefectivo.services import deliver_due, jobs, poll
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import Probe, body_of, hmac_of, notify, refresh
from tests.promises.test_races import (
    answers,
    create,
    test_32_identical_notifications,
    test_32_identical_notifications_over_http,
    test_creates_of_one_order_at_once,
    test_deliverers_at_once_call_each_receiver_once,
    test_everything_at_one_payment,
    test_two_codes_of_one_order_paid_at_once,
)
from tests.servers import PAID, PagoEfectivo

from .ways import connected

__all__ = [
    "test_32_identical_notifications",
    "test_32_identical_notifications_over_http",
    "test_creates_of_one_order_at_once",
    "test_deliverers_at_once_call_each_receiver_once",
    "test_everything_at_one_payment",
    "test_two_codes_of_one_order_paid_at_once",
]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("pooled")]


def test_a_purchase_and_its_delivery(pe: PagoEfectivo, probe: Probe, configure: Any) -> None:
    configure(SIGNAL_DELIVERY="worker")
    payment = create()
    page = Client().get(payment.get_absolute_url())
    assert str(payment.cip) in page.content.decode()
    assert notify(payment).content == b"applied"
    assert notify(payment).content == b"duplicate"
    assert probe.heard == []
    assert deliver_due().failed == 0
    assert probe.signals == ["payment_created", "payment_pending", "payment_confirmed"]
    assert refresh(payment).status == "paid"
    assert SignalDelivery.objects.exclude(state="done").count() == 0
    assert "paid" in Client().get(f"{payment.get_absolute_url()}status/").json()["status"]


def test_the_poller_and_prune(pe: PagoEfectivo, probe: Probe) -> None:
    paid, lost = create(order_reference="P-1"), create(order_reference="P-2")
    pe.codes[str(paid.cip)].status = PAID
    Payment.objects.update(next_poll_at=timezone.now())
    Payment.objects.filter(pk=lost.pk).update(expires_at=timezone.now() - timedelta(hours=9))
    pe.codes[str(lost.cip)].expires = "2020-01-01T00:00:00-05:00"
    pe.codes[str(lost.cip)].status = 21
    assert poll().sync.changed == 2
    assert (refresh(paid).status, refresh(lost).status) == ("paid", "expired")
    ApiExchange.objects.update(created_at=timezone.now() - timedelta(days=400))
    call_command("pagoefectivo_prune", verbosity=0)
    assert not ApiExchange.objects.exists()
    assert len(probe.of("payment_confirmed")) == len(probe.of("payment_expired")) == 1


def test_an_export_a_bulk_job_and_a_statement(tmp_path: Path) -> None:
    """What goes through many rows: more than a batch of them each."""
    payments = [make_payment("paid") for _ in range(230)]
    call_command("pagoefectivo_export", str(tmp_path / "payments.csv"), verbosity=0)
    with (tmp_path / "payments.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.reader(file))) == 231

    chief = User.objects.create_superuser("chief", "", "x")
    job = jobs.make_job("reconcile", Payment.objects.all(), user=chief)
    call_command("pagoefectivo_bulk", verbosity=0)
    job.refresh_from_db()
    assert (job.state, job.done) == (JobState.DONE, 230)

    report = tmp_path / "report.csv"
    report.write_text(
        "CIP,Monto,Moneda\n" + "".join(f"{each.cip},{each.amount},PEN\n" for each in payments)
    )
    call_command("pagoefectivo_import", str(report), verbosity=0)
    statement = Statement.objects.get()
    assert Counter(statement.lines.values_list("state", flat=True)) == {"matched": 230}


def test_the_staffs_screens(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.urls"
    make_payment("paid")
    client = Client()
    client.force_login(User.objects.create_superuser("chief", "", "x"))
    for screen in ("payment/", "webhookevent/", "signaldelivery/", "statement/", "bulkjob/"):
        assert client.get(f"/admin/pagoefectivo/{screen}").status_code == 200, screen


def test_requests_share_fewer_connections(live_server: Any) -> None:
    """Eight at once over two connections: each gives its own back, and each is answered."""
    payments = [make_payment() for _ in range(24)]
    bodies = [body_of(payment) for payment in payments]
    url = live_server.url + "/pagoefectivo/webhook/"

    def send(body: bytes) -> requests.Response:
        return requests.post(url, data=body, headers={"PE-Signature": hmac_of(body)}, timeout=60)

    few = {"pool": {"min_size": 1, "max_size": 2, "timeout": 60}}
    with connected(options=few), ThreadPoolExecutor(8) as clients:
        results = list(clients.map(send, bodies))
        connection.close()
    assert answers(results) == {(200, "applied"): 24}
    assert WebhookEvent.objects.filter(outcome="applied").count() == 24

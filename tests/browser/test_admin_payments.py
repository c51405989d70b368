"""The staff's morning in a browser: what waits, a bulk act, a job, without a script in any page."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache

from django_pagoefectivo.admin import bulk
from django_pagoefectivo.models import BulkJob, Outcome, Payment, Status
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.services import Customer, create_payment, jobs
from django_pagoefectivo.testing import make_payment
from tests.admin.conftest import make_event, make_failing, make_flagged, make_mismatch, person

from .staff import WIDTHS, as_role, fits, live_server, shows, visit
from .test_axe import GRAVE, axe, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Pytest finds the fixtures by their names here.
__all__ = ["as_role", "live_server", "visit"]
pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/pagoefectivo/payment/"


@pytest.mark.parametrize("width", WIDTHS)
def test_settle_an_amount_mismatch(visit: Any, width: int) -> None:
    payment, _ = make_mismatch("20.00")
    page = visit("boss", f"{LIST}inbox/", width)
    assert fits(page)
    page.get_by_role("link", name="Accept the amount as paid…").click()
    shows(page.get_by_text("20.00 PEN, operation"))
    assert fits(page)
    page.get_by_label("Note").fill("Known customer.")
    page.get_by_role("button", name="Accept the amount as paid").click()
    shows(page.get_by_text("Accepted: 20.00 PEN was paid."))
    shows(page.get_by_text("All done. Nothing waits for you."))
    payment.refresh_from_db()
    assert (payment.status, payment.paid_amount) == (Status.PAID, Decimal("20.00"))
    page.goto(page.url.replace("inbox/", f"{payment.pk}/change/"))
    shows(page.get_by_text("Accepted 20.00 PEN for 22.05 PEN. Known customer.").first)
    assert fits(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_link_a_notification_nobody_knew(visit: Any, width: int) -> None:
    payment = make_flagged("outcome_unknown", "created")
    event = make_event()
    page = visit("clerk", f"{LIST}inbox/", width)
    page.get_by_role("link", name="Link to a payment…").click()
    shows(page.get_by_role("heading", name="Most likely"))
    assert fits(page)
    page.get_by_role("button", name="It is this one").click()
    shows(page.get_by_text("All done. Nothing waits for you."))
    payment.refresh_from_db()
    event.refresh_from_db()
    assert (payment.status, event.outcome) == (Status.PAID, Outcome.APPLIED)


@pytest.mark.parametrize("width", WIDTHS)
def test_cancel_in_bulk(visit: Any, live_server: Any, settings: Any, width: int) -> None:
    cache.clear()
    merchant = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {
        "MERCHANTS": {"default": merchant | {"BASE_URL": f"{live_server.url}/sandbox/v1"}},
        "TIMEOUT": (5, 10),
    }
    for number in range(3):
        create_payment(
            order_reference=f"A-{number}",
            amount=Decimal("22.05"),
            customer=Customer(email="rosa.quispe@correo.example"),
        )
    page = visit("clerk", LIST, width)
    for row in (1, 2):
        page.locator(f"#result_list tbody tr:nth-child({row}) .action-select").check()
    page.locator("select[name=action]").select_option("cancel_payments")
    page.get_by_role("button", name="Go").click()
    shows(page.get_by_text("Cancel 2 payments?"))
    assert fits(page)
    page.get_by_role("button", name="Yes, do it").click()
    shows(page.get_by_text("2 payments were cancelled."))
    assert Payment.objects.filter(status=Status.CANCELLED).count() == 2
    assert control.calls(control.Operation.CANCEL).count() == 2
    cache.clear()


def test_the_day_filter(visit: Any) -> None:
    make_flagged("late_payment", "paid")
    page = visit("viewer", f"{LIST}?status__exact=paid")
    page.get_by_label("From").fill("2020-01-01")
    page.get_by_label("to", exact=True).fill("2020-01-02")
    page.get_by_role("button", name="Show").click()
    assert "status__exact=paid" in page.url
    shows(page.get_by_text("0 payments"))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_bulk_job_is_followed_stopped_and_resumed(
    visit: Any, settings: Any, monkeypatch: Any, width: int
) -> None:
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": "command"}
    monkeypatch.setattr(bulk, "MOST", 2)
    for _ in range(60):
        make_payment("paid")
    make_payment()
    page = visit("clerk", LIST, width)
    page.locator("#action-toggle").check()
    page.locator(".actions .question a").click()
    page.locator("select[name=action]").select_option("mark_reconciled")
    page.get_by_role("button", name="Go").click()
    shows(page.get_by_text("Mark 61 payments as reconciled?"))
    shows(page.get_by_text("worked through in the background"))
    assert fits(page)
    page.get_by_role("button", name="Yes, do it").click()
    shows(page.get_by_text("0 done, 0 not done, 61 in all"))
    assert fits(page)
    job = BulkJob.objects.get()
    page.get_by_role("button", name="Stop").click()
    shows(page.get_by_text("Stopped. What is done stays done."))
    page.get_by_role("button", name="Go on").click()
    shows(page.get_by_text("It goes on where it stopped."))
    # The page sees by itself that it is over.
    jobs.run(job.pk)
    shows(page.get_by_text("60 done, 1 not done, 61 in all"))
    shows(page.get_by_text("only one that is paid or refunded can be reconciled"))
    assert fits(page)


def test_an_export_is_downloaded(visit: Any, tmp_path: Any) -> None:
    payment = make_payment("paid", description="Café")
    page = visit("viewer", LIST)
    page.locator(".action-select").check()
    page.locator("select[name=action]").select_option("export_rows")
    page.get_by_role("button", name="Go").click()
    shows(page.get_by_text("Export 1 row?"))
    page.get_by_label("CSV", exact=True).check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.endswith(".csv")
    text = download.value.path().read_text("utf-8-sig")
    assert payment.order_reference in text
    assert "Café" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(visit: Any, scheme: str) -> None:
    payment, _ = make_mismatch()
    make_flagged("outcome_unknown", "created")
    make_event()
    make_failing()
    source = axe()
    job = _job()
    for path in (
        f"{LIST}inbox/",
        f"{LIST}{payment.pk}/change/",
        f"{LIST}{payment.pk}/act/confirm/",
        f"/admin/pagoefectivo/bulkjob/{job.pk}/change/",
    ):
        page: Page = visit("boss", path, scheme=scheme)
        found = [line for line in violations(page, source, "#content-main") if grave(line)]
        assert found == [], path


def _job() -> BulkJob:
    job = jobs.make_job("reconcile", Payment.objects.all(), user=person("boss"))
    return jobs.run(job.pk)


def grave(line: str) -> bool:
    return line.startswith(GRAVE)

"""Statements and figures in a browser: from the upload to reconciled, and the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.storage import storages

from django_pagoefectivo.admin import statement_forms
from django_pagoefectivo.models import BulkJob, LineState, Payment, Statement
from django_pagoefectivo.services import jobs
from tests.admin import conftest as payments
from tests.admin_figures.conftest import PAID_AT, csv, line, load, paid, pending

from .staff import WIDTHS, as_role, fits, live_server, shows, visit
from .test_axe import GRAVE, axe, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Pytest finds the fixtures by their names here.
__all__ = ["as_role", "live_server", "visit"]
pytestmark = pytest.mark.django_db(transaction=True)
STATEMENTS = "/admin/pagoefectivo/statement/"


@pytest.fixture(autouse=True)
def reconcilers(settings: Any, monkeypatch: Any, tmp_path: Path) -> None:
    """Somebody who reconciles statements, and a private place for uploads."""
    rights = (*payments.ROLES["clerk"], "view_statement")
    monkeypatch.setitem(payments.ROLES, "reconciler", rights)
    settings.STORAGES = {
        **settings.STORAGES,
        "pagoefectivo": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "uploads")},
        },
    }
    assert storages["pagoefectivo"]


@pytest.mark.parametrize("width", WIDTHS)
def test_from_the_upload_to_reconciled(visit: Any, tmp_path: Path, width: int) -> None:
    first, second = paid(1), paid(2)
    missing = paid(4, created_at=PAID_AT)
    file = tmp_path / "liquidación.csv"
    file.write_bytes(csv(line(1), line(2), line(2, operation="777"), line(9)))
    page: Page = visit("reconciler", f"{STATEMENTS}import/", width)
    assert fits(page)
    page.get_by_label("Report").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    shows(page.get_by_role("heading", name="Before the import"))
    assert not Statement.objects.exists()
    assert fits(page)
    page.get_by_role("button", name="Import").click()
    shows(page.get_by_text("4 lines were imported."))
    assert fits(page)
    shows(page.get_by_text("Operation 777, beside operation 1002 in line 3"))
    # What is paid twice is put aside; the payment waits in the inbox.
    page.locator("#line-4").get_by_role("link", name="Put aside…").click()
    page.get_by_label("Note").fill("To be given back.")
    page.get_by_role("button", name="Put aside").click()
    shows(page.get_by_text("Line 4 is put aside."))
    page.locator("#line-5").get_by_role("link", name="Link to a payment…").click()
    assert fits(page)
    shows(page.get_by_text(missing.transaction_code))
    page.get_by_role("button", name="It is this one").click()
    shows(page.get_by_text("and is now: matched"))
    shows(page.get_by_text("Nothing waits for you here."))
    page.get_by_role("link", name="Mark all matched as reconciled…").click()
    shows(page.get_by_text("3 lines agree with their payments."))
    page.get_by_role("button", name="Yes, do it").click()
    shows(page.get_by_text("3 payments are marked as reconciled."))
    page.get_by_role("link", name="Totals").click()
    shows(page.get_by_text("88.20 PEN").first)
    assert fits(page)
    for payment in (first, second, missing):
        payment.refresh_from_db()
        assert payment.reconciled_by is not None
    assert Payment.objects.get(pk=second.pk).attention == "duplicate_payment"
    states = Statement.objects.get().lines.values_list("state", flat=True)
    assert sorted(states) == sorted([*[LineState.MATCHED] * 3, LineState.PAID_TWICE])


@pytest.mark.parametrize("width", WIDTHS)
def test_a_large_statement_is_imported_by_a_job(
    visit: Any, settings: Any, monkeypatch: Any, tmp_path: Path, width: int
) -> None:
    settings.PAGOEFECTIVO = settings.PAGOEFECTIVO | {"BACKGROUND": "command"}
    monkeypatch.setattr(statement_forms, "LARGEST", 1000)
    paid(1)
    file = tmp_path / "liquidación-de-noviembre-de-todas-las-tiendas.csv"
    file.write_bytes(csv(*map(line, range(40))))
    page: Page = visit("reconciler", f"{STATEMENTS}import/", width)
    page.get_by_label("Report").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    shows(page.get_by_text("it is imported in the background"))
    shows(page.get_by_text("1001").first)
    assert fits(page)
    page.get_by_role("button", name="Import").click()
    shows(page.get_by_text("All of the file is imported at once, or nothing."))
    assert fits(page)
    found = violations(page, axe(), "#content-main")
    assert [each for each in found if each.startswith(GRAVE)] == []
    # The page sees by itself that it is over.
    jobs.run(BulkJob.objects.get().pk)
    shows(page.get_by_text("40 lines were imported."))
    assert fits(page)
    page.get_by_role("link", name="Open its statement").click()
    shows(page.get_by_text("39").first)
    assert page.url.endswith(f"/statement/{Statement.objects.get().pk}/change/")


@pytest.mark.parametrize("width", WIDTHS)
def test_read_the_dashboard(visit: Any, width: int) -> None:
    for number in range(3):
        paid(number)
    pending(7)
    page: Page = visit("reconciler", f"{STATEMENTS}dashboard/", width)
    assert fits(page)
    shows(page.get_by_text("Money in", exact=True))
    shows(page.get_by_text("66.15 PEN").first)
    # Behind each chart stands its table, also for the keyboard.
    table = page.get_by_text("Payments by the day they were created: the table")
    table.focus()
    page.keyboard.press("Enter")
    shows(page.get_by_role("table").first)
    page.get_by_label("Period").select_option("7")
    page.get_by_role("button", name="Show").click()
    assert "period=7" in page.url
    assert fits(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(visit: Any, scheme: str) -> None:
    paid(1), pending(3)
    statement = load(line(1), line(2), line(3))
    found_line = statement.lines.get(number=3)
    source = axe()
    for path in (
        f"{STATEMENTS}dashboard/",
        f"{STATEMENTS}{statement.pk}/change/",
        f"{STATEMENTS}{statement.pk}/totals/",
        f"{STATEMENTS}{statement.pk}/export/",
        f"{STATEMENTS}import/",
        f"/admin/pagoefectivo/statementline/{found_line.pk}/act/link/",
    ):
        page: Page = visit("reconciler", path, scheme=scheme)
        found = violations(page, source, "#content-main")
        assert [each for each in found if each.startswith(GRAVE)] == [], path

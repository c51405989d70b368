"""A person is forgotten; the money is not."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_pagoefectivo.models import Payment
from django_pagoefectivo.services import privacy
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import CUSTOMER, DOCUMENT, EMAIL, PHONE, stored_payments

pytestmark = pytest.mark.django_db
SETTLED = ["paid", "refunded", "expired", "cancelled", "failed"]


def a_payment(**fields: Any) -> Payment:
    values = {
        "customer_email": EMAIL,
        "customer_first_name": CUSTOMER.first_name,
        "customer_last_name": CUSTOMER.last_name,
        "customer_document_type": "DNI",
        "customer_document_number": DOCUMENT,
        "customer_phone": PHONE,
        "status": "paid",
        **fields,
    }
    return make_payment(**values)


def test_the_list_of_fields_is_whole() -> None:
    """A field that is added for the customer is forgotten with the others."""
    own = {field.name for field in Payment._meta.fields if field.name.startswith("customer_")}
    assert set(privacy.PERSONAL_FIELDS) == own


@pytest.mark.parametrize("status", SETTLED)
def test_what_is_over_is_emptied_and_stays_a_record(status: str) -> None:
    payment = a_payment(status=status, amount=Decimal("22.05"))
    assert privacy.forget_customers(Payment.objects.all()) == privacy.ForgetReport(1, 0)
    kept = Payment.objects.get()
    [row] = map(str, stored_payments())
    assert not [known for known in (EMAIL, "Rosa", "Quispe", DOCUMENT, PHONE) if known in row]
    assert (kept.status, kept.amount, kept.cip) == (status, payment.amount, payment.cip)
    assert kept.order_reference == payment.order_reference
    assert [entry.note for entry in kept.timeline.all()] == [privacy.NOTE]


@pytest.mark.parametrize(
    "fields",
    [{"status": "pending"}, {"status": "created"}, {"attention": "late_payment"}],
    ids=["pending", "created", "attention"],
)
def test_what_somebody_may_still_have_to_ask_is_left(fields: dict[str, str]) -> None:
    a_payment(**fields)
    assert privacy.forget_customers(Payment.objects.all()) == privacy.ForgetReport(0, 1)
    assert Payment.objects.get().customer_email == EMAIL


def test_twice_is_once() -> None:
    a_payment()
    privacy.forget_customers(Payment.objects.all())
    assert privacy.forget_customers(Payment.objects.all()) == privacy.ForgetReport(0, 0)
    assert Payment.objects.get().timeline.count() == 1


def test_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "_BATCH", 2)
    for number in range(5):
        a_payment(order_reference=f"N-{number}")
    assert privacy.forget_customers(Payment.objects.all()).forgotten == 5
    assert not Payment.objects.exclude(customer_email="").exists()


def command(*args: str) -> str:
    out = io.StringIO()
    call_command("pagoefectivo_forget", *args, stdout=out)
    return out.getvalue()


def test_one_person_in_whatever_case_they_wrote_themselves() -> None:
    a_payment(customer_email="Rosa.Quispe@Correo.example")
    a_payment(customer_email="luis@correo.example", order_reference="B-1")
    a_payment(order_reference="B-2", status="pending")
    said = command("--email", EMAIL, "--no-input")
    assert "1 payments emptied" in said
    assert "1 left" in said
    assert set(Payment.objects.values_list("customer_email", flat=True)) == {
        "",
        "luis@correo.example",
        EMAIL,
    }


def test_the_pages_own_lines() -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto" / "privacy.rst").read_text("utf-8")
    lines: list[str] = re.findall(r"\$ python manage\.py (.+)", page)
    assert len(lines) == 3
    a_payment(customer_email="ana@shop.example", updated_at=timezone.now())
    for line in lines:
        unasked = [] if "--no-input" in line else ["--no-input"]
        name, *args = [*line.split(), *unasked]
        call_command(name, *(args if "forget" in name else []), stdout=io.StringIO())
    assert Payment.objects.get().customer_email == ""


def test_what_has_not_changed_for_long() -> None:
    a_payment(updated_at=timezone.now() - timedelta(days=800))
    a_payment(updated_at=timezone.now() - timedelta(days=700), order_reference="B-1")
    assert "1 payments emptied" in command("--older-than", "730", "--no-input")


def test_it_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    a_payment()
    monkeypatch.setattr("builtins.input", lambda _question: "no")
    with pytest.raises(CommandError, match="Nothing was dropped"):
        command("--email", EMAIL)
    assert Payment.objects.get().customer_email == EMAIL
    monkeypatch.setattr("builtins.input", lambda _question: "yes")
    assert "1 payments emptied" in command("--email", EMAIL)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--email", " ", "--no-input"], "every nameless payment"),
        (["--older-than", "-1", "--no-input"], "not below zero"),
        ([], "required"),
    ],
)
def test_a_wrong_call_is_a_sentence(args: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        command(*args)

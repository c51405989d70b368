from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_pagoefectivo.models import Attention, Status
from django_pagoefectivo.pages.state import PageState, next_poll, page_state, state_label

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
LATER, BEFORE = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("status", "attention", "expires_at", "state"),
    [
        ("created", "", LATER, "preparing"),
        ("created", "outcome_unknown", LATER, "preparing"),
        ("created", "", BEFORE, "preparing"),
        ("pending", "", LATER, "waiting"),
        ("pending", "", NOW, "overdue"),
        ("pending", "", BEFORE, "overdue"),
        ("pending", "amount_mismatch", LATER, "checking"),
        ("pending", "currency_mismatch", BEFORE, "checking"),
        ("pending", "status_conflict", LATER, "checking"),
        ("expired", "amount_mismatch", BEFORE, "checking"),
        ("cancelled", "status_conflict", LATER, "checking"),
        ("paid", "amount_mismatch", LATER, "paid"),
        ("paid", "late_payment", BEFORE, "paid"),
        ("paid", "duplicate_payment", LATER, "paid"),
        ("refunded", "status_conflict", LATER, "refunded"),
        ("expired", "", BEFORE, "expired"),
        ("cancelled", "", LATER, "cancelled"),
        ("failed", "", LATER, "failed"),
    ],
)
def test_state(status: str, attention: str, expires_at: datetime, state: str) -> None:
    assert page_state(status, attention, expires_at, NOW) == state


@pytest.mark.parametrize(
    ("status", "attention", "expires_at", "state"),
    [
        ("pending", "", LATER, "confirming"),
        ("pending", "", BEFORE, "confirming"),
        ("expired", "", BEFORE, "confirming"),
        ("cancelled", "", BEFORE, "confirming"),
        ("pending", "status_conflict", LATER, "checking"),
        ("paid", "", LATER, "paid"),
        ("refunded", "", LATER, "refunded"),
    ],
)
def test_state_while_pagoefectivo_is_asked_to_confirm(
    status: str, attention: str, expires_at: datetime, state: str
) -> None:
    assert page_state(status, attention, expires_at, NOW, being_checked=True) == state
    assert next_poll("expired", 0, being_checked=True) == next_poll("pending", 0)


def test_every_status_and_reason_has_a_state_and_words() -> None:
    for status in Status:
        for attention in ("", *Attention):
            for expires_at in (LATER, BEFORE):
                state = page_state(status, attention, expires_at, NOW)
                assert state_label(status, state)


def test_words_are_the_status_s_own_unless_the_page_knows_better() -> None:
    assert state_label("pending", PageState.WAITING) == str(Status.PENDING.label)
    assert state_label("pending", PageState.OVERDUE) != str(Status.PENDING.label)
    assert state_label("pending", PageState.CHECKING) != str(Status.PENDING.label)


@pytest.mark.parametrize(
    ("status", "watched", "seconds"),
    [
        ("created", 0, 3),
        ("created", 59, 3),
        ("created", 60, 10),
        ("created", 600, 60),
        ("pending", 0, 5),
        ("pending", 119.9, 5),
        ("pending", 120, 10),
        ("pending", 600, 20),
        ("pending", 1800, 40),
        ("pending", 7200, 60),
        ("pending", 10**9, 60),
        ("paid", 0, None),
        ("expired", 0, None),
        ("cancelled", 0, None),
        ("refunded", 0, None),
        ("failed", 0, None),
    ],
)
def test_polling_slows_down_and_ends(status: str, watched: float, seconds: int | None) -> None:
    assert next_poll(status, watched) == seconds

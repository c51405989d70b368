"""When a payment is asked about: seldom, then often, once after the end, then less, then never."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import time_machine
from django.utils import timezone

from django_pagoefectivo.models import Payment, TimelineEntry
from django_pagoefectivo.services import poll
from django_pagoefectivo.services.polling_schedule import (
    AFTER_DEADLINE,
    GIVE_UP,
    next_doubt,
    next_poll,
)
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import Probe, refresh
from tests.servers import PagoEfectivo

from .kit import known

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
MADE = datetime(2026, 11, 23, 15, tzinfo=UTC)
ENDS = MADE + 24 * HOUR


def asked_at(term: timedelta) -> list[timedelta]:
    """All moments, from its making, at which a code with this term is asked about."""
    moments: list[timedelta] = []
    now = MADE
    while (moment := next_poll(MADE, MADE + term, now)) is not None:
        assert moment > now
        moments.append(moment - MADE)
        now = moment
    return moments


def test_young_codes_are_asked_about_seldom() -> None:
    young = [moment for moment in asked_at(24 * HOUR) if moment < 23 * HOUR]
    assert young[0] == 4 * HOUR
    assert len(young) == 12
    assert all(later - sooner >= HOUR for sooner, later in pairwise(young))
    assert [later - sooner for sooner, later in pairwise(young)] == sorted(
        (later - sooner for sooner, later in pairwise(young)), reverse=True
    ), "the nearer the end, the more often"


def test_the_last_hour_is_asked_about_every_ten_minutes() -> None:
    last = [moment for moment in asked_at(24 * HOUR) if 23 * HOUR <= moment < 24 * HOUR]
    assert last == [23 * HOUR + number * 10 * MINUTE for number in range(6)]


@pytest.mark.parametrize("term", [24 * HOUR, HOUR, 10 * MINUTE, 3 * MINUTE, 25 * MINUTE])
def test_once_right_after_the_deadline(term: timedelta) -> None:
    after = [moment for moment in asked_at(term) if moment > term]
    assert after[0] == term + AFTER_DEADLINE
    assert after[1] >= after[0] + 10 * MINUTE


def test_whoever_comes_between_the_end_and_that_waits_for_it() -> None:
    assert next_poll(MADE, ENDS, ENDS + MINUTE) == ENDS + AFTER_DEADLINE


def test_then_ever_less_often_to_once_a_day() -> None:
    after = [moment for moment in asked_at(24 * HOUR) if moment > 24 * HOUR]
    gaps = [later - sooner for sooner, later in pairwise(after)]
    assert gaps == sorted(gaps)
    assert gaps[0] == 10 * MINUTE
    assert gaps[-1] == 24 * HOUR


def test_and_no_more_after_thirty_days() -> None:
    assert timedelta(days=30) == GIVE_UP
    last = asked_at(24 * HOUR)[-1]
    assert 24 * HOUR + GIVE_UP <= last < 24 * HOUR + GIVE_UP + timedelta(days=1)
    assert next_poll(MADE, ENDS, ENDS + GIVE_UP) is None


def test_a_doubt_is_asked_about_often_until_its_end() -> None:
    assert next_doubt(MADE, ENDS, MADE + HOUR) == MADE + HOUR + 10 * MINUTE
    assert next_doubt(MADE, ENDS, ENDS + 5 * HOUR) == ENDS + 10 * HOUR
    assert next_doubt(MADE, ENDS, ENDS + GIVE_UP) is None


@pytest.mark.django_db(transaction=True)
class TestGivingUp:
    def test_a_person_is_told_and_nobody_is_asked_again(
        self, pe: PagoEfectivo, probe: Probe
    ) -> None:
        payment = make_payment(expires_at=-GIVE_UP - HOUR)
        # It cannot expire, because nobody knows what this status means.
        known(pe, payment, 99)
        assert poll().sync.asked == 1
        row = refresh(payment)
        assert (row.status, row.next_poll_at) == ("pending", None)
        assert row.attention == "status_conflict"
        assert "30 days after its deadline" in row.attention_note
        assert [heard.reason for heard in probe.of("payment_flagged")] == ["status_conflict"]
        assert poll().sync.asked == 0
        with time_machine.travel(time.time() + 90 * 86400):
            assert poll().sync.asked == 0

    def test_everything_is_everything(self, pe: PagoEfectivo) -> None:
        payment = known(pe, make_payment(expires_at=-GIVE_UP - HOUR), 99)
        poll()
        assert poll(everything=True).sync.asked == 1
        assert refresh(payment).next_poll_at is None
        assert TimelineEntry.objects.filter(payment=payment, kind="flag").count() == 1

    def test_a_code_that_can_be_asked_about_expires_instead(self, pe: PagoEfectivo) -> None:
        payment = known(pe, make_payment(expires_at=-GIVE_UP - HOUR))
        poll()
        assert (refresh(payment).status, refresh(payment).attention) == ("expired", "")

    def test_doubts_that_are_long_over_are_left_alone(self, pe: PagoEfectivo) -> None:
        old, young = (
            make_payment("created", attention="outcome_unknown", expires_at=term)
            for term in (-GIVE_UP - HOUR, HOUR)
        )
        poll()
        assert refresh(old).next_poll_at is None
        assert refresh(old).attention == "outcome_unknown"
        again = refresh(young).next_poll_at
        assert again is not None
        assert 9 * MINUTE < again - timezone.now() <= 10 * MINUTE
        assert Payment.objects.filter(status="created").count() == 2

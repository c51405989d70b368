"""What is begun again, and what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import OperationalError, transaction

from django_pagoefectivo.services import transactions
from django_pagoefectivo.services.transactions import ATTEMPTS, repeated_alone


class _Refused(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("could not serialize access")
        self.sqlstate = sqlstate


class Statement:
    """Refused ``times`` times with a ``state`` of the database's, then taken."""

    def __init__(self, times: int, state: str = "40001") -> None:
        self.refusals = times
        self.state = state
        self.runs = 0

    def __call__(self) -> str:
        self.runs += 1
        if self.runs <= self.refusals:
            raise OperationalError("could not serialize access") from _Refused(self.state)
        return "taken"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_LONGEST_PAUSE", 0.0)


@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.django_db(transaction=True)
def test_a_statement_alone_that_lost_is_run_again(state: str) -> None:
    statement = Statement(ATTEMPTS - 1, state)
    assert repeated_alone(statement) == "taken"
    assert statement.runs == ATTEMPTS


@pytest.mark.django_db(transaction=True)
def test_the_last_refusal_is_passed_on() -> None:
    statement = Statement(ATTEMPTS)
    with pytest.raises(OperationalError):
        repeated_alone(statement)
    assert statement.runs == ATTEMPTS


def _inside_a_transaction(statement: Statement) -> None:
    with transaction.atomic():
        repeated_alone(statement)


@pytest.mark.parametrize(
    ("statement", "run"),
    [(Statement(1), _inside_a_transaction), (Statement(1, "57014"), repeated_alone)],
    ids=["in a transaction, which is lost", "cancelled, not lost"],
)
@pytest.mark.django_db(transaction=True)
def test_what_would_not_help_is_not_done(
    statement: Statement, run: Callable[[Statement], object]
) -> None:
    with pytest.raises(OperationalError):
        run(statement)
    assert statement.runs == 1

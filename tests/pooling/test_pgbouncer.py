"""That the PgBouncer of these tests is one before which the wrong thing would go wrong."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from django_pagoefectivo.models import Payment
from django_pagoefectivo.testing import make_payment

from .pgbouncer import SESSIONS
from .ways import connected

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _behind_it(request: pytest.FixtureRequest) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("PgBouncer is PostgreSQL's")
    request.getfixturevalue("through_pgbouncer")


def ask(sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def test_each_transaction_meets_another_session() -> None:
    assert len({ask("SELECT pg_backend_pid()") for _ in range(SESSIONS)}) > 1
    with transaction.atomic():
        assert len({ask("SELECT pg_backend_pid()") for _ in range(SESSIONS)}) == 1


def test_what_a_session_was_told_is_not_known_to_the_next() -> None:
    ask("SELECT set_config('statement_timeout', '1234567', false)")
    assert {ask("SHOW statement_timeout") for _ in range(SESSIONS - 1)} == {"0"}


def test_a_cursor_of_the_server_is_lost_between_two_fetches() -> None:
    """What ``QuerySet.iterator()`` needs, and the package therefore does without."""
    for _ in range(5):
        make_payment()
    with pytest.raises(DatabaseError, match="does not exist"):
        list(Payment.objects.iterator(chunk_size=1))


def test_prepared_statements_are_lost() -> None:
    """What two options turn on together; by default Django has both off."""
    options = {"server_side_binding": True, "prepare_threshold": 0}

    def ask_often() -> None:
        for _ in range(2 * SESSIONS):
            Payment.objects.filter(cip="1").exists()

    with connected(options=options), pytest.raises(DatabaseError, match="prepared statement"):
        ask_often()

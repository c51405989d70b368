"""Short transactions that are begun again when another one was faster."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import IntegrityError, OperationalError, connection, transaction

from ..exceptions import InsideTransaction

T = TypeVar("T")

#: Above READ COMMITTED all but one of those that change a row at the same instant begin again.
ATTEMPTS = 10
_LONGEST_PAUSE = 0.2
#: PostgreSQL: serialization failure, deadlock. MariaDB: lock wait timeout, deadlock, record
#: changed since last read.
_TRANSIENT_STATES = frozenset({"40001", "40P01"})
_TRANSIENT_NUMBERS = frozenset({1205, 1213, 1020})


class StateChanged(OperationalError):
    """What was read is no longer so; begin again.

    A database error, so that whoever runs out of attempts does not acknowledge anything.
    """


def is_transient(error: OperationalError) -> bool:
    """Whether the same transaction may well succeed when begun again."""
    state = getattr(error.__cause__, "sqlstate", None)
    number = error.args[0] if error.args else None
    return (
        state in _TRANSIENT_STATES
        or number in _TRANSIENT_NUMBERS
        or "database is locked" in str(error)
    )


@contextmanager
def outermost_transaction(*, durable: bool) -> Iterator[None]:
    """A transaction; with ``durable`` its end is the commit.

    Raises ``InsideTransaction`` where ``durable`` cannot hold because one is open already.
    """
    block = transaction.atomic(durable=durable)
    try:
        block.__enter__()
    except RuntimeError:
        raise InsideTransaction(
            "create_payment was called inside a transaction. The payment must be on disk "
            "before PagoEfectivo is called, or a rollback would lose a code that a shopper can "
            "pay. Mark the view with @transaction.non_atomic_requests, call create_payment "
            "from transaction.on_commit, or, if you can live with that, pass durable=False."
        ) from None
    try:
        yield
    except BaseException as error:
        block.__exit__(type(error), error, error.__traceback__)
        raise
    else:
        block.__exit__(None, None, None)


def repeated_on_conflict(work: Callable[[], T], *, durable: bool = False) -> T:
    """Run ``work`` in a transaction, again from its start while others get in its way.

    Begun again after ``StateChanged``, a violated unique constraint (another process made
    the row first) and what databases answer to a deadlock or a lost race. The last
    attempt's error is passed on. Inside an outer transaction only ``work`` is rolled back,
    and a deadlock, which ends the outer one too, is passed on at once.
    """
    nested = connection.in_atomic_block
    for pause in _pauses():
        try:
            with outermost_transaction(durable=durable):
                return work()
        except (StateChanged, IntegrityError):
            pass
        except OperationalError as error:
            if nested or not is_transient(error):
                raise
        time.sleep(pause)
    with outermost_transaction(durable=durable):
        return work()


def repeated_alone(statement: Callable[[], T]) -> T:
    """Run one ``statement`` outside transactions, again where it lost to another.

    A statement alone waits for its turn, unless the database's own default is a stricter
    isolation level than READ COMMITTED. Inside a transaction it is run once.
    """
    for pause in _pauses():
        try:
            return statement()
        except OperationalError as error:
            lost = getattr(error.__cause__, "sqlstate", None) in _TRANSIENT_STATES
            if connection.in_atomic_block or not lost:
                raise
        time.sleep(pause)
    return statement()


def _pauses() -> Iterator[float]:
    """Seconds between one attempt and the next, ever longer, and never the same for two."""
    for attempt in range(1, ATTEMPTS):
        yield random.uniform(0.5, 1.5) * min(0.01 * 2**attempt, _LONGEST_PAUSE)

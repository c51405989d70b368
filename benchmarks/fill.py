"""Fill a PostgreSQL database with payments and what belongs to them.

    DATABASE_URL=postgres://… python -m benchmarks.fill --payments 1000000 --events 1500000

makes the tables in an empty database, then a shop's payments in the database itself: a
million of them, made within two years; fewer in proportion, but at least within a month, and
at least sixty wait for a person. ``python -m benchmarks.screens`` makes and drops its
databases by itself; this command is for looking around by hand.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PAYMENTS, EVENTS = 1_000_000, 1_500_000
#: A day of a shop that makes a million in two years.
A_DAY = 1370

#: One payment in twenty is a second attempt for the order of the one before it, which
#: expired. Older payments are settled, the last day's are mostly open.
_PAYMENTS = """
INSERT INTO pagoefectivo_payment (
    id, token, merchant, order_reference, transaction_code, order_object_id, amount, currency,
    description, metadata, customer_email, customer_first_name, customer_last_name,
    customer_document_type, customer_document_number, customer_phone,
    customer_phone_country_code, customer_country, customer_ubigeo, customer_id_in_shop, status,
    cip, cip_url, remote_id, operation_number, paid_amount, expires_at, paid_at, cancelled_at,
    refunded_at, failure_code, failure_message, attention, attention_note, reconciled_at,
    created_at, updated_at, order_key, open_key, confirmed_key, next_poll_at)
SELECT i, gen_random_uuid(), merchant, reference, 'T-' || i, '', amount, currency,
    'Order ' || reference,
    '{}'::jsonb, email, 'Rosa', 'Quispe', 'DNI', (40000000 + customer)::text,
    (900000000 + customer)::text, '+51', 'PERU', '', 'C' || customer, status,
    CASE WHEN has_cip THEN (10000000 + i)::text END,
    CASE WHEN has_cip THEN 'https://cip.example/' || i ELSE '' END, '',
    CASE WHEN was_paid THEN (5000000 + i)::text ELSE '' END,
    CASE WHEN was_paid THEN amount END, made + interval '24 hours',
    CASE WHEN was_paid THEN made + took END,
    CASE WHEN status = 'cancelled' THEN made + interval '3 hours' END,
    CASE WHEN status = 'refunded' THEN made + interval '5 days' END,
    CASE WHEN status <> 'failed' THEN '' WHEN r3 < 0.3 THEN '111' WHEN r3 < 0.6 THEN '114'
         ELSE 'GatewayUnavailable' END,
    '', attention, CASE WHEN attention = '' THEN '' ELSE 'Told by the bank.' END,
    CASE WHEN was_paid AND r2 < 0.97 AND made < now() - interval '7 days'
         THEN made + interval '6 days' END,
    made, CASE WHEN was_paid THEN made + took ELSE made END, key,
    CASE WHEN status IN ('created', 'pending') THEN key END,
    CASE WHEN status = 'paid' THEN key END,
    CASE WHEN status = 'pending' THEN now() + r2 * interval '3 hours' END
FROM (
    SELECT *, status IN ('paid', 'refunded') AS was_paid,
        status NOT IN ('created', 'failed') AS has_cip,
        encode(sha256(convert_to(merchant, 'UTF8') || '\\x00'::bytea
                      || convert_to(reference, 'UTF8')), 'hex') AS key,
        CASE WHEN customer %% 50 = 0 THEN 'Cliente' || customer || '@Correo.example'
             ELSE 'cliente' || customer || '@correo.example' END AS email,
        CASE WHEN status = 'created' THEN 'outcome_unknown'
             WHEN r4 > %(flagged)s THEN ''
             WHEN status = 'pending' THEN 'amount_mismatch'
             WHEN status = 'paid' AND r3 < 0.6 THEN 'late_payment'
             WHEN status = 'paid' THEN 'duplicate_payment'
             WHEN status = 'expired' THEN 'amount_mismatch'
             ELSE 'status_conflict' END AS attention
    FROM (
        SELECT i, r2, r3, r4, made, took, 1 + (r5 * (%(payments)s / 5 + 1))::int AS customer,
            CASE WHEN m < 0.8 THEN 'default' WHEN m < 0.95 THEN 'market' ELSE 'travel' END
                AS merchant,
            'O-' || order_number AS reference,
            round((10 + r3 * 490)::numeric, 2) AS amount,
            CASE WHEN r5 < 0.95 THEN 'PEN' ELSE 'USD' END AS currency,
            CASE WHEN followed THEN 'expired'
                 WHEN made > now() - interval '24 hours' AND r1 < 0.5 THEN 'pending'
                 WHEN r1 < 0.0002 THEN 'created' WHEN r1 < 0.62 THEN 'paid'
                 WHEN r1 < 0.64 THEN 'refunded' WHEN r1 < 0.94 THEN 'expired'
                 WHEN r1 < 0.98 THEN 'cancelled' ELSE 'failed' END AS status
        FROM (
            SELECT i, random() AS r1, random() AS r2, random() AS r3, random() AS r4,
                random() AS r5,
                CASE WHEN i %% 20 = 0 THEN i - 1 ELSE i END AS order_number,
                i %% 20 = 19 AS followed,
                -- Both attempts of an order are one merchant's.
                ((CASE WHEN i %% 20 = 0 THEN i - 1 ELSE i END)::bigint * 7919 %% 1000) / 1000.0
                    AS m,
                now() - (%(payments)s - i) * (interval '%(days)s days' / %(payments)s) AS made,
                -- Half within three hours, nine of ten within a day.
                random() ^ 3 * interval '24 hours' AS took
            FROM generate_series(1, %(payments)s) AS i
        ) AS dice
    ) AS chosen
) AS payment
"""

#: Each payment has one notification or two, the second another wording of the same news.
_EVENTS = """
INSERT INTO pagoefectivo_webhookevent (
    id, merchant, digest, body, signature, signed_with, address, times_received, received_at,
    last_received_at, event_type, cip, transaction_code, remote_id, operation_number, amount,
    currency, paid_at, payment_id, outcome, from_status, to_status, flag, error)
SELECT e, merchant,
    CASE WHEN outcome <> 'rejected' THEN encode(sha256(convert_to(e::text, 'UTF8')), 'hex') END,
    convert_to('{"eventType":"' || kind || '","operationNumber":"' || operation
        || '","data":{"cip":"' || cip || '","currency":"' || currency || '","amount":' || amount
        || ',"transactionCode":"' || code || '"}}', 'UTF8'),
    repeat('0123456789abcdef', 4), CASE WHEN outcome <> 'rejected' THEN '3f9a01c7' ELSE '' END,
    '200.48.225.130',
    CASE WHEN e %% 100 = 0 THEN 2 ELSE 1 END, received, received, kind, cip, code, '', operation,
    amount, currency, paid_at,
    CASE WHEN outcome NOT IN ('rejected', 'unmatched') THEN payment END, outcome,
    CASE WHEN outcome = 'applied' THEN 'pending' ELSE '' END,
    CASE WHEN outcome = 'applied' THEN status ELSE '' END, '', ''
FROM (
    SELECT e, p.id AS payment, p.merchant, p.status, p.amount, p.currency, p.paid_at,
        coalesce(p.cip, '') AS cip, p.transaction_code AS code, p.operation_number AS operation,
        CASE WHEN p.paid_at IS NULL THEN 'cip.expired' ELSE 'cip.paid' END AS kind,
        coalesce(p.paid_at, p.created_at + interval '24 hours') + random() * interval '90 seconds'
            AS received,
        CASE WHEN chance < 0.0005 THEN 'rejected' WHEN chance < %(unmatched)s THEN 'unmatched'
             WHEN chance > 0.999 THEN 'mismatch'
             WHEN lag(p.id) OVER (ORDER BY e) = p.id THEN 'duplicate'
             WHEN p.status IN ('paid', 'refunded', 'expired') THEN 'applied'
             ELSE 'ignored' END AS outcome
    FROM (
        SELECT e, ((e - 1) * %(payments)s::bigint / %(events)s) + 1 AS number, random() AS chance
        FROM generate_series(1, %(events)s) AS e
    ) AS dice
    JOIN pagoefectivo_payment AS p ON p.id = dice.number
) AS event
"""

#: A receiver was told of each payment that was paid; one in ten thousand still fails.
_DELIVERIES = """
INSERT INTO pagoefectivo_signaldelivery (
    payment_id, event_id, signal, receiver, source, extra, state, attempts, due_at, claimed_by,
    last_error, created_at, finished_at)
SELECT payment_id, id, 'payment_confirmed', 'shop.receivers.deliver_order', 'webhook',
    '{"late": false}'::jsonb, CASE WHEN fails THEN 'pending' ELSE 'done' END,
    CASE WHEN fails THEN 9 ELSE 1 END, received_at + interval '5 minutes', '',
    CASE WHEN fails THEN 'ValueError: no such order' ELSE '' END, received_at,
    CASE WHEN NOT fails THEN received_at END
FROM (SELECT *, random() < 0.0001 AS fails FROM pagoefectivo_webhookevent
      WHERE outcome = 'applied' AND event_type = 'cip.paid' ORDER BY id) AS event
"""

#: The last weeks' calls are kept, and a note of staff on what once needed attention.
_EXCHANGES = """
INSERT INTO pagoefectivo_apiexchange (
    merchant, payment_id, operation, method, url, request, response, http_status, api_code,
    milliseconds, error, failed, created_at)
SELECT merchant, id, 'create', 'POST', 'https://services.example/v1/cips', '{"currency": "PEN"}',
    '{"code": "100"}', CASE WHEN status = 'failed' THEN 400 ELSE 201 END, '100',
    (120 + 800 * random())::int, '', status = 'failed', created_at
FROM pagoefectivo_payment WHERE created_at > now() - interval '90 days' ORDER BY id
"""
_TIMELINE = """
INSERT INTO pagoefectivo_timelineentry (
    payment_id, kind, source, from_status, to_status, reason, note, actor_name, created_at)
SELECT id, CASE WHEN id %% 3 = 0 THEN 'note' ELSE 'transition' END, 'staff', 'pending', status, '',
    'Asked the bank.', 'ana', created_at + interval '1 day'
FROM pagoefectivo_payment WHERE id %% 10 = 0 ORDER BY id
"""

_TABLES = (
    "pagoefectivo_payment",
    "pagoefectivo_webhookevent",
    "pagoefectivo_signaldelivery",
    "pagoefectivo_apiexchange",
    "pagoefectivo_timelineentry",
)


def fill(
    connection: Any, payments: int = PAYMENTS, events: int = EVENTS, *, days: int | None = None
) -> None:
    """Put ``payments`` and ``events`` into the app's empty tables, with what belongs to them.

    ``connection`` is Django's, of a PostgreSQL database; ``days`` is the time the payments
    were made in, by default by how many they are. The same numbers make the same rows, but
    for the time.
    """
    sizes = {
        "payments": payments,
        "events": events,
        "days": days or max(30, payments // A_DAY),
        "flagged": max(0.001, min(0.5, 200 / payments)),
        "unmatched": 0.0005 + max(0.0002, min(0.1, 50 / events)),
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pagoefectivo_payment)")
        if cursor.fetchone()[0]:
            raise ValueError("There are payments already; fill an empty database.")
        # Losing what can be made again costs nothing, and waiting for the disk does.
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '256MB'")
        cursor.execute("SELECT setseed(0.20)")
        with _without_indexes(cursor):
            cursor.execute(_PAYMENTS % sizes)
            cursor.execute(_EVENTS % sizes)
            cursor.execute(_DELIVERIES)
            cursor.execute(_EXCHANGES)
            cursor.execute(_TIMELINE % ())
        for table in _TABLES:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, 'id'), "
                f"(SELECT coalesce(max(id), 0) + 1 FROM {table}), false)",
                [table],
            )
        cursor.execute("RESET synchronous_commit")
        cursor.execute("RESET maintenance_work_mem")
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"VACUUM ANALYZE {table}")


@contextmanager
def _without_indexes(cursor: Any) -> Iterator[None]:
    """Drop what must be kept up for each row, and make it anew behind them all."""
    cursor.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid::regclass::text = ANY(%s) AND contype IN ('f', 'u')",
        [list(_TABLES)],
    )
    constraints = cursor.fetchall()
    for table, name, _definition in constraints:
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) "
        "AND indexname NOT LIKE '%%_pkey'",
        [list(_TABLES)],
    )
    indexes = cursor.fetchall()
    for name, _definition in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    for _name, definition in indexes:
        cursor.execute(definition)
    for table, name, definition in constraints:
        cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')


def main() -> None:
    """Make the tables and fill them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--payments", type=int, default=PAYMENTS)
    parser.add_argument("--events", type=int, default=EVENTS)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    import django
    from django.core.management import call_command
    from django.db import connection

    django.setup()
    if connection.vendor != "postgresql":
        parser.error("DATABASE_URL must name a PostgreSQL database.")
    call_command("migrate", verbosity=0)
    began = time.monotonic()
    fill(connection, options.payments, options.events)
    print(
        f"{options.payments} payments and {options.events} notifications "
        f"in {time.monotonic() - began:.0f} s."
    )


if __name__ == "__main__":
    main()

"""Faults under load: ``python -m tests.chaos`` plays them, counts and judges.

Each scenario starts real processes (gunicorn, ``pagoefectivo_deliver``, Celery, a throw-away
PostgreSQL and Redis on this machine), sends notifications as PagoEfectivo would, breaks
something meanwhile, and then looks in the database and in what the receivers wrote down.
"""

#: The receivers of ``payment_confirmed`` in every process.
RECEIVERS = ("ship", "mail")

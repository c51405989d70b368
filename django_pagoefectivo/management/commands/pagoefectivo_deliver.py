"""``manage.py pagoefectivo_deliver``: tell the receivers that have not been told yet."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from ...services.delivery import deliver_due, waiting_deliveries


class Command(BaseCommand):
    """One pass over the signal queue, or one after the other with ``--loop``."""

    help = (
        "Call the receivers of payment signals that are due: those whose process died before "
        "they were called, those that raised and whose wait is over, and, with "
        'SIGNAL_DELIVERY = "worker", all of them. Run it every minute from cron, or once with '
        "--loop. Several at a time are safe."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--loop", action="store_true", help="Stay, and look again every --interval seconds."
        )
        parser.add_argument(
            "--interval",
            type=float,
            default=1.0,
            metavar="SECONDS",
            help="Pause between two passes of --loop (default: 1).",
        )
        parser.add_argument(
            "--now",
            action="store_true",
            help="Also call receivers that raised and still wait for their next try.",
        )
        parser.add_argument(
            "--limit", type=int, metavar="N", help="Make at most N calls in each pass."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        while True:
            try:
                report = deliver_due(
                    ignore_backoff=options["now"], limit=options["limit"], interrupt=True
                )
                if options["verbosity"] > 1 or (
                    options["verbosity"]
                    and (report.delivered or report.failed or not options["loop"])
                ):
                    self._say(report.delivered, report.failed)
            except DatabaseError as error:
                if not options["loop"]:
                    raise
                # It may be away for a while; the next pass goes on where this one stopped.
                connection.close()
                self.stderr.write(f"The database does not answer: {error}".strip())
            if not options["loop"]:
                return
            # A connection the server has dropped meanwhile is opened again for the next pass.
            connection.close_if_unusable_or_obsolete()
            time.sleep(options["interval"])

    def _say(self, delivered: int, failed: int) -> None:
        left = waiting_deliveries()
        text = f"{delivered} delivered, {failed} failed"
        self.stdout.write(text + (f"; {left} wait for a later try." if left else "."))

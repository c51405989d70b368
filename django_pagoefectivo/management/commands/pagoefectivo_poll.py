"""``manage.py pagoefectivo_poll``: ask PagoEfectivo about open payments."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...logs import one_line
from ...services.polling import poll


class Command(BaseCommand):
    """One pass of the poller."""

    help = (
        "Ask PagoEfectivo about the open payments that are due for it, in batches, and apply "
        "what it says: a payment whose notification was lost becomes paid, one whose term is "
        "over expires. Run it every five minutes from cron. Exits with 1 if PagoEfectivo did not "
        "answer about some; they stay due, and the next pass goes on with them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--all",
            action="store_true",
            help="Ask about every open payment, not just those that are due.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        report = poll(everything=options["all"])
        sync = report.sync
        if options["verbosity"]:
            parts = [
                f"{sync.asked} asked in {sync.calls} calls",
                f"{sync.changed} changed",
                f"{sync.missing} unknown to PagoEfectivo",
                f"{report.unknown} with an unknown outcome",
                f"{sync.failed} failed",
            ]
            if sync.left:
                parts.append(f"{sync.left} left for the next pass by POLL_RATE")
            self.stdout.write(", ".join(parts) + ".")
        if sync.errors:
            raise CommandError(
                f"{sync.failed} payments could not be asked about; the next pass tries again. "
                + " ".join(map(one_line, dict.fromkeys(sync.errors)))
            )

"""``manage.py pagoefectivo_prune``: drop old exchanges and refused notifications."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from ...services.pruning import prune


class Command(BaseCommand):
    """One pass over what RETENTION lets go."""

    help = (
        "Drop the API exchanges, refused notifications and idempotency keys that are older than "
        'PAGOEFECTIVO["RETENTION"] says, in small batches. Payments, genuine notifications and '
        "the timeline stay. Run it once a day from cron."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        report = prune(self._progress if self.stderr.isatty() else None)
        if options["verbosity"]:
            self.stdout.write(
                f"{report.exchanges} exchanges, {report.rejected_events} refused notifications and "
                f"{report.idempotency_keys} idempotency keys dropped."
            )

    def _progress(self, rows: int) -> None:
        self.stderr.write(f"\r{rows} rows dropped", ending="")

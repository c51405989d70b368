"""``manage.py pagoefectivo_import FILE``: import a settlement report."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from ...conf import get_config
from ...models import LineState
from ...services.statement_columns import FIELDS
from ...services.statement_figures import counts_of, paid_but_not_in
from ...services.statement_files import StatementError
from ...services.statements import import_statement, preview_statement


class Command(BaseCommand):
    """Import one report, or show with ``--preview`` what an import would find."""

    help = (
        "Import PagoEfectivo's settlement report (CSV or XLSX) and say which lines agree with "
        "the shop's payments. All of it or nothing; the same file twice changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path, metavar="FILE", help="The report.")
        parser.add_argument(
            "--merchant", default="default", help='Whose report it is (default: "default").'
        )
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="FIELD=HEADING",
            help="Say by hand which column is what; remembered for the merchant. Fields: "
            f"{', '.join(FIELDS)}.",
        )
        parser.add_argument("--preview", action="store_true", help="Write nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        path: Path = options["file"]
        merchant: str = options["merchant"]
        columns = self._columns(options["column"])
        try:
            get_config().merchant(merchant)
            with path.open("rb") as file:
                if options["preview"]:
                    preview = preview_statement(file, merchant=merchant, columns=columns)
                    self._say_counts(preview.counts)
                    return
                statement = import_statement(
                    file,
                    file_name=path.name,
                    merchant=merchant,
                    columns=columns,
                    progress=self._progress if self.stderr.isatty() else None,
                )
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
        except (StatementError, ImproperlyConfigured) as error:
            raise CommandError(f"{path.name}: {error}") from None
        if options["verbosity"]:
            self.stdout.write(f"{statement.line_count} lines in statement {statement.pk}:")
            self._say_counts(counts_of(statement))
            missing = paid_but_not_in(statement).count()
            self.stdout.write(f"{missing:8}  paid here but not in the file")

    def _columns(self, given: list[str]) -> dict[str, str] | None:
        columns = {}
        for item in given:
            name, equals, heading = item.partition("=")
            if not equals or name not in FIELDS:
                raise CommandError(
                    f"--column {item}: give FIELD=HEADING with one of {', '.join(FIELDS)}."
                )
            columns[name] = heading
        return columns or None

    def _say_counts(self, counts: dict[str, int]) -> None:
        for state in LineState:
            if counts.get(state):
                self.stdout.write(f"{counts[state]:8}  {state.label}")

    def _progress(self, lines: int) -> None:
        self.stderr.write(f"\r{lines} lines read", ending="")

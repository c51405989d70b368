"""``manage.py pagoefectivo_export FILE``: payments as a CSV or XLSX file."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfileobj
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...services.cells import Cell
from ...services.export_files import HAS_XLSX, csv_parts, xlsx_file
from ...services.exports import PAYMENTS
from ...services.selection import Selection
from ..selecting import add_selection, selection_from

_TOLD_EVERY = 1000


class Command(BaseCommand):
    """Write a file of payments."""

    help = (
        "Write payments to FILE, as XLSX if it is called so, else as CSV in UTF-8 that no "
        "spreadsheet takes formulas from. However many there are, memory stays flat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path, metavar="FILE", help="The file to write.")
        add_selection(parser)
        parser.add_argument(
            "--personal-data", action="store_true", help="Also the customers' personal data."
        )
        parser.add_argument(
            "--decimal-comma",
            action="store_true",
            help="CSV as spreadsheets with a decimal comma read it: semicolons between columns.",
        )
        parser.add_argument("--force", action="store_true", help="Write over a file that is there.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        path: Path = options["file"]
        as_xlsx = path.suffix.lower() == ".xlsx"
        if as_xlsx and not HAS_XLSX:
            raise CommandError('XLSX needs the extra: pip install "django-pagoefectivo[xlsx]".')
        self._showing = bool(options["verbosity"]) and self.stderr.isatty()
        self._count = 0
        personal: bool = options["personal_data"]
        headings = PAYMENTS.headings(personal=personal)
        rows = self._counted(selection_from(options), personal=personal)
        try:
            with path.open("wb" if options["force"] else "xb") as file:
                if as_xlsx:
                    with xlsx_file(PAYMENTS.name, headings, rows) as made:
                        copyfileobj(made, file)
                else:
                    comma = options["decimal_comma"]
                    file.writelines(csv_parts(headings, rows, decimal_comma=comma))
        except FileExistsError:
            raise CommandError(f"{path} is there already; --force writes over it.") from None
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
        if self._showing:
            self.stderr.write("")
        if options["verbosity"]:
            self.stdout.write(f"{self._count} payments in {path}.")

    def _counted(self, selection: Selection, *, personal: bool) -> Iterator[list[Cell]]:
        for row in PAYMENTS.rows(selection.payments(), personal=personal):
            self._count += 1
            if self._showing and self._count % _TOLD_EVERY == 0:
                self.stderr.write(f"\r{self._count} payments", ending="")
            yield row

"""``manage.py pagoefectivo_rehearse``: the launch checklist against this installation."""

from __future__ import annotations

import json
import sys
import textwrap
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from ...rehearsal import Line, Rehearsal, Unsafe, Verdict, rehearse
from ...rehearsal.program import SCENARIOS, remarks
from ...rehearsal.reports import as_data, as_junit

_WIDTH = 98
_NAME = "pagoefectivo_rehearse"


class Command(BaseCommand):
    """One rehearsal."""

    help = (
        "Play everything that happens to payments after launch against this installation as it "
        "is configured: its URLs and middleware, database, receivers, cache and delivery. "
        "PagoEfectivo is played by the built-in sandbox on a server of the rehearsal's own. "
        "Success, expiry, the same notification twice and at the same instant, a forged one, "
        "missing fields, a wrong amount, late money, notifications out of order and lost, cut "
        "lines, PagoEfectivo down, a receiver that raises, a browser that returns too early. "
        "Receivers run for real, so rehearse on staging or in CI; it refuses where a merchant is "
        "in production. Exits with 1 if a line failed, with 2 if it could not be played."
    )
    # What the system checks would stop the command for is what it is there to say.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--merchant", default="default", metavar="NAME", help="Whose (default: default)."
        )
        parser.add_argument(
            "--environment",
            choices=("built-in", "sandbox"),
            default="built-in",
            help="Who plays PagoEfectivo: the built-in sandbox, or PagoEfectivo's own "
            "integration environment as the merchant is configured, where a code is created, "
            "queried, extended and deleted.",
        )
        parser.add_argument(
            "--orders",
            metavar="DOTTED.PATH",
            help="A function of the shop's that makes an order and returns the keyword arguments "
            "of create_payment for it, or a context manager that does and clears up. Without "
            'it the orders are made up, with references that begin with "REHEARSAL-".',
        )
        parser.add_argument(
            "--only",
            action="append",
            choices=[name for name, _ in SCENARIOS],
            default=[],
            metavar="SCENARIO",
            help="Play this scenario only, named as its lines name it; may be given several times.",
        )
        parser.add_argument(
            "--email",
            default="rehearsal@example.com",
            help="The shopper's address: mails that receivers send go there.",
        )
        parser.add_argument(
            "--patience",
            type=float,
            default=15.0,
            metavar="SECONDS",
            help="How long to wait for the delivery worker where SIGNAL_DELIVERY needs one "
            "(default: 15).",
        )
        parser.add_argument(
            "--keep", action="store_true", help="Leave the rehearsal's payments, to look at."
        )
        parser.add_argument(
            "--format", choices=("text", "json"), default="text", help="How to write the lines."
        )
        parser.add_argument(
            "--junit", type=Path, metavar="FILE", help="Write a JUnit report there, too."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        wish = Rehearsal(
            merchant=options["merchant"],
            environment=options["environment"],
            email=options["email"],
            keep=options["keep"],
            patience=options["patience"],
            make_order=_imported(options["orders"]),
            only=tuple(options["only"]),
        )
        is_text = options["format"] == "text"
        lines: list[Line] = []
        try:
            for number, line in enumerate(rehearse(wish)):
                if is_text and not number and options["verbosity"]:
                    self._say_first(wish)
                lines.append(line)
                if is_text:
                    self._say(line, verbosity=options["verbosity"])
        except Unsafe as reason:
            raise CommandError(str(reason), returncode=2) from None
        failed = sum(line.verdict is Verdict.FAILED for line in lines)
        if is_text:
            passed = sum(line.verdict is Verdict.PASSED for line in lines)
            self.stdout.write(f"\n{passed} passed, {failed} failed.")
        else:
            self.stdout.write(json.dumps(as_data(lines), ensure_ascii=False, indent=2))
        if options["junit"] is not None:
            _write(options["junit"], as_junit(lines, _NAME))
        if failed:
            sys.exit(1)

    def _say_first(self, wish: Rehearsal) -> None:
        for remark in remarks(wish):
            self.stdout.write(_wrapped(remark, 0))
        self.stdout.write("")

    def _say(self, line: Line, *, verbosity: int) -> None:
        style = {
            Verdict.PASSED: self.style.SUCCESS,
            Verdict.FAILED: self.style.ERROR,
            Verdict.SKIPPED: self.style.WARNING,
        }[line.verdict]
        if line.verdict is Verdict.PASSED and not verbosity:
            return
        head = f"{line.scenario}: {line.did}"
        self.stdout.write(f"{style(f'{line.verdict.upper():8}')}{_wrapped(head)}")
        self.stdout.write(f"{'':8}{_wrapped('must: ' + line.must)}")
        self.stdout.write(f"{'':8}{_wrapped('seen: ' + line.saw)}")
        if line.verdict is Verdict.FAILED:
            self.stdout.write(f"{'':8}{_wrapped('To mend it: ' + line.mend)}")


def _imported(path: str | None) -> Any:
    if path is None:
        return None
    try:
        found = import_string(path)
    except ImportError as error:
        raise CommandError(f"--orders {path} cannot be imported: {error}", returncode=2) from None
    if not callable(found):
        raise CommandError(f"--orders {path} is not callable.", returncode=2)
    return found


def _write(path: Path, report: bytes) -> None:
    try:
        path.write_bytes(report)
    except OSError as error:
        raise CommandError(
            f"The report could not be written to {path}: {error.strerror}.", returncode=2
        ) from None


def _wrapped(text: str, indent: int = 8) -> str:
    lines = textwrap.wrap(text, _WIDTH - indent, break_long_words=False, break_on_hyphens=False)
    return f"\n{'':{indent}}".join(lines)

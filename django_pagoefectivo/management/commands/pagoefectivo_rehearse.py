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

from ...rehearsal import Line, NotPlayed, Rehearsal, Verdict, not_played, rehearse
from ...rehearsal.output import Output, kept_apart
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
        "in production, or may be. Exits with 1 if a line failed, with 2 if it could not be played."
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
        refusal = ""
        lines: list[Line] = []
        with kept_apart(options.get("stdout")) as output:
            try:
                self._play(options, lines, output)
            except NotPlayed as reason:
                refusal = str(reason)
                lines.append(not_played(refusal))
            if options["format"] == "json":
                data = as_data(lines)
                output.write(json.dumps(data, ensure_ascii=not output.is_unicode, indent=2))
            elif not refusal:
                counts = {one: sum(line.verdict is one for line in lines) for one in Verdict}
                output.write(f"\n{counts[Verdict.PASSED]} passed, {counts[Verdict.FAILED]} failed.")
        if options["junit"] is not None:
            _write(options["junit"], as_junit(lines, _NAME))
        if refusal:
            raise CommandError(refusal, returncode=2)
        verdicts = {line.verdict for line in lines}
        if Verdict.ERROR in verdicts:
            sys.exit(2)
        if Verdict.FAILED in verdicts:
            sys.exit(1)

    def _play(self, options: dict[str, Any], lines: list[Line], output: Output) -> None:
        """Play, and put each line into ``lines`` as it comes. Raises ``NotPlayed``."""
        wish = Rehearsal(
            merchant=options["merchant"],
            environment=options["environment"],
            email=options["email"],
            keep=options["keep"],
            patience=options["patience"],
            make_order=_imported(options["orders"]),
            only=tuple(options["only"]),
        )
        for line in rehearse(wish):
            if options["format"] == "text":
                if not lines and options["verbosity"]:
                    _say_first(wish, output)
                self._say(line, output, verbosity=options["verbosity"])
            lines.append(line)

    def _say(self, line: Line, output: Output, *, verbosity: int) -> None:
        style = {
            Verdict.PASSED: self.style.SUCCESS,
            Verdict.FAILED: self.style.ERROR,
            Verdict.SKIPPED: self.style.WARNING,
            Verdict.ERROR: self.style.ERROR,
        }[line.verdict]
        if line.verdict is Verdict.PASSED and not verbosity:
            return
        head = f"{line.scenario}: {line.did}"
        output.write(f"{style(f'{line.verdict.upper():8}')}{_wrapped(head)}")
        output.write(f"{'':8}{_wrapped('must: ' + line.must)}")
        output.write(f"{'':8}{_wrapped('seen: ' + line.saw)}")
        if line.mend and line.verdict is Verdict.FAILED:
            output.write(f"{'':8}{_wrapped('To mend it: ' + line.mend)}")


def _say_first(wish: Rehearsal, output: Output) -> None:
    for remark in remarks(wish):
        output.write(_wrapped(remark, 0))
    output.write("")


def _imported(path: str | None) -> Any:
    if path is None:
        return None
    try:
        found = import_string(path)
    except ImportError as error:
        raise NotPlayed(f"--orders {path} cannot be imported: {error}") from None
    if not callable(found):
        raise NotPlayed(f"--orders {path} is not callable.")
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

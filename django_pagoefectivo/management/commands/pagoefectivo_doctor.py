"""``manage.py pagoefectivo_doctor``: is this installation ready for production?"""

from __future__ import annotations

import json
import sys
import textwrap
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...conf import is_web_url
from ...doctor import Finding, Room, Severity, examine

_WIDTH = 98


class Command(BaseCommand):
    """One examination."""

    help = (
        "Look at everything that keeps payments from working in production, and say how to mend "
        "it: settings and keys, the callback URL (by a real, signed request that changes "
        "nothing), PagoEfectivo's answer to the keys, the clock, the cache, migrations, whether "
        "delivery and the poller run, retention. Exits with 1 if something must be mended, with "
        "0 otherwise. Reads only, apart from one key in the cache that it takes away again."
    )
    # What the system checks would stop the command for is what it is there to say.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--merchant",
            action="append",
            default=[],
            metavar="NAME",
            help="Look at this merchant only; may be given several times.",
        )
        parser.add_argument(
            "--url",
            metavar="URL",
            help="Where the shop is reached, like https://shop.example, instead of SITE_URL.",
        )
        parser.add_argument(
            "--offline",
            action="store_true",
            help="Ask nothing over the network: neither PagoEfectivo nor the callback URL.",
        )
        parser.add_argument(
            "--as-production",
            action="store_true",
            help="Judge as if a merchant were in production: for staging, and for CI.",
        )
        parser.add_argument(
            "--fail-on",
            choices=(Severity.ERROR, Severity.WARNING),
            default=Severity.ERROR,
            type=Severity,
            help="What makes the command exit with 1 (default: error).",
        )
        parser.add_argument(
            "--format", choices=("text", "json"), default="text", help="How to write the findings."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        room = Room(
            site_url=_checked_url(options["url"]),
            offline=options["offline"],
            as_production=options["as_production"],
            merchant_names=tuple(options["merchant"]),
        )
        if room.config is not None:
            for name in options["merchant"]:
                if name not in room.config.merchant_names:
                    raise CommandError(
                        f'There is no merchant "{name}"; known: '
                        f"{', '.join(room.config.merchant_names)}.",
                        returncode=2,
                    )
        findings = []
        for finding in examine(room):
            findings.append(finding)
            if options["format"] == "text":
                self._say(finding, verbosity=options["verbosity"])
        if options["format"] == "json":
            self.stdout.write(json.dumps(_as_data(findings), ensure_ascii=False, indent=2))
        else:
            self._sum_up(findings)
        if any(one.severity.rank >= options["fail_on"].rank for one in findings):
            sys.exit(1)

    def _say(self, finding: Finding, *, verbosity: int) -> None:
        if finding.severity is Severity.OK and not verbosity:
            return
        style = {
            Severity.OK: self.style.SUCCESS,
            Severity.ADVICE: self.style.NOTICE,
            Severity.WARNING: self.style.WARNING,
            Severity.ERROR: self.style.ERROR,
        }[finding.severity]
        self.stdout.write(f"{style(f'{finding.severity.upper():8}')}{_wrapped(finding.sentence)}")
        if finding.severity is not Severity.OK:
            if finding.mend:
                self.stdout.write(f"{'':8}{_wrapped('To mend it: ' + finding.mend)}")
            self.stdout.write(f"{'':8}{finding.link}  [{finding.id}]\n\n")

    def _sum_up(self, findings: list[Finding]) -> None:
        counts = {one: sum(f.severity is one for f in findings) for one in Severity}
        self.stdout.write(
            f"{counts[Severity.ERROR]} to be mended, {counts[Severity.WARNING]} that should be, "
            f"{counts[Severity.ADVICE]} to know, {counts[Severity.OK]} as it should be."
        )


def _checked_url(url: str | None) -> str | None:
    if url is None:
        return None
    if not is_web_url(url):
        raise CommandError(
            f"--url {url} is no address; give one like https://shop.example.", returncode=2
        )
    return url.rstrip("/")


def _wrapped(text: str) -> str:
    lines = textwrap.wrap(text, _WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    return f"\n{'':8}".join(lines)


def _as_data(findings: list[Finding]) -> dict[str, Any]:
    return {
        "ready": all(one.severity is not Severity.ERROR for one in findings),
        "findings": [asdict(one) | {"link": one.link} for one in findings],
    }

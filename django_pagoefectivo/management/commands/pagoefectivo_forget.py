"""``manage.py pagoefectivo_forget``: drop customers' personal data from settled payments."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ...models import Payment
from ...services.privacy import forget_customers


class Command(BaseCommand):
    """Forget a person, or everybody whose payments are old."""

    help = (
        "Drop the customer's e-mail, name, document, phone and address from payments that are "
        "over and need nobody's attention: those of one person who asks for it, or all that have "
        "not changed for some time. The record of the money stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--email", help="The payments of this e-mail address.")
        whose.add_argument(
            "--older-than", type=int, metavar="DAYS", help="The payments unchanged for so long."
        )
        parser.add_argument("--no-input", action="store_true", help="Do not ask; for cron.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        if options["email"] is not None:
            email = options["email"].strip()
            if not email:
                raise CommandError("--email is empty, which would fit every nameless payment.")
            payments = Payment.objects.filter(email_key=email.lower())
        else:
            if options["older_than"] < 0:
                raise CommandError("--older-than counts days, so it is not below zero.")
            since = timezone.now() - timedelta(days=options["older_than"])
            payments = Payment.objects.filter(updated_at__lt=since)
        if not options["no_input"]:
            question = f"Drop the customers' data of up to {payments.count()} payments? [yes/no] "
            if input(question) != "yes":
                raise CommandError("Nothing was dropped.")
        report = forget_customers(payments)
        if options["verbosity"]:
            self.stdout.write(f"{report.forgotten} payments emptied.")
            if report.left:
                self.stdout.write(
                    f"{report.left} left: they are open or need attention. Settle them, then "
                    "run this again."
                )

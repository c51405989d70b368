"""``manage.py pagoefectivo_staff_group``: a group for the staff who reconcile."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand
from django.db.models import Q

APP_LABEL = "pagoefectivo"


class Command(BaseCommand):
    """Make the group, or bring an existing one up to date."""

    help = (
        "Make a group whose members see the PagoEfectivo screens in the admin and reconcile. "
        "Confirming by hand, seeing and exporting personal data are given only if asked for. "
        "What the group could do before stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--name", default="PagoEfectivo staff", help='Its name (default: "PagoEfectivo staff").'
        )
        parser.add_argument(
            "--confirm",
            action="store_true",
            help="Members may also confirm payments by hand and accept other amounts.",
        )
        parser.add_argument(
            "--personal-data",
            action="store_true",
            help="Members also see e-mail addresses, phones and document numbers unmasked.",
        )

        parser.add_argument(
            "--export",
            action="store_true",
            help="Members' exports also have the customers' personal data.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        wanted = Q(codename__startswith="view_") & ~Q(codename="view_personal_data")
        wanted |= Q(codename="reconcile_payment")
        if options["confirm"]:
            wanted |= Q(codename="confirm_payment")
        if options["personal_data"]:
            wanted |= Q(codename="view_personal_data")
        if options["export"]:
            wanted |= Q(codename="export_personal_data")
        group, made = Group.objects.get_or_create(name=options["name"])
        permissions = Permission.objects.filter(wanted, content_type__app_label=APP_LABEL)
        group.permissions.add(*permissions)
        if options["verbosity"]:
            self.stdout.write(
                f'Group "{group.name}" {"made" if made else "updated"}: '
                f"{', '.join(sorted(p.codename for p in permissions))}."
            )

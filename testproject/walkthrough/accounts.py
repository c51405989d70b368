"""The staff account of a shop that nobody but its developer can reach."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import get_user_model

NAME = "admin"


def make_staff_account() -> bool:
    """Make the account ``admin`` with the same password; whether it was made.

    Everybody knows that password, so there is none without ``DEBUG``, nor beside an
    account that can do as much.
    """
    accounts = get_user_model().objects
    if not settings.DEBUG or accounts.filter(is_superuser=True).exists():
        return False
    accounts.create_superuser(NAME, f"{NAME}@example.com", NAME)
    return True

"""Members of staff for the admin's tests."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Permission, User
from django.test import Client


def member_of_staff(name: str, rights: Iterable[str]) -> User:
    """The member called ``name``, made with ``rights`` of this app when first asked for."""
    user, made = User.objects.get_or_create(username=name, defaults={"is_staff": True})
    if made:
        names = set(rights)
        wanted = Permission.objects.filter(
            codename__in=names, content_type__app_label="pagoefectivo"
        )
        assert wanted.count() == len(names)
        user.user_permissions.set(wanted)
    return user


def browser_of(user: User) -> Client:
    """A browser in which ``user`` is logged in."""
    client = Client()
    client.force_login(user)
    return client

"""The group that is offered to the shop's staff."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def granted(*options: str, name: str = "PagoEfectivo staff") -> set[str]:
    call_command("pagoefectivo_staff_group", *options, stdout=io.StringIO())
    permissions = Group.objects.get(name=name).permissions
    assert set(permissions.values_list("content_type__app_label", flat=True)) == {"pagoefectivo"}
    return set(permissions.values_list("codename", flat=True))


def test_members_look_and_reconcile_and_no_more() -> None:
    codes = granted()
    assert {"view_payment", "view_webhookevent", "reconcile_payment"} <= codes
    assert not codes & {"confirm_payment", "view_personal_data", "export_personal_data"}
    assert not [code for code in codes if code.startswith(("add_", "change_", "delete_"))]


def test_the_rest_is_given_when_asked_for_and_twice_is_once() -> None:
    granted("--name", "Cash", name="Cash")
    codes = granted("--name", "Cash", "--confirm", "--personal-data", "--export", name="Cash")
    assert {"confirm_payment", "view_personal_data", "export_personal_data"} <= codes
    assert Group.objects.count() == 1

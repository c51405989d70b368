"""Who may do what: the permissions that the admin and the REST API ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.http import HttpRequest

if TYPE_CHECKING:
    from django.contrib.auth.models import User

VIEW = "pagoefectivo.view_payment"
ADD = "pagoefectivo.add_payment"
RECONCILE = "pagoefectivo.reconcile_payment"
CONFIRM = "pagoefectivo.confirm_payment"
PERSONAL_DATA = "pagoefectivo.view_personal_data"
EXPORT = "pagoefectivo.export_personal_data"


def staff_of(request: HttpRequest) -> User:
    """The person at the screen; admin views let nobody anonymous in."""
    return cast("User", request.user)


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the person at the screen has ``permission``."""
    return staff_of(request).has_perm(permission)

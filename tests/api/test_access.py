"""Who may do what: each endpoint for each role, and what a stranger can learn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone
from rest_framework.authentication import BasicAuthentication
from rest_framework.request import Request
from rest_framework.test import APIClient

from django_pagoefectivo.api.base import PaymentsAPIView
from django_pagoefectivo.api.permissions import PaymentPermission
from django_pagoefectivo.models import Payment, TimelineEntry
from django_pagoefectivo.services import Customer, create_payment
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import DOCUMENT, EMAIL, PHONE, statements
from tests.servers import PagoEfectivo
from tests.shop.models import Order

from .conftest import CUSTOMER, PAYMENTS, ROLES, STATISTICS, body, path_of

pytestmark = pytest.mark.django_db(transaction=True)

UNKNOWN = "6f1c6f0e-6f0b-4e55-9d2b-0a2d1c7f9c11"
SEES_ALL = {"staff who view", "staff who reconcile", "superuser"}
#: Role → answers to: read, sync, extend, extend to a date, cancel, create, statistics.
TABLE: dict[str, tuple[int, int, int, int, int, int, int]] = {
    "anonymous": (403, 403, 403, 403, 403, 403, 403),
    "owner": (200, 200, 200, 403, 200, 403, 403),
    "other": (404, 404, 404, 404, 404, 403, 403),
    "entitled, but no staff": (404, 404, 404, 404, 404, 403, 403),
    "staff without permission": (404, 404, 404, 404, 404, 403, 403),
    "staff who view": (200, 403, 403, 403, 403, 403, 200),
    "staff who reconcile": (200, 200, 200, 200, 200, 403, 200),
    "staff who reconcile blindly": (404, 404, 404, 404, 404, 403, 403),
    "staff who add": (404, 404, 404, 404, 404, 201, 403),
    "superuser": (200, 200, 200, 200, 200, 201, 200),
}


@pytest.fixture
def issue(pe: PagoEfectivo, account: Callable[[str], User]) -> Callable[..., Payment]:
    """A payment of the owner that PagoEfectivo knows."""

    def make(role: str | None = "owner", **fields: Any) -> Payment:
        values: dict[str, Any] = {
            "order_reference": f"A-{Payment.objects.count()}",
            "amount": 22,
            "customer": Customer(**CUSTOMER),
            "user": account(role) if role else None,
            **fields,
        }
        return create_payment(**values)

    return make


@pytest.mark.parametrize("role", TABLE)
def test_each_role_at_each_endpoint(
    role: str, issue: Callable[..., Payment], client_of: Callable[[str], APIClient]
) -> None:
    client = client_of(role)
    payment = issue()
    in_a_week = timezone.now() + timedelta(days=7)
    answers = (
        client.get(path_of(payment)),
        client.post(path_of(payment, "sync")),
        client.post(path_of(payment, "extend")),
        client.post(path_of(payment, "extend"), {"expires_at": in_a_week.isoformat()}),
        client.post(path_of(payment, "cancel")),
        client.post(PAYMENTS, body("B-1")),
        client.get(STATISTICS),
    )
    assert tuple(answer.status_code for answer in answers) == TABLE[role]
    for answer in answers:
        assert answer.status_code < 400 or answer.json()["status"] == answer.status_code


@pytest.mark.parametrize("role", TABLE)
def test_each_role_in_the_list(
    role: str, client_of: Callable[[str], APIClient], account: Any
) -> None:
    make_payment(user=account("owner"), order_reference="owner's")
    make_payment(user=account("other"), order_reference="other's")
    make_payment(order_reference="nobody's")
    answer = client_of(role).get(PAYMENTS)
    if role == "anonymous":
        assert answer.status_code == 403
        return
    shown = {row["order_reference"] for row in answer.json()["results"]}
    everything = {"owner's", "other's", "nobody's"}
    expected = everything if role in SEES_ALL else {f"{role}'s"} & everything
    assert shown == expected
    mine = client_of(role).get(PAYMENTS, {"mine": "true"}).json()["results"]
    assert {row["order_reference"] for row in mine} == {f"{role}'s"} & everything


def test_every_role_is_in_the_table() -> None:
    assert set(TABLE) == {"anonymous", "superuser", *ROLES}


@pytest.mark.parametrize("act", ["", "sync", "extend", "cancel"])
def test_a_foreign_payment_is_like_none(
    act: str, client_of: Callable[[str], APIClient], account: Callable[[str], User]
) -> None:
    client = client_of("other")
    foreign = make_payment(user=account("owner"))
    seen = []
    # The session's and the user's statements are the same for both.
    for token in (foreign.token, UNKNOWN):
        with statements() as made:
            call = client.post if act else client.get
            answer = call(path_of(token, act))
        seen.append((answer.status_code, answer.content, len(made)))
    assert seen[0] == seen[1]
    assert seen[0][0] == 404


def test_what_is_no_token_is_not_found_alike(client_of: Callable[[str], APIClient]) -> None:
    client = client_of("other")
    one, two = (
        client.get(path_of(token)) for token in ("x", "6f1c6f0e-6f0b-4e55-9d2b-0a2d1c7f9c11")
    )
    assert (one.status_code, one.content) == (404, two.content)


def test_a_session_needs_its_csrf_token(account: Callable[[str], User]) -> None:
    payment = make_payment(user=account("owner"))
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(account("owner"))
    refused = browser.post(path_of(payment, "cancel"), content_type="application/json")
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]


def test_who_must_log_in_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PaymentsAPIView, "authentication_classes", [BasicAuthentication])
    answer = APIClient().get(PAYMENTS)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert (answer.json()["code"], answer.json()["status"]) == ("not_authenticated", 401)
    wrong = APIClient().get(PAYMENTS, headers={"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "not_authenticated")


def test_an_account_that_was_closed_is_out(
    client_of: Callable[[str], APIClient], account: Callable[[str], User]
) -> None:
    client = client_of("owner")
    User.objects.filter(pk=account("owner").pk).update(is_active=False)
    assert client.get(PAYMENTS).status_code == 403


# -- what is shown ----------------------------------------------------------------------------


def everything_about(answer: Any) -> str:
    text: str = answer.content.decode()
    return text


def personal(user: User | None = None, **fields: Any) -> Payment:
    return make_payment(
        user=user,
        customer_first_name="Rosa",
        customer_last_name="Quispe",
        description="For Rosa Quispe",
        metadata={"note": f"call {PHONE}"},
        attention="status_conflict",
        attention_note=f"Wrote from {EMAIL}",
        **fields,
    )


def test_the_owner_sees_their_own_data_and_nothing_for_staff(
    client_of: Callable[[str], APIClient], account: Callable[[str], User]
) -> None:
    seen = client_of("owner").get(path_of(personal(account("owner")))).json()
    assert seen["customer"]["email"] == EMAIL
    assert seen["customer"]["document_number"] == DOCUMENT
    assert seen["staff"] is None
    assert "metadata" not in seen


def test_staff_see_personal_data_with_the_permission_only(
    client_of: Callable[[str], APIClient], account: Callable[[str], User]
) -> None:
    payment = personal(account("owner"))
    client = client_of("staff who view")
    for answer in (client.get(path_of(payment)), client.get(PAYMENTS)):
        for secret in (EMAIL, PHONE, DOCUMENT, "Rosa", "Quispe"):
            assert secret not in everything_about(answer), secret
    masked = client.get(path_of(payment)).json()
    assert masked["customer"]["email"] == "r***@correo.example"
    assert masked["staff"]["attention"] == "status_conflict"
    assert masked["staff"]["metadata"] is None

    permission = Permission.objects.get(codename="view_personal_data")
    account("staff who view").user_permissions.add(permission)
    whole = client.get(path_of(payment)).json()
    assert whole["customer"]["email"] == EMAIL
    assert whole["staff"]["metadata"] == {"note": f"call {PHONE}"}
    assert whole["staff"]["attention_note"] == f"Wrote from {EMAIL}"


def test_the_order_is_shown_to_who_may_see_orders(
    client_of: Callable[[str], APIClient], account: Callable[[str], User]
) -> None:
    order = Order.objects.create(number="A-7")
    payment = make_payment(user=account("owner"), order=order)
    link = {"type": "test_shop.order", "id": str(order.pk)}
    assert client_of("owner").get(path_of(payment)).json()["order"] == link
    assert client_of("superuser").get(path_of(payment)).json()["order"] == link
    assert client_of("staff who view").get(path_of(payment)).json()["order"] is None
    permission = Permission.objects.get(codename="view_order")
    account("staff who view").user_permissions.add(permission)
    assert client_of("staff who view").get(path_of(payment)).json()["order"] == link


def test_what_staff_do_is_theirs_on_the_timeline(
    issue: Callable[..., Payment], client_of: Callable[[str], APIClient], account: Any
) -> None:
    own, foreign = issue(), issue()
    client_of("owner").post(path_of(own, "cancel"))
    client_of("staff who reconcile").post(path_of(foreign, "cancel"))
    entries = TimelineEntry.objects.filter(to_status="cancelled").order_by("pk")
    assert [(entry.payment_id, entry.source, entry.actor_name) for entry in entries] == [
        (own.pk, "api", ""),
        (foreign.pk, "staff", "staff-who-reconcile"),
    ]


# -- a permission of the shop's own ------------------------------------------------------------


class OfOneMerchant(PaymentPermission):
    """Staff see the payments of the one merchant that their name begins with."""

    def visible(self, request: Request, payments: QuerySet[Payment]) -> QuerySet[Payment]:
        return super().visible(request, payments).filter(merchant="usd")


def test_one_setting_replaces_the_permission(
    configure: Callable[..., None], client_of: Callable[[str], APIClient]
) -> None:
    configure(api={"PERMISSION": "tests.api.test_access.OfOneMerchant"})
    theirs, others = make_payment(merchant="usd"), make_payment(merchant="default")
    client = client_of("superuser")
    assert [row["token"] for row in client.get(PAYMENTS).json()["results"]] == [str(theirs.token)]
    assert client.get(path_of(theirs)).status_code == 200
    for act in ("sync", "extend", "cancel"):
        assert client.post(path_of(others, act)).status_code == 404
    assert client.get(path_of(others)).status_code == 404


class ForEverybody(PaymentPermission):
    """A shop without accounts: whoever has the token may see the payment."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return True

    def visible(self, request: Request, payments: QuerySet[Payment]) -> QuerySet[Payment]:
        return payments


def test_a_shop_can_open_it_to_everybody(configure: Callable[..., None]) -> None:
    configure(api={"PERMISSION": ForEverybody})
    payment = make_payment()
    seen = APIClient().get(path_of(payment)).json()
    assert seen["token"] == str(payment.token)
    assert seen["staff"] is None
    assert seen["customer"]["email"] == "r***@correo.example"
    key = {"Idempotency-Key": "k"}
    refused = APIClient().post(PAYMENTS, {"order_reference": "x"}, format="json", headers=key)
    assert refused.status_code == 400

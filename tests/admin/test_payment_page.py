"""The page of one payment: what it tells, to whom, and what it costs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pagoefectivo.admin import timeline
from django_pagoefectivo.discretion import Discretion
from django_pagoefectivo.models import ApiExchange, Outcome, Payment, TimelineEntry
from django_pagoefectivo.services import staff
from django_pagoefectivo.testing import make_payment
from tests.shop.models import Order

from .conftest import (
    DOCUMENT,
    EMAIL,
    PHONE,
    Pago,
    make_event,
    make_failing,
    make_flagged,
    make_mismatch,
    person,
)

URL = "/admin/pagoefectivo/payment/"
pytestmark = pytest.mark.django_db


def page(client: Any, payment: Payment) -> str:
    answer = client.get(f"{URL}{payment.pk}/change/")
    assert answer.status_code == 200
    return str(answer.content.decode())


def told(client: Any, payment: Payment) -> list[str]:
    """The titles of the timeline, the oldest first."""
    answer = client.get(f"{URL}{payment.pk}/change/")
    return [str(row.item.title) for row in answer.context["page"].timeline][::-1]


def buttons(client: Any, payment: Payment) -> set[str]:
    answer = client.get(f"{URL}{payment.pk}/change/")
    return {offered.act.name for offered in answer.context["page"].acts}


def test_one_timeline_of_everything_in_order(as_role: Any, monkeypatch: Any) -> None:
    start = datetime(2026, 11, 23, 15, tzinfo=UTC)
    payment = make_payment("paid", created_at=start)

    def at(minutes: int) -> datetime:
        return start + timedelta(minutes=minutes)

    ApiExchange.objects.create(
        payment=payment,
        merchant="default",
        operation="create",
        method="POST",
        url="http://x/cips",
        http_status=201,
        api_code="100",
        milliseconds=120,
        created_at=at(1),
    )
    TimelineEntry.objects.create(
        payment=payment,
        kind="transition",
        source="api",
        from_status="created",
        to_status="pending",
        created_at=at(2),
    )
    make_event(
        payment,
        outcome=Outcome.APPLIED,
        from_status="pending",
        to_status="paid",
        received_at=at(3),
        times_received=2,
        last_received_at=at(9),
    )
    make_failing(payment, created_at=at(4))
    make_failing(payment, state="done", finished_at=at(5), receiver="shop.mail", last_error="")
    TimelineEntry.objects.create(
        payment=payment,
        kind="note",
        source="staff",
        actor=person("boss"),
        actor_name="boss",
        note="She called.",
        created_at=at(6),
    )
    assert told(as_role("viewer"), payment) == [
        "Created over 22.05 PEN",
        "Call to PagoEfectivo: create",
        "being prepared → waiting for payment",
        "Notification cip.paid: applied",
        "Not told yet: shop.receivers.on_paid, payment_confirmed",
        "Told shop.mail: payment_confirmed",
        "Note",
    ]
    html = page(as_role("viewer"), payment)
    assert "waiting for payment → paid" in html
    assert "Received 2 times, last on 2026-11-23 10:09 (Lima)" in html
    assert "ValueError: out of stock" in html
    assert "She called." in html
    assert "boss" in html
    monkeypatch.setattr(timeline, "MOST", 1)
    assert "Older entries are left out here." in page(as_role("viewer"), payment)


def test_a_transition_told_by_an_entry_is_not_told_twice(as_role: Any) -> None:
    payment, event = make_payment(), make_event()
    staff.link_event(event, payment, user=person("clerk"))
    html = page(as_role("viewer"), payment)
    assert html.count("waiting for payment → paid") == 1


def test_the_page_costs_the_same_with_2_and_200_things(as_role: Any) -> None:
    client = as_role("boss")
    payment = make_flagged("duplicate_payment", "paid", user=person("outsider"))
    counts = []
    for rows in (2, 198):
        for number in range(rows):
            make_event(payment)
            make_failing(payment)
            TimelineEntry.objects.create(
                payment=payment, kind="note", source="staff", actor=person("boss"), note="x"
            )
            ApiExchange.objects.create(payment=payment, operation="search", merchant="default")
            make_payment("expired", order_reference=payment.order_reference)
            assert number < 198
        client.get(f"{URL}{payment.pk}/change/")
        with CaptureQueriesContext(connection) as queries:
            page(client, payment)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 11, [q["sql"] for q in queries]
    assert not any('"body"' in q["sql"] or "`body`" in q["sql"] for q in queries)


def test_personal_data_is_masked_everywhere_without_the_right(as_role: Any) -> None:
    shopper = User.objects.create(username=EMAIL)
    note = f"Rosa ({EMAIL}, {PHONE}) called."
    payment = make_flagged(
        "late_payment",
        "paid",
        note=note,
        user=shopper,
        description="Regalo para Rosa Quispe",
        metadata={"buyer": {"name": "Rosa", "phone": PHONE}},
        customer_id_in_shop="C-445566",
        customer_ubigeo="150101",
        failure_message=f"DNI {DOCUMENT} no vale",
    )
    make_failing(payment, last_error=f"ValueError: {PHONE} is no number of rosa quispe")
    TimelineEntry.objects.create(payment=payment, kind="note", source="staff", note=note)
    secrets = (EMAIL, PHONE, DOCUMENT, "Rosa", "Quispe", "rosa quispe", "C-445566", "150101")
    html = page(as_role("boss"), payment)
    for secret in secrets:
        assert secret.lower() not in html.lower(), secret
    assert "r***@correo.example" in html
    assert "R***" in html
    assert "***93" in html
    shown = page(as_role("privy"), payment)
    for secret in (EMAIL, PHONE, DOCUMENT, "Rosa", "Quispe", "C-445566", "150101"):
        assert secret in shown, secret
    history = as_role("boss").get(f"{URL}{payment.pk}/history/").content.decode()
    assert EMAIL not in history


def test_metadata_with_what_utf8_cannot_carry() -> None:
    """Some databases keep it, and a shop may have written it past the checks."""
    shown = Discretion(whole=True).metadata(Payment(metadata={"note": "a\ud800"}))
    assert shown.encode() == b'{\n  "note": "a\\ud800"\n}'


def test_buttons_are_offered_by_right_and_state(as_role: Any) -> None:
    pending = make_payment()
    assert buttons(as_role("viewer"), pending) == set()
    assert buttons(as_role("privy"), pending) == set()
    assert buttons(as_role("clerk"), pending) == {"sync", "extend", "cancel", "note"}
    assert buttons(as_role("boss"), pending) == {"sync", "extend", "cancel", "note", "confirm"}
    assert buttons(as_role("boss"), make_payment("paid")) == {"sync", "reconcile", "note"}
    flagged, _ = make_mismatch()
    assert buttons(as_role("boss"), flagged) >= {"accept-amount", "settle", "confirm"}
    assert "accept-amount" not in buttons(as_role("clerk"), flagged)
    assert "cancel" not in buttons(as_role("clerk"), make_payment("expired"))


def test_the_order_is_linked_where_it_can_be_seen(as_role: Any, admin_client: Any) -> None:
    # Any model may be the shop's order; this one has a screen in the tests' admin.
    group = Group.objects.create(name="A-77")
    kind = ContentType.objects.get_for_model(Group)
    payment = make_payment(order_content_type=kind, order_object_id=str(group.pk))
    link = f'href="/admin/auth/group/{group.pk}/change/"'
    assert link in page(admin_client, payment)
    assert link not in page(as_role("boss"), payment)
    kind = ContentType.objects.get_for_model(Order)
    payment = make_payment(order_content_type=kind, order_object_id="1")
    assert "test_shop" not in page(admin_client, payment)


def test_the_deadline_says_how_long_is_left(as_role: Any) -> None:
    payment = make_payment(expires_at=timezone.now() + timedelta(hours=3, minutes=1))
    assert re.search(r"3\xa0hours left", page(as_role("viewer"), payment))


def test_markup_from_outside_is_text(as_role: Any) -> None:
    payment = make_flagged(
        "status_conflict",
        note="<script>alert(1)</script>",
        order_reference="<b>x</b>",
        description="<img src=x>",
        cip_url="javascript:alert(1)",
    )
    make_event(payment, event_type="<i>paid</i>")
    html = page(as_role("privy"), payment)
    for bad in ("<script>alert", "<b>x</b>", "<img src=x>", "<i>paid</i>", 'href="javascript:'):
        assert bad not in html, bad


def test_pages_have_no_inline_script_or_style(as_role: Any) -> None:
    payment, _ = make_mismatch()
    event = make_event()
    delivery = make_failing()
    client = as_role("boss")
    paths = (
        URL,
        f"{URL}inbox/",
        f"{URL}{payment.pk}/change/",
        f"{URL}{payment.pk}/act/confirm/",
        f"/admin/pagoefectivo/webhookevent/{event.pk}/change/",
        f"/admin/pagoefectivo/webhookevent/{event.pk}/act/link/",
        f"/admin/pagoefectivo/signaldelivery/{delivery.pk}/change/",
        "/admin/pagoefectivo/",
    )
    for path in paths:
        html = client.get(path).content.decode()
        assert "<style" not in html, path
        assert not re.search(r"\sstyle=|\son\w+=", html), path
        assert not re.search(r"<script(?![^>]*\ssrc=)(?![^>]*application/json)", html), path
        assert "http://" not in html.replace("http://www.w3.org", ""), path


def test_a_payment_that_is_not_there(as_role: Any, pago: Pago) -> None:
    for pk in ("0", "999999", "x", "9" * 30):
        assert as_role("viewer").get(f"{URL}{pk}/change/").status_code == 404, pk
        assert as_role("boss").post(f"{URL}{pk}/act/sync/").status_code == 404, pk

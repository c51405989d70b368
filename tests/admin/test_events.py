"""Notifications in the admin: shown as they came, linked to what they paid for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_pagoefectivo.exceptions import InvalidTransition
from django_pagoefectivo.models import Attention, Outcome, Payment, Status, WebhookEvent
from django_pagoefectivo.services import staff
from django_pagoefectivo.testing import make_payment
from tests.promises.kit import post

from .conftest import EMAIL, make_event, make_flagged, notes_of, person

URL = "/admin/pagoefectivo/webhookevent/"
pytestmark = pytest.mark.django_db


def said(answer: Any) -> str:
    return [str(message) for message in get_messages(answer.wsgi_request)][-1]


def do(client: Any, event: WebhookEvent, act: str, **fields: Any) -> Any:
    return client.post(f"{URL}{event.pk}/act/{act}/", fields)


def link(client: Any, event: WebhookEvent, payment: Payment, **fields: Any) -> Any:
    return do(client, event, "link", payment=payment.transaction_code, **fields)


def test_the_list_costs_the_same_with_2_and_200_rows_and_reads_no_bodies(as_role: Any) -> None:
    client = as_role("viewer")
    counts = []
    for rows in (2, 198):
        for _ in range(rows):
            make_event(make_payment("paid"))
        client.get(URL)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(URL).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8
    assert not any('"body"' in q["sql"] or "`body`" in q["sql"] for q in queries)


def test_search_and_filters(as_role: Any) -> None:
    client = as_role("viewer")
    one = make_event(cip="11546901", transaction_code="A-1-X")
    make_event(make_payment("paid"))
    for params in (
        {"q": "11546901"},
        {"q": "1154-6901"},
        {"q": "A-1-X"},
        {"outcome__exact": "unmatched"},
    ):
        rows = client.get(URL, params).context["cl"].result_list
        assert [event.pk for event in rows] == [one.pk], params
    assert client.get(URL, {"payment__customer_email": EMAIL}).status_code == 400
    assert client.get(URL, {"body__contains": "x"}).status_code == 400


def test_the_body_is_text(as_role: Any) -> None:
    event = make_event(body=b'<script>alert(1)</script>\xff{"a": 1}', outcome=Outcome.REJECTED)
    html = as_role("privy").get(f"{URL}{event.pk}/change/").content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\ufffd" in html


@pytest.mark.parametrize(
    "body",
    [
        b'{"eventType":"cip.paid","data":{"cip":"1"},"customer":{"email":"rosa@correo.example"}}',
        b'{"data":{"cip":"1","buyer":"rosa@correo.example"}}',
        b'{"data":{"cip":"1","987654321":"x"}}',
        b'{"data":{"cip":"1","buyer":"Benito","document":445566778}}',
        b'{"status":"paid by rosa@correo.example, 987654321"}',
        b'[["rosa@correo.example", 987654321]]',
        b'"rosa@correo.example 987654321"',
        b"987654321",
        b"name=rosa@correo.example&phone=987654321",
        b"[" * 100_000,
    ],
)
def test_the_body_without_the_right_shows_harmless_fields_only(as_role: Any, body: bytes) -> None:
    event = make_event(make_payment(customer_phone="987654321"), body=body)
    html = as_role("boss").get(f"{URL}{event.pk}/change/").content.decode()
    for secret in ("rosa@", "987654321", "Benito", "445566778"):
        assert secret not in html


@pytest.mark.parametrize(
    "body",
    [
        b'{"eventType":"cip.paid","data":{"cip":"\\ud800"}}',
        b'{"eventType":"cip.paid","\\udfff":{"cip":["\\ud83d"]}}',
        b'"\\udc00"',
        *(b"[" * depth + b"]" * depth for depth in (300, 480, 700, 950, 2000)),
        *(b'{"data":' * depth + b"1" + b"}" * depth for depth in (300, 440)),
    ],
    ids=lambda body: f"{body[:30]!r} {len(body)}",
)
@pytest.mark.parametrize("role", ["viewer", "privy"])
def test_whatever_a_stranger_posts_can_be_looked_at(as_role: Any, role: str, body: bytes) -> None:
    # Ten a minute are kept.
    cache.clear()
    assert post(body, signature="00").status_code == 403
    event = WebhookEvent.objects.get()
    answer = as_role(role).get(f"{URL}{event.pk}/change/")
    assert answer.status_code == 200
    if b"ud8" in body:
        assert "ud8" in answer.content.decode()


def test_a_documented_body_is_shown_to_everybody(as_role: Any) -> None:
    event = make_event(make_payment("paid"), cip="11546901", operation_number="1253")
    html = as_role("viewer").get(f"{URL}{event.pk}/change/").content.decode()
    assert "&quot;operationNumber&quot;: &quot;1253&quot;" in html
    assert "&quot;amount&quot;: 22.05" in html


def test_nothing_can_be_edited(admin_client: Any) -> None:
    event = make_event()
    before = WebhookEvent.objects.values().get()
    page = f"{URL}{event.pk}/change/"
    assert b"_save" not in admin_client.get(page).content
    assert admin_client.post(page, {"outcome": "applied"}).status_code == 403
    assert admin_client.post(f"{URL}{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get(f"{URL}add/").status_code == 403
    assert WebhookEvent.objects.values().get() == before


@pytest.mark.parametrize("act", ["link", "dismiss"])
@pytest.mark.parametrize("role", ["viewer", "privy", "outsider", "blind"])
def test_without_the_right_nothing_is_linked(as_role: Any, role: str, act: str) -> None:
    event, payment = make_event(), make_payment("created")
    client = as_role(role)
    assert client.get(f"{URL}{event.pk}/act/{act}/").status_code == 403
    answer = do(client, event, act, payment=payment.transaction_code, note="x")
    assert answer.status_code == 403
    event.refresh_from_db()
    assert event.outcome == Outcome.UNMATCHED
    assert not LogEntry.objects.exists()


def test_link_to_a_payment_whose_code_never_arrived(as_role: Any, told: Any) -> None:
    """A notification names the CIP only, and nobody here knows it."""
    payment = make_flagged("outcome_unknown", "created")
    make_flagged("outcome_unknown", "created", amount=Decimal("99.00"))
    told.clear()
    event = make_event()
    client = as_role("clerk")
    form = client.get(f"{URL}{event.pk}/act/link/")
    values = [candidate["value"] for candidate in form.context["candidates"]]
    assert values == [payment.transaction_code]
    answer = link(client, event, payment, note="Same amount and minute.")
    assert said(answer) == f"Linked to {payment.order_reference} ({event.cip}), which is: paid."
    payment.refresh_from_db()
    event.refresh_from_db()
    assert payment.status == Status.PAID
    assert payment.cip == event.cip
    assert payment.operation_number == event.operation_number
    assert payment.attention == ""
    assert (event.outcome, event.payment_id) == (Outcome.APPLIED, payment.pk)
    assert told == [("payment_confirmed", payment.pk, "staff", {"late": False})]
    words = f"Linked notification {event.pk} (CIP {event.cip}). Same amount and minute."
    assert notes_of(payment)[-1] == ("transition", "clerk", words)
    assert LogEntry.objects.get().user.get_username() == "clerk"


def test_link_by_each_name_of_a_payment(as_role: Any) -> None:
    client = as_role("clerk")
    for name in ("transaction_code", "cip", "order_reference"):
        event, payment = make_event(), make_payment()
        do(client, event, "link", payment=getattr(payment, name))
        payment.refresh_from_db()
        assert payment.status == Status.PAID, name


def test_link_of_another_amount_flags(as_role: Any, told: Any) -> None:
    payment, event = make_payment(), make_event(amount=Decimal("20.00"))
    answer = link(as_role("clerk"), event, payment)
    assert "another amount was paid" in said(answer)
    payment.refresh_from_db()
    event.refresh_from_db()
    assert payment.status == Status.PENDING
    assert payment.attention == Attention.AMOUNT_MISMATCH
    assert (event.outcome, event.flag) == (Outcome.MISMATCH, Attention.AMOUNT_MISMATCH)
    assert [t[0] for t in told] == ["payment_flagged"]
    # And from there the amount can be accepted.
    act = f"/admin/pagoefectivo/payment/{payment.pk}/act/accept-amount/"
    as_role("boss").post(act, {"event": event.pk})
    payment.refresh_from_db()
    assert (payment.status, payment.paid_amount) == (Status.PAID, Decimal("20.00"))


def test_link_to_a_paid_payment_flags_the_second_money(as_role: Any, told: Any) -> None:
    payment, event = make_payment("paid"), make_event()
    link(as_role("clerk"), event, payment)
    payment.refresh_from_db()
    assert payment.attention == Attention.DUPLICATE_PAYMENT
    reason = {"reason": "duplicate_payment"}
    assert told == [("payment_flagged", payment.pk, "staff", reason)]
    assert ("change", "clerk") in {(kind, name) for kind, name, _ in notes_of(payment)}


def test_link_to_an_expired_payment_is_late(as_role: Any, told: Any) -> None:
    payment, event = make_payment("expired"), make_event()
    link(as_role("clerk"), event, payment)
    payment.refresh_from_db()
    assert (payment.status, payment.attention) == (Status.PAID, Attention.LATE_PAYMENT)
    assert ("payment_confirmed", payment.pk, "staff", {"late": True}) in told


def test_link_asks_which_of_several_and_refuses_unknown_ones(as_role: Any) -> None:
    client, event = as_role("clerk"), make_event()
    first = make_payment("expired")
    second = make_payment(order_reference=first.order_reference)
    answer = do(client, event, "link", payment=first.order_reference)
    errors = str(answer.context["form"].errors)
    assert first.transaction_code in errors
    assert second.transaction_code in errors
    foreign = make_payment(merchant="other")
    for name in ("", "nothing", foreign.transaction_code, foreign.cip, "\x00", "x" * 65):
        assert do(client, event, "link", payment=name).status_code == 200, name
    event.refresh_from_db()
    assert event.outcome == Outcome.UNMATCHED


def test_the_second_who_links_is_told_who_was_faster(as_role: Any, told: Any) -> None:
    event, first, second = make_event(), make_payment(), make_payment()
    link(as_role("clerk"), event, first)
    answer = link(as_role("boss"), event, second)
    assert said(answer).startswith("clerk linked the notification on")
    second.refresh_from_db()
    assert second.status == Status.PENDING
    assert [t[1] for t in told] == [first.pk]


def test_a_notification_that_cannot_be_read_is_a_sentence(as_role: Any) -> None:
    event, payment = make_event(body=b"not json"), make_payment()
    assert "cannot be read" in said(link(as_role("clerk"), event, payment))
    lost, lone = make_event(merchant="gone"), make_payment(merchant="gone")
    assert 'There is no merchant "gone"' in said(link(as_role("clerk"), lost, lone))


def test_another_merchants_notification_is_not_linked(as_role: Any) -> None:
    event, payment = make_event(), make_payment(merchant="gone")
    answer = link(as_role("clerk"), event, payment)
    assert "No payment of this merchant" in str(answer.context["form"].errors)
    with pytest.raises(InvalidTransition, match="merchant default's, the payment gone's"):
        staff.link_event(event, payment, user=person("clerk"))
    event.refresh_from_db()
    payment.refresh_from_db()
    assert (event.outcome, payment.status) == (Outcome.UNMATCHED, Status.PENDING)


def test_dismiss_needs_a_note_and_keeps_it(as_role: Any) -> None:
    event = make_event()
    client = as_role("clerk")
    assert do(client, event, "dismiss", note="").status_code == 200
    do(client, event, "dismiss", note="Refunded in the panel.")
    event.refresh_from_db()
    assert event.outcome == Outcome.IGNORED
    assert event.error.startswith("clerk dealt with it on ")
    assert event.error.endswith("Refunded in the panel.")
    assert LogEntry.objects.get().object_id == str(event.pk)
    again = do(as_role("boss"), event, "dismiss", note="Mine.")
    assert said(again) == event.error

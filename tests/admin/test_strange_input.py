"""What no browser sends by itself: it is answered with a page, and nothing is done."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages

from django_pagoefectivo.models import Payment, Statement
from django_pagoefectivo.testing import make_payment

from .conftest import Pago, notes_of

BASE = "/admin/pagoefectivo/"
pytestmark = [pytest.mark.django_db, pytest.mark.slow]
#: Digits that no integer, no column and no database has.
ENDLESS = ("9" * 4301, "9" * 30, "9" * 20, "9223372036854775808")
STRANGE = (*ENDLESS, "abc", "\x00", "1\x00", "٣", "²", "-1", "1e2")
SCREENS = (
    "payment",
    "webhookevent",
    "signaldelivery",
    "apiexchange",
    "statement",
    "bulkjob",
)
FILTERS = {
    "payment": ("merchant", "attention", "status__exact", "reconciled", "from_day", "to_day"),
    "webhookevent": ("merchant", "outcome__exact", "from_day", "payment__id__exact"),
    "signaldelivery": ("state__exact", "trouble", "payment__id__exact"),
    "apiexchange": ("merchant", "first", "result", "from_day", "payment__id__exact"),
    "statement": ("merchant",),
    "bulkjob": ("state__exact",),
}


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("term", ["zzz", " ", "\x00", "😀", "9" * 5000])
def test_any_search_has_a_page(admin_client: Any, screen: str, term: str) -> None:
    assert admin_client.get(f"{BASE}{screen}/", {"q": term}).status_code == 200


def test_a_list_without_a_search_box_shows_all(admin_client: Any) -> None:
    Statement.objects.create(merchant="default", file_name="a.csv", file_digest="1")
    answer = admin_client.get(f"{BASE}statement/", {"q": "zzz"})
    assert answer.context["cl"].result_count == 1


@pytest.mark.parametrize(
    ("screen", "name"), [(screen, name) for screen, names in FILTERS.items() for name in names]
)
def test_any_filter_has_a_page(admin_client: Any, screen: str, name: str) -> None:
    for value in STRANGE:
        answer = admin_client.get(f"{BASE}{screen}/", {name: value}, follow=True)
        assert answer.status_code == 200, value[:20]


def screens_of_one() -> list[str]:
    """The screens of one row, and what each has below its address."""
    acts = {
        "payment": ("note", "settle", "sync", "extend"),
        "webhookevent": ("link", "dismiss"),
        "signaldelivery": ("retry",),
        "statementline": ("link", "discard", "ask"),
        "bulkjob": ("stop", "resume"),
    }
    pages = {
        "statement": ("totals/", "missing/", "reconcile/", "export/"),
        "bulkjob": ("progress/",),
    }
    return [
        f"{screen}/{{}}/{below}"
        for screen in (*SCREENS, "statementline")
        for below in (
            *("change/", "history/", ""),
            *(f"act/{act}/" for act in acts.get(screen, ())),
            *pages.get(screen, ()),
        )
    ]


@pytest.mark.parametrize("path", screens_of_one())
def test_a_key_that_no_row_has_is_not_found(admin_client: Any, path: str) -> None:
    for key in STRANGE:
        quoted = key.replace("\x00", "%00")
        for method in (admin_client.get, admin_client.post):
            answer = method(f"{BASE}{path.format(quoted)}")
            assert answer.status_code in (302, 301, 403, 404, 405), (key[:20], answer.status_code)


@pytest.mark.parametrize(
    "action",
    ["sync_payments", "extend_payments", "cancel_payments", "mark_reconciled", "export_payments"],
)
def test_an_action_on_what_is_no_row_does_nothing(admin_client: Any, action: str) -> None:
    payment = make_payment("paid")
    for key in STRANGE:
        chosen = {"action": action, "_selected_action": [str(payment.pk), key]}
        answer = admin_client.post(f"{BASE}payment/", chosen)
        assert (answer.status_code, answer["Location"]) == (302, f"{BASE}payment/")
        assert "No items have been changed." in str([*get_messages(answer.wsgi_request)][-1])
    payment.refresh_from_db()
    assert payment.reconciled_at is None
    assert notes_of(payment) == []


def test_an_action_across_all_does_not_look_at_the_boxes(admin_client: Any) -> None:
    make_payment("paid")
    answer = admin_client.post(
        f"{BASE}payment/",
        {"action": "mark_reconciled", "_selected_action": "abc", "select_across": "1"},
    )
    assert answer.status_code == 200
    assert not Payment.objects.filter(reconciled_at__isnull=False).exists()


@pytest.mark.parametrize("deadline", ["9999-12-31T23:59", "9999-12-31T18:58", "0001-01-01T00:00"])
def test_a_deadline_at_the_calendars_end_is_refused_before_any_call(
    admin_client: Any, pago: Pago, deadline: str
) -> None:
    payment = make_payment()
    pago.knows(payment)
    one = admin_client.post(
        f"{BASE}payment/{payment.pk}/act/extend/", {"expires_at": deadline}, follow=True
    )
    many = {"action": "extend_payments", "_selected_action": payment.pk, "confirmed": "yes"}
    all_of_them = admin_client.post(
        f"{BASE}payment/", {**many, "pks": payment.pk, "expires_at": deadline}, follow=True
    )
    sentence = "must be in the future" if deadline.startswith("0") else "over ten years ahead"
    for answer in (one, all_of_them):
        assert answer.status_code == 200
        assert sentence in answer.content.decode()
    expires_at = payment.expires_at
    payment.refresh_from_db()
    assert (payment.expires_at, pago.calls) == (expires_at, [])

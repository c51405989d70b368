"""One key, one payment, one answer: at the same instant, after a crash, and with another body."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone
from rest_framework.test import APIClient

from django_pagoefectivo.models import IdempotencyKey, Payment
from django_pagoefectivo.services import idempotency
from django_pagoefectivo.services.claims import own_identity
from django_pagoefectivo.services.pruning import prune
from tests.promises.kit import at_once, notify
from tests.promises.test_crashes import database_url
from tests.servers import Call, PagoEfectivo, Reply

from .conftest import PAYMENTS, body

pytestmark = pytest.mark.django_db(transaction=True)
REPLAYED = "Idempotency-Replayed"


@pytest.fixture
def staff(client_of: Callable[[str], APIClient], pe: PagoEfectivo) -> APIClient:
    return client_of("superuser")


def create(client: APIClient, key: str = "k-1", wish: Any = None) -> Any:
    return client.post(PAYMENTS, wish or body(), headers={"Idempotency-Key": key})


def test_the_same_key_gets_the_same_answer(staff: APIClient, pe: PagoEfectivo) -> None:
    first = create(staff)
    assert first.status_code == 201
    assert REPLAYED not in first.headers
    notify(Payment.objects.get())
    again = create(staff)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers[REPLAYED] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json()["status"] == "pending"
    assert staff.get(again.headers["Location"]).json()["status"] == "paid"
    assert len(pe.codes) == 1


def test_the_same_json_written_otherwise_is_the_same_body(staff: APIClient) -> None:
    raw = '{"order_reference":"A-1", "amount":"1.00", "customer":{"email":"ana@shop.example"}}'
    other = (
        '{"customer": {"email": "an\\u0061@shop.example"},\n'
        ' "amount":"1.00","order_reference":"A-1"}'
    )
    answers = [
        staff.post(
            PAYMENTS,
            text.encode(),
            content_type="application/json",
            headers={"Idempotency-Key": "k"},
        )
        for text in (raw, other)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


def test_another_body_is_a_conflict(staff: APIClient, pe: PagoEfectivo) -> None:
    create(staff)
    answer = create(staff, wish=body(amount="23.00"))
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert "new key" in answer.json()["detail"]
    assert len(pe.codes) == 1


def test_keys_of_two_users_have_nothing_to_do_with_each_other(
    staff: APIClient, client_of: Callable[[str], APIClient], pe: PagoEfectivo
) -> None:
    assert create(staff).status_code == 201
    other = create(client_of("staff who add"), wish=body("B-1"))
    assert other.status_code == 201
    assert REPLAYED not in other.headers
    assert len(pe.codes) == 2


def test_keys_differ_by_case_and_space(staff: APIClient, pe: PagoEfectivo) -> None:
    for number, key in enumerate(("key", "KEY", "key x")):
        assert create(staff, key, body(f"A-{number}")).status_code == 201
    assert len(pe.codes) == 3


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "clé", "a\tb"])
def test_a_key_that_is_none(key: str, staff: APIClient) -> None:
    answer = create(staff, key)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_two_keys_for_one_order_are_one_payment(staff: APIClient, pe: PagoEfectivo) -> None:
    one, two = create(staff, "k-1"), create(staff, "k-2")
    assert (one.status_code, two.status_code) == (201, 200)
    assert one.json() == two.json()
    assert create(staff, "k-2").status_code == 200
    assert len(pe.codes) == 1


def test_at_the_same_instant(
    client_of: Callable[[str], APIClient], pe: PagoEfectivo, staff: APIClient
) -> None:
    clients = [client_of("superuser") for _ in range(4)]
    answers = at_once(*(lambda c=client: create(c) for client in clients))
    assert [answer.status_code for answer in answers] == [201] * 4
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert sum(REPLAYED in answer.headers for answer in answers) == 3
    assert Payment.objects.count() == 1
    assert pe.counts["create"] == 1


def test_who_comes_while_it_is_being_made_waits(
    client_of: Callable[[str], APIClient], pe: PagoEfectivo, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, go_on, looked = threading.Event(), threading.Event(), threading.Event()

    def gate(call: Call) -> None:
        arrived.set()
        assert go_on.wait(30)

    def wait(seconds: float) -> None:
        looked.set()
        go_on.wait(0.02)

    pe.gates["create"] = gate
    monkeypatch.setattr(time, "sleep", wait)
    first, second = client_of("superuser"), client_of("superuser")

    def late() -> Any:
        assert arrived.wait(30)
        return create(second)

    def open_gate() -> None:
        assert looked.wait(30)
        go_on.set()

    one, two, _ = at_once(lambda: create(first), late, open_gate)
    assert (one.status_code, two.status_code) == (201, 201)
    assert one.json() == two.json()
    assert pe.counts["create"] == 1


def test_who_waits_too_long_is_told_to_come_again(
    staff: APIClient, configure: Callable[..., None]
) -> None:
    configure(TIMEOUT=(0.05, 0.05))
    hold(staff)
    answer = create(staff)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_use")
    assert answer.headers["Retry-After"]


def hold(client: APIClient, **changes: Any) -> IdempotencyKey:
    """The key's row as a request leaves it that is being worked on."""
    keyed: list[idempotency.Keyed] = []

    def note(wanted: idempotency.Keyed, work: Any) -> Any:
        keyed.append(wanted)
        raise OperationalError("noted")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django_pagoefectivo.api.creation.answer_once", note)
        assert create(client).status_code == 503
    values: dict[str, Any] = {
        "key_hash": keyed[0].key_hash,
        "request_hash": keyed[0].request_hash,
        "claimed_by": own_identity(),
        "claimed_until": timezone.now() + timedelta(minutes=5),
        **changes,
    }
    return IdempotencyKey.objects.create(**values)


def dead_process() -> str:
    """The name of a process of this machine that is gone: its number is this one's now."""
    machine, pid, _started = own_identity().split(":")
    return f"{machine}:{pid}:1"


@pytest.mark.parametrize("how", ["dead", "over", "let go"])
def test_a_key_whose_request_died_before_the_row(
    how: str, staff: APIClient, pe: PagoEfectivo
) -> None:
    changes: dict[str, dict[str, Any]] = {
        "dead": {"claimed_by": dead_process()} if how == "dead" else {},
        "over": {"claimed_until": timezone.now()},
        "let go": {"claimed_by": ""},
    }
    row = hold(staff, **changes[how])
    answer = create(staff)
    assert answer.status_code == 201
    assert answer.json()["token"] == str(row.payment_token)
    assert len(pe.codes) == 1


def test_a_key_whose_request_died_during_the_call(staff: APIClient, pe: PagoEfectivo) -> None:
    """No second code, for ever; and the payment as soon as it is known to be there."""
    pe.fail_next("create", Reply(cut=True, does_it=True))
    assert create(staff).status_code == 504
    payment = Payment.objects.get()
    # As it is before anybody notes that the outcome is unknown.
    Payment.objects.update(attention="")
    IdempotencyKey.objects.update(claimed_by=dead_process())
    for _ in range(2):
        answer = create(staff)
        assert (answer.status_code, answer.json()["code"]) == (504, "outcome_unknown")
        assert answer.json()["payment"] == {"token": str(payment.token), "status": "created"}
    # Even if a person wants to try again: that takes a new key.
    assert pe.counts["create"] == 1
    (code,) = pe.codes.values()
    notify(payment, cip=code.cip, code=payment.transaction_code)
    answer = create(staff)
    assert (answer.status_code, answer.json()["status"]) == (201, "paid")
    assert pe.counts["create"] == 1


def test_a_key_whose_request_died_after_the_call(staff: APIClient, pe: PagoEfectivo) -> None:
    """Also if the code has expired meanwhile: the key stands for that one payment."""
    made = create(staff).json()
    IdempotencyKey.objects.update(answer_status=None, answer={}, claimed_by=dead_process())
    Payment.objects.update(status="expired", open_key=None)
    answer = create(staff)
    assert (answer.status_code, answer.json()["token"]) == (201, made["token"])
    assert answer.json()["status"] == "expired"
    assert len(pe.codes) == 1


def test_two_find_the_same_key_abandoned(
    staff: APIClient, client_of: Callable[[str], APIClient], pe: PagoEfectivo
) -> None:
    hold(staff, claimed_by=dead_process())
    clients = [client_of("superuser") for _ in range(3)]
    answers = at_once(*(lambda c=client: create(c) for client in clients))
    assert [answer.status_code for answer in answers] == [201] * 3
    assert pe.counts["create"] == 1


def test_a_refusal_is_an_answer(staff: APIClient, pe: PagoEfectivo) -> None:
    pe.fail_next("create", Reply(400, b'{"code":"511","message":"Monto excedido.","data":[]}'))
    first, again = create(staff), create(staff)
    assert (first.status_code, again.status_code) == (422, 422)
    assert first.json() == again.json()
    assert again.headers["Content-Type"] == "application/problem+json"
    assert pe.counts["create"] == 1


def test_what_did_nothing_can_be_sent_again(
    staff: APIClient, pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    configure(merchant={"BASE_URL": "http://127.0.0.1:9/v1"})
    assert create(staff).status_code == 503
    assert create(staff, wish=body(currency="EUR")).status_code == 400
    configure(merchant={"BASE_URL": pe.url})
    answer = create(staff)
    assert answer.status_code == 201
    assert Payment.objects.filter(status="failed").count() == 1


def test_a_retry_after_a_failure_that_was_noted_is_a_new_attempt(
    staff: APIClient, pe: PagoEfectivo
) -> None:
    made = create(staff).json()
    IdempotencyKey.objects.update(answer_status=None, claimed_by="")
    Payment.objects.update(status="failed", open_key=None, cip=None)
    answer = create(staff)
    assert answer.status_code == 201
    assert answer.json()["token"] != made["token"]


def test_nothing_personal_is_kept_with_a_key(staff: APIClient) -> None:
    wish = body(description="For Rosa", metadata={"note": "Rosa"})
    wish["customer"]["first_name"] = "Rosa"
    create(staff, "secret-key", wish)
    row = str(IdempotencyKey.objects.values().get())
    for secret in ("Rosa", "ana@shop.example", "secret-key"):
        assert secret not in row


def test_keys_are_dropped_after_a_day(staff: APIClient, configure: Callable[..., None]) -> None:
    create(staff)
    assert prune().idempotency_keys == 0
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    configure(RETENTION={"idempotency_keys": timedelta(hours=26)})
    assert prune().idempotency_keys == 0
    configure(RETENTION={})
    assert prune().idempotency_keys == 1


def test_whoever_lost_the_right_gets_no_answer_again(
    client_of: Callable[[str], APIClient], pe: PagoEfectivo
) -> None:
    client = client_of("staff who add")
    assert create(client).status_code == 201
    User.objects.update(is_staff=False)
    assert create(client).status_code == 403


@pytest.mark.parametrize(
    ("when", "status", "calls"),
    [
        ("before the row", 201, 1),
        ("after PagoEfectivo's answer", 504, 1),
        ("before the answer is kept", 201, 1),
    ],
)
def test_a_process_that_is_killed(
    when: str, status: int, calls: int, staff: APIClient, pe: PagoEfectivo, settings: Any
) -> None:
    """Whenever it dies, the same key makes no second code and blocks nobody."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.api.child", when, "root", json.dumps(body()), "k-1"],
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PAGOEFECTIVO": json.dumps(settings.PAGOEFECTIVO, default=list),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 9, child.stderr
    answer = create(staff)
    assert answer.status_code == status
    assert pe.counts["create"] == calls
    assert Payment.objects.count() == 1

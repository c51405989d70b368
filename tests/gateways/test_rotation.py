"""A key is changed without a lost notification, and the log says when the change is over."""

from __future__ import annotations

import copy
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from django_pagoefectivo.conf import get_config
from django_pagoefectivo.gateways import CodeRef, gateway_for
from django_pagoefectivo.gateways.signing import key_label, sign
from django_pagoefectivo.models import Outcome, Payment, Status, WebhookEvent
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.services import Customer, create_payment, sync_payment
from django_pagoefectivo.services.keys import described_key, idle_fallbacks, key_uses

from .contracts import CIP, PAYMENT, SECRET_KEY, Contract

OLD = SECRET_KEY
NEW = "brand-new-secret-key-not-real-0123456789a"
URL = "/pagoefectivo/webhook/"

Configure = Callable[..., None]


@pytest.fixture(params=[CIP, PAYMENT], ids=lambda contract: contract.name)
def contract(request: pytest.FixtureRequest) -> Contract:
    """Both contracts; one of a shop's own behaves like the one that it extends."""
    chosen: Contract = request.param
    return chosen


@pytest.fixture
def configure(installed: Contract, settings: Any) -> Configure:
    def configure(**changes: Any) -> None:
        setting = copy.deepcopy(settings.PAGOEFECTIVO)
        setting["MERCHANTS"]["default"].update(changes)
        settings.PAGOEFECTIVO = setting

    return configure


@pytest.fixture
def post(contract: Contract) -> Callable[[bytes, str], int]:
    def post(body: bytes, key: str) -> int:
        signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        answer = Client().post(
            URL, body, content_type="application/json", headers={contract.header: signature}
        )
        return answer.status_code

    return post


def news(reference: str) -> tuple[Payment, bytes]:
    payment = create_payment(
        order_reference=reference, amount=25, customer=Customer(email="ana@shop.example")
    )
    name = payment.cip or payment.remote_id
    control.pay(name, notify=False)
    return payment, control.build_notification(control.code(name))


def status(payment: Payment) -> str:
    return Payment.objects.get(pk=payment.pk).status


@pytest.mark.django_db(transaction=True)
def test_a_rotation_from_the_letter_to_the_end(
    configure: Configure, post: Callable[[bytes, str], int]
) -> None:
    """As the how-to page tells it; both sides change their key, and not at the same time."""
    paid: list[tuple[Payment, bytes]] = [news(f"A-{number}") for number in range(5)]
    began = timezone.now()

    def at(days: float, number: int, key: str) -> int:
        with time_machine.travel(began + timedelta(days=days), tick=False):
            return post(paid[number][1], key)

    # Before: one key.
    assert at(0, 0, OLD) == 200
    assert at(0, 1, NEW) == 403
    # The new key is in the settings, and PagoEfectivo goes on with the old one for a while.
    configure(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    assert at(1, 1, OLD) == 200
    assert idle_fallbacks(now=began + timedelta(days=30)) == []
    # Their switch: both keys for some hours, then the new one alone.
    assert at(2, 2, NEW) == 200
    assert at(2.1, 3, OLD) == 200
    assert all(status(payment) == Status.PAID for payment, _ in paid[:4])
    labels = list(
        WebhookEvent.objects.filter(outcome=Outcome.APPLIED)
        .order_by("pk")
        .values_list("signed_with", flat=True)
    )
    assert labels == [key_label(key) for key in (OLD, OLD, NEW, OLD)]
    current, former = key_uses()
    assert (current.place, current.last_used) == (0, began + timedelta(days=2))
    assert (former.place, former.last_used) == (1, began + timedelta(days=2.1))
    # A week of silence from the old key is needed.
    assert idle_fallbacks(now=began + timedelta(days=9)) == []
    (idle,) = idle_fallbacks(now=began + timedelta(days=9.2))
    assert (idle.merchant, idle.label, idle.is_fallback) == ("default", key_label(OLD), True)
    # It is taken out, and refused from then on.
    configure(SECRET_KEY_FALLBACKS=[])
    assert at(10, 4, OLD) == 403
    assert status(paid[4][0]) == Status.PENDING
    assert at(10, 4, NEW) == 200
    assert status(paid[4][0]) == Status.PAID
    # The labels are as true as before.
    assert described_key("default", labels[0]) == f"key {key_label(OLD)}, no longer in the settings"
    assert described_key("default", labels[2]) == f"current key {key_label(NEW)}"


@pytest.mark.django_db(transaction=True)
def test_a_repetition_under_the_new_key_counts_for_the_new_key(
    configure: Configure, post: Callable[[bytes, str], int]
) -> None:
    _, body = news("A-1")
    assert post(body, OLD) == 200
    configure(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    assert post(body, NEW) == 200
    event = WebhookEvent.objects.get()
    assert (event.times_received, event.signed_with) == (2, key_label(NEW))
    assert event.signature == sign(body, NEW)


@pytest.mark.django_db(transaction=True)
def test_staff_see_which_key_signed(
    configure: Configure, post: Callable[[bytes, str], int]
) -> None:
    configure(SECRET_KEY_FALLBACKS=[NEW])
    payment, body = news("A-1")
    assert post(body, NEW) == 200
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    event = WebhookEvent.objects.get()
    for url in (
        f"/admin/pagoefectivo/webhookevent/{event.pk}/change/",
        f"/admin/pagoefectivo/payment/{payment.pk}/change/",
    ):
        page = client.get(url).content.decode()
        assert f"allback key 1, {key_label(NEW)}" in page
        for secret in (OLD, NEW):
            assert secret not in page


@pytest.mark.django_db(transaction=True)
def test_calls_go_on_with_the_new_key_and_no_token_of_the_old_one(
    configure: Configure, contract: Contract
) -> None:
    payment, _ = news("A-1")
    before = control.calls("authorize").count()
    old = gateway_for(get_config().merchant("default"), get_config())
    configure(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    assert sync_payment(payment).status == Status.PAID
    tokens = control.calls("authorize").count() - before
    assert tokens == (1 if contract.can_change else 0)
    if not contract.can_change:
        return
    # The old one is gone from the shared cache, too, and not only out of sight.
    key = old._tokens.key  # type: ignore[attr-defined]
    assert cache.get(key) is None
    new = gateway_for(get_config().merchant("default"), get_config())
    new_key = new._tokens.key  # type: ignore[attr-defined]
    assert new_key != key
    assert cache.get(new_key)
    new.states([CodeRef("", cip=payment.cip or "")])
    assert control.calls("authorize").count() - before == 1


class TestLabels:
    def test_a_label_is_the_same_wherever_the_key_stands(self) -> None:
        assert key_label(OLD) == key_label(OLD)
        assert key_label(OLD) != key_label(NEW)
        assert len(key_label(OLD)) == 8

    def test_it_is_no_part_of_the_key_and_no_plain_hash_of_it(self) -> None:
        label = key_label(OLD)
        assert label not in OLD
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            assert label not in hashlib.new(algorithm, OLD.encode()).hexdigest()

    def test_no_notification_can_have_it_as_its_signature(self) -> None:
        assert key_label(OLD) != sign(b"{}", OLD)[:8]

    @pytest.mark.django_db
    def test_an_event_whose_key_is_not_known_says_nothing(self) -> None:
        assert described_key("default", "") == ""
        assert "no longer in the settings" in described_key("gone", "abcdef01")


@pytest.mark.django_db
class TestIdle:
    def event(self, key: str, at: datetime) -> None:
        WebhookEvent.objects.create(
            merchant="default",
            digest=hashlib.sha256(f"{key}{at}".encode()).hexdigest(),
            body=b"{}",
            signed_with=key_label(key),
            received_at=at,
            last_received_at=at,
            outcome=Outcome.IGNORED,
        )

    @pytest.fixture(autouse=True)
    def keys(self, settings: Any) -> None:
        setting = copy.deepcopy(settings.PAGOEFECTIVO)
        setting["MERCHANTS"]["default"] |= {"SECRET_KEY": NEW, "SECRET_KEY_FALLBACKS": [OLD]}
        settings.PAGOEFECTIVO = setting

    def test_nothing_is_concluded_before_the_new_key_is_in_use(self) -> None:
        now = timezone.now()
        assert idle_fallbacks(now=now) == []
        self.event(OLD, now - timedelta(days=60))
        assert idle_fallbacks(now=now) == []

    @pytest.mark.parametrize(("new_since", "old_last", "idle"), [
        (30, None, True), (30, 8, True), (30, 6, False), (6, 30, False), (6, None, False),
    ])  # fmt: skip
    def test_a_week_is_counted_from_the_later_of_the_two(
        self, new_since: int, old_last: int | None, idle: bool
    ) -> None:
        now = timezone.now()
        self.event(NEW, now - timedelta(days=new_since))
        self.event(NEW, now)
        if old_last is not None:
            self.event(OLD, now - timedelta(days=old_last))
        assert bool(idle_fallbacks(now=now)) is idle
        assert idle_fallbacks(timedelta(days=5), now=now)

    def test_refused_ones_count_for_nobody(self) -> None:
        WebhookEvent.objects.create(
            merchant="default", body=b"", outcome=Outcome.REJECTED, error="forged"
        )
        assert [use.last_used for use in key_uses()] == [None, None]

    def test_it_costs_the_same_however_many_there_are(self, django_assert_num_queries: Any) -> None:
        now = timezone.now()
        for minute in range(20):
            self.event(NEW, now - timedelta(minutes=minute))
        with django_assert_num_queries(4):
            key_uses("default")

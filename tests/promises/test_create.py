"""create_payment: what it refuses, what it leaves behind, and how often it calls."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
import time_machine
from django.db import OperationalError, connections, transaction
from django.test import TestCase
from django.utils import timezone

from django_pagoefectivo.exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    InsideTransaction,
    InvalidPayment,
    OrderAlreadyOpen,
    OrderAlreadyPaid,
    OutcomeUnknown,
    PagoEfectivoError,
    RequestRejected,
)
from django_pagoefectivo.gateways.wire import LIMA
from django_pagoefectivo.models import ApiExchange, Payment
from django_pagoefectivo.services import (
    Customer,
    cancel_payment,
    create_payment,
    extend_payment,
    poll,
)
from django_pagoefectivo.services.validation import DEEPEST_METADATA
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import listening
from tests.servers import PAID, PagoEfectivo, Reply
from tests.shop.models import Order

from .kit import CUSTOMER, Probe, at_once, nested, notify, refresh, say

pytestmark = pytest.mark.django_db(transaction=True)


def create(**kwargs: Any) -> Payment:
    return create_payment(
        **{"order_reference": "A-1", "amount": Decimal("22.05"), "customer": CUSTOMER, **kwargs}
    )


def customer(**kwargs: Any) -> Customer:
    return Customer(**{"email": "a@example.com", **kwargs})


def within_itself() -> dict[str, Any]:
    """Metadata without an end."""
    endless: dict[str, Any] = {}
    endless["a"] = [endless] * 9
    return endless


# -- what is refused, before any call and any row ----------------------------------------

FUTURE = timedelta(hours=1)
REFUSED: list[tuple[str, dict[str, Any]]] = [
    *[
        ("amount", {"amount": value})
        for value in (
            0,
            -1,
            Decimal("-0.01"),
            Decimal("0.001"),
            Decimal("1.005"),
            Decimal("10000000000000.00"),
            10**13,
            10**5000,
            Decimal("1E+1000"),
            Decimal("NaN"),
            Decimal("sNaN"),
            Decimal("Infinity"),
            22.05,
            "22.05",
            True,
            None,
        )
    ],
    *[("currency", {"currency": c}) for c in ("EUR", "pen", "", None, "PENS", ["PEN"])],
    *[
        ("order_reference", {"order_reference": r})
        for r in ("", " ", "x" * 65, "a\x00b", "a\nb", "\ud800", 5, None)
    ],
    *[("description", {"description": d}) for d in ("\x00", "\udfff", None, b"x")],
    *[
        ("email", {"customer": customer(email=e)})
        for e in ("", "nobody", "a@b", "a b@example.com", "a" * 250 + "@x.pe", "a@example.com\x00")
    ],
    *[
        ("document_number", {"customer": customer(document_type="DNI", document_number=n)})
        for n in ("1" * 15, "1" * 30)
    ],
    *[
        ("document_type", {"customer": customer(document_type=t, document_number="1")})
        for t in ("RUC", "dni", "X" * 20)
    ],
    *[
        ("phone", {"customer": customer(phone=p)})
        for p in ("1" * 16, "abc", "+51987654321", "98765x4321", "٩٨٧٦٥٤")
    ],
    *[
        ("phone_country_code", {"customer": customer(phone_country_code=c)})
        for c in ("+51999", "peru", "+", "++51")
    ],
    *[("ubigeo", {"customer": customer(ubigeo=u)}) for u in ("15013", "1501301", "abcdef")],
    ("customer", {"customer": "a@example.com"}),
    ("customer", {"customer": None}),
    ("expires_in", {"expires_in": timedelta(0)}),
    ("expires_in", {"expires_in": timedelta(hours=-1)}),
    ("expires_in", {"expires_in": 3600}),
    ("expires_in", {"expires_in": timedelta.max}),
    ("expires_at", {"expires_at": datetime(2099, 1, 1)}),  # noqa: DTZ001
    ("expires_at", {"expires_at": "2099-01-01"}),
    ("expires_at", {"expires_at": datetime(9999, 12, 31, 23, 59, tzinfo=LIMA)}),
    ("expires_at", {"expires_at": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)}),
    ("expires_in", {"expires_in": datetime(9999, 12, 31, tzinfo=UTC) - timezone.now()}),
    ("metadata", {"metadata": [1]}),
    ("metadata", {"metadata": {"when": object()}}),
    ("metadata", {"metadata": {"x": float("nan")}}),
    ("metadata", {"metadata": {"x": "\x00"}}),
    ("metadata", {"metadata": {"x": "\ud800"}}),
    ("metadata", {"metadata": nested(DEEPEST_METADATA + 1)}),
    ("metadata", {"metadata": {"a": [nested(DEEPEST_METADATA - 1)]}}),
    ("metadata", {"metadata": nested(50_000)}),
    ("metadata", {"metadata": within_itself()}),
]


@pytest.mark.parametrize(("field", "wrong"), REFUSED)
def test_refused_with_the_field(field: str, wrong: dict[str, Any], pe: PagoEfectivo) -> None:
    with pytest.raises(InvalidPayment) as caught:
        create(**wrong)
    assert caught.value.field == field
    assert isinstance(caught.value, ValueError | PagoEfectivoError)
    assert Payment.objects.count() == 0
    assert pe.calls == []


def test_past_deadlines_are_refused(pe: PagoEfectivo) -> None:
    with pytest.raises(InvalidPayment):
        create(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(InvalidPayment):
        create(expires_at=timezone.now() + FUTURE, expires_in=FUTURE)
    assert Payment.objects.count() == 0


@pytest.mark.parametrize(
    "deadline",
    [
        datetime.max.replace(tzinfo=UTC),
        # In UTC, as it is stored, it is in the year 10000.
        datetime.max.replace(tzinfo=LIMA),
        datetime(2199, 1, 1, tzinfo=UTC),
    ],
)
def test_deadlines_that_never_come_are_refused(deadline: datetime, pe: PagoEfectivo) -> None:
    with pytest.raises(InvalidPayment, match="ten years") as caught:
        create(expires_at=deadline)
    assert caught.value.field == "expires_at"
    payment = create()
    with pytest.raises(InvalidPayment, match="ten years"):
        extend_payment(payment, expires_at=deadline)
    assert pe.counts["extend"] == 0
    for term in (timedelta(days=4000), timedelta.max):
        with pytest.raises(InvalidPayment):
            create(expires_in=term, order_reference="A-2")
    assert pe.counts["create"] == 1


def test_no_deadline_is_in_the_past_once_it_is_sent(pe: PagoEfectivo) -> None:
    """The wire has whole seconds; cutting them must not make a deadline that is over."""
    moment = datetime.fromisoformat("2026-11-23T12:00:00.600+00:00")
    with time_machine.travel(moment, tick=False):
        for wish in (
            {"expires_at": moment + timedelta(milliseconds=300)},
            {"expires_in": timedelta(milliseconds=300)},
        ):
            try:
                payment = create(order_reference=str(uuid.uuid4()), **wish)
            except InvalidPayment:
                continue
            assert payment.expires_at > timezone.now(), wish


def test_an_order_that_is_not_saved_is_refused(pe: PagoEfectivo) -> None:
    with pytest.raises((InvalidPayment, ValueError)):
        create(order=Order(number="1"))
    assert Payment.objects.count() == 0
    assert pe.calls == []


@pytest.mark.parametrize(
    "amount", [1, Decimal("0.01"), Decimal("9999999999999.99"), Decimal("25.0"), Decimal("1E+3")]
)
def test_amounts_arrive_exactly(amount: Any, pe: PagoEfectivo) -> None:
    payment = create(amount=amount)
    assert refresh(payment).amount == amount
    (call,) = pe.of("create")
    assert call.data["amount"] == amount


def test_long_names_are_kept_whole_and_sent_cut(pe: PagoEfectivo) -> None:
    name = "María de los Ángeles Guadalupe Ñusta"
    payment = create(customer=customer(first_name=name, last_name=name, country="P" * 40))
    assert refresh(payment).customer_first_name == name
    data = pe.of("create")[0].data
    assert data["userName"] == name[:30]
    assert data["userLastName"] == name[:30]
    assert len(data["userCountry"]) == 20


def test_metadata_may_speak_of_a_nul(pe: PagoEfectivo) -> None:
    said = {"x": "\\u0000 is how JSON writes it, and \\\\u0000 is not"}
    assert refresh(create(metadata=said)).metadata == said
    for nul in ("\x00", "\\\x00", "\\u0000\x00"):
        with pytest.raises(InvalidPayment):
            create(metadata={"x": nul}, order_reference="A-2")


def test_metadata_may_be_as_deep_as_every_database_keeps(pe: PagoEfectivo) -> None:
    deepest = nested(DEEPEST_METADATA)
    assert refresh(create(metadata=deepest)).metadata == deepest


def test_everything_is_sent_and_kept(pe: PagoEfectivo) -> None:
    order = Order.objects.create(number="77")
    deadline = datetime.fromisoformat("2030-01-02T03:04:05.999999+00:00")
    payment = create(
        order=order,
        expires_at=deadline,
        description="Zapatos N° 42 — señora",
        metadata={"cart": [1, 2], "ñ": None},
        customer=customer(phone="(987) 654-321", phone_country_code="+51", customer_id="u-7"),
    )
    row = refresh(payment)
    assert row.order == order
    assert list(Payment.objects.for_order(order)) == [row]
    assert row.metadata == {"cart": [1, 2], "ñ": None}
    assert (row.status, row.cip, row.customer_phone) == ("pending", "10000001", "987654321")
    assert row.expires_at == deadline.replace(microsecond=0)
    call = pe.of("create")[0]
    assert call.data["dateExpiry"] == "2030-01-01T22:04:05-05:00"
    assert call.data["userPhone"] == "987654321"
    assert call.data["paymentConcept"] == "Zapatos N° 42 — señora"
    assert call.data["transactionCode"] == row.transaction_code
    assert 1 <= len(row.transaction_code) <= 36
    assert call.headers["Authorization"] == f"Bearer {pe.tokens[0]}"


# -- idempotency -------------------------------------------------------------------------


def test_the_same_wish_returns_the_open_payment(pe: PagoEfectivo, probe: Probe) -> None:
    first = create()
    again = create(amount=Decimal("22.050"), description="other words")
    assert again.pk == first.pk
    assert again.cip == first.cip
    assert pe.counts == {"authorize": 1, "create": 1}
    assert probe.signals == ["payment_created", "payment_pending"]


@pytest.mark.parametrize("other", [{"amount": Decimal("22.06")}, {"currency": "USD"}])
def test_another_wish_is_refused_while_open(other: dict[str, Any], pe: PagoEfectivo) -> None:
    first = create()
    with pytest.raises(OrderAlreadyOpen) as caught:
        create(**other)
    assert caught.value.payment == first
    assert pe.counts["create"] == 1


def test_references_that_only_look_alike_are_other_orders(pe: PagoEfectivo) -> None:
    for reference in ("A-1", "a-1", "A-1 ", " A-1", "Á-1", "A-1\u200d"[:3]):
        create(order_reference=reference)
    assert pe.counts["create"] == 5  # the last one is "A-1" again
    assert Payment.objects.open().count() == 5


def test_a_paid_order_is_refused(pe: PagoEfectivo) -> None:
    payment = create()
    notify(payment)
    for again in ({}, {"supersede": True}, {"amount": Decimal(1)}):
        with pytest.raises(OrderAlreadyPaid) as caught:
            create(**again)
        assert caught.value.payment == payment
    assert pe.counts["create"] == 1


@pytest.mark.parametrize("status", ["expired", "cancelled", "failed", "refunded"])
def test_after_the_end_a_new_one_is_made(status: str, pe: PagoEfectivo) -> None:
    old = make_payment(status, order_reference="A-1")
    new = create()
    assert new.pk != old.pk
    assert new.transaction_code != old.transaction_code
    assert new.status == "pending"


def test_an_overdue_open_payment_gives_way(pe: PagoEfectivo, probe: Probe) -> None:
    old = create(expires_in=FUTURE)
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        new = create(amount=Decimal("30.00"))
    assert (refresh(old).status, new.status) == ("expired", "pending")
    assert len(probe.of("payment_expired", old)) == 1


def test_an_overdue_open_payment_that_was_paid_is_not_replaced(pe: PagoEfectivo) -> None:
    old = create(expires_in=FUTURE)
    pe.codes[str(old.cip)].status = PAID
    in_time = time_machine.travel(timezone.now() + timedelta(hours=2))
    with in_time, pytest.raises(OrderAlreadyPaid):
        create()
    assert pe.counts["create"] == 1
    assert refresh(old).status == "paid"


@pytest.mark.parametrize("said", [{"amount": 1}, {"amount": None}, {"currency": "USD"}])
def test_an_overdue_one_that_was_paid_with_other_money_is_not_replaced(
    said: dict[str, Any], pe: PagoEfectivo
) -> None:
    """Somebody paid on it, so a person looks before anybody is asked to pay again."""
    old = create(expires_in=FUTURE)
    say(pe, old, **said)
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        again = create()
    assert again.pk == old.pk
    assert again.status == "pending"
    assert again.attention
    assert pe.counts["create"] == 1


def test_an_overdue_open_payment_gives_way_while_pagoefectivo_is_down(pe: PagoEfectivo) -> None:
    old = create(expires_in=FUTURE)
    down = Reply(500, b"down", "text/html")
    pe.fail_next("search", down, down)
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        new = create()
    assert (refresh(old).status, new.status) == ("expired", "pending")


# -- errors and what they leave ----------------------------------------------------------


def test_rejected(pe: PagoEfectivo, probe: Probe) -> None:
    answer = (
        '{"code":"111","message":"Solicitud con datos inválidos.",'
        '"data":[{"code":"112","message":"Requerido.","field":"amount"}]}'
    )
    pe.fail_next("create", Reply(400, answer.encode()))
    with pytest.raises(RequestRejected) as caught:
        create()
    error = caught.value
    assert (error.code, error.api_message) == ("111", "Solicitud con datos inválidos.")
    assert [(e.field, e.code, e.message) for e in error.errors] == [("amount", "112", "Requerido.")]
    row = Payment.objects.get()
    assert error.payment == row
    assert (row.status, row.failure_code, row.open_key) == ("failed", "111", None)
    assert probe.signals == ["payment_created", "payment_failed"]
    assert create().status == "pending"


def test_wrong_credentials(pe: PagoEfectivo) -> None:
    pe.fail_next("authorize", Reply(401, b'{"code":"508","message":"no","data":null}'))
    with pytest.raises(AuthenticationFailed):
        create()
    assert Payment.objects.get().status == "failed"
    assert pe.counts["create"] == 0
    assert create().status == "pending"


def test_a_refused_token_is_renewed_once(pe: PagoEfectivo) -> None:
    refused = Reply(401, b'{"code":"508","message":"token"}')
    pe.fail_next("create", refused)
    assert create().status == "pending"
    assert pe.counts == {"authorize": 2, "create": 2}
    pe.fail_next("create", refused, refused, refused)
    with pytest.raises(AuthenticationFailed):
        create(order_reference="A-2")
    assert pe.counts["create"] == 4
    assert Payment.objects.get(order_reference="A-2").status == "failed"


def test_what_the_caller_is_just_handling_says_nothing_about_this_call(
    pe: PagoEfectivo, configure: Callable[..., None]
) -> None:
    """A shop repeats in its ``except`` block what never left; now it leaves, and is cut."""
    pe.fail_next("create", Reply(does_it=True, cut=True))
    configure(merchant={"BASE_URL": "http://127.0.0.1:9/v1"})
    try:
        create()
    except GatewayUnavailable:
        configure(merchant={"BASE_URL": pe.url})
        with pytest.raises(OutcomeUnknown):
            create()
        with pytest.raises(OutcomeUnknown):
            create()
    assert len(pe.codes) == 1
    pe.fail_next("delete", Reply(does_it=True, cut=True))
    payment = create(order_reference="A-2")
    try:
        requests.get("http://127.0.0.1:9/", timeout=5)
    except requests.ConnectionError:
        with pytest.raises(OutcomeUnknown):
            cancel_payment(payment)


def test_nobody_there(configure: Callable[..., None], probe: Probe) -> None:
    configure(merchant={"BASE_URL": "http://127.0.0.1:9/v1"})
    with pytest.raises(GatewayUnavailable) as caught:
        create()
    assert isinstance(caught.value, ConnectionError)
    assert Payment.objects.get().status == "failed"
    assert probe.signals == ["payment_created", "payment_failed"]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_no_token_to_be_had_means_the_create_never_left(status: int, pe: PagoEfectivo) -> None:
    down = Reply(status, b"<html>", "text/html")
    pe.fail_next("authorize", down, down)
    with pytest.raises(GatewayUnavailable):
        create()
    assert pe.counts["create"] == 0
    assert Payment.objects.get().status == "failed"


DOUBTS: dict[str, Reply] = {
    "cut after": Reply(does_it=True, cut=True),
    "cut before": Reply(cut=True),
    "500 json": Reply(500, b'{"code":"166","message":"Error interno."}'),
    "500 after": Reply(500, b'{"code":"166","message":"Error interno."}', does_it=True),
    "502 html": Reply(502, b"<html>Bad gateway</html>", "text/html"),
    "200 html": Reply(200, b"<html>Welcome</html>", "text/html", does_it=True),
    "201 empty": Reply(201, b"", does_it=True),
    "201 half": Reply(201, b'{"code":"100","data":{"cip":1000', does_it=True),
    "201 no cip": Reply(201, b'{"code":"100","data":{}}', does_it=True),
    "201 other code": Reply(201, b'{"code":"999","data":{"cip":1}}', does_it=True),
    "late": Reply(201, b"{}", does_it=True, delay=2.5),
    "404 html": Reply(404, b"<html>", "text/html"),
    "302": Reply(302, b""),
}


@pytest.mark.parametrize("fault", DOUBTS.values(), ids=DOUBTS)
def test_a_doubt_stays_a_doubt_until_a_notification_settles_it(
    fault: Reply, pe: PagoEfectivo, probe: Probe
) -> None:
    pe.fail_next("create", fault)
    with pytest.raises(OutcomeUnknown) as caught:
        create()
    row = Payment.objects.get()
    assert caught.value.payment == row
    assert (row.status, row.attention, row.cip) == ("created", "outcome_unknown", None)
    assert pe.counts["create"] == 1
    with pytest.raises(OutcomeUnknown) as again:
        create()
    assert again.value.payment == row
    with pytest.raises(OutcomeUnknown):
        create(amount=Decimal("30.00"))
    assert pe.counts["create"] == 1, "repeated blindly"
    notify(row, cip="10000001", code=row.transaction_code)
    row = refresh(row)
    assert (row.status, row.cip, row.attention) == ("paid", "10000001", "outcome_unknown")
    assert len(probe.of("payment_confirmed")) == 1
    assert {h.reason for h in probe.of("payment_flagged")} == {"outcome_unknown"}
    with pytest.raises(OrderAlreadyPaid):
        create(supersede=True)


def test_a_person_may_supersede_a_doubt(pe: PagoEfectivo) -> None:
    pe.fail_next("create", DOUBTS["cut after"])
    with pytest.raises(OutcomeUnknown):
        create()
    new = create(supersede=True)
    assert new.status == "pending"
    old = Payment.objects.exclude(pk=new.pk).get()
    assert (old.status, old.attention, old.open_key) == ("created", "outcome_unknown", None)
    assert create().pk == new.pk
    assert create(supersede=True).pk == new.pk
    assert pe.counts["create"] == 2


def test_another_cip_that_we_already_have_is_a_doubt(pe: PagoEfectivo) -> None:
    other = make_payment(cip="10000001")
    with pytest.raises(OutcomeUnknown):
        create()
    row = Payment.objects.exclude(pk=other.pk).get()
    assert (row.status, row.attention, row.cip) == ("created", "outcome_unknown", None)


@pytest.mark.parametrize(
    "answer",
    [
        '{"code":100,"data":{"cip":7,"transactionCode":"SOMEBODY"}}',
        '{"code":100,"data":{"cip":7,"amount":1}}',
        '{"code":100,"data":{"cip":7,"currency":"USD"}}',
    ],
)
def test_an_answer_about_something_else_is_a_doubt(answer: str, pe: PagoEfectivo) -> None:
    pe.fail_next("create", Reply(201, answer.encode()))
    with pytest.raises(OutcomeUnknown):
        create()
    assert Payment.objects.get().status == "created"


def test_the_row_is_on_disk_before_the_call(pe: PagoEfectivo) -> None:
    seen: list[Any] = []

    def look(call: Any) -> None:
        seen.extend(Payment.objects.values_list("transaction_code", "status"))
        connections.close_all()

    pe.gates["create"] = look
    payment = create()
    assert seen == [(payment.transaction_code, "created")]


@pytest.mark.parametrize(
    ("reason", "stays"), [("outcome_unknown", ""), ("status_conflict", "status_conflict")]
)
def test_a_flag_raised_while_the_code_is_made(pe: PagoEfectivo, reason: str, stays: str) -> None:
    """The answer voids the doubt about itself, and nothing else that waits for a person."""
    pe.after["create"] = lambda _: at_once(lambda: Payment.objects.update(attention=reason))
    payment = create()
    assert (payment.status, payment.attention) == ("pending", stays)
    found = refresh(payment)
    assert (found.status, found.attention) == ("pending", stays)


def test_the_database_goes_away_after_the_call(
    pe: PagoEfectivo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer cannot be written: the doubt must survive, and not be repeated."""
    from django_pagoefectivo.services import payments

    def gone(*args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(payments, "_take_code", gone)
        with pytest.raises(OperationalError):
            create()
    row = Payment.objects.get()
    assert row.status == "created"
    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        with pytest.raises(OutcomeUnknown):
            create()
        poll()
    assert refresh(row).attention == "outcome_unknown"
    assert pe.counts["create"] == 1


def test_a_receiver_or_its_bookkeeping_cannot_stop_the_call(
    pe: PagoEfectivo, monkeypatch: pytest.MonkeyPatch, probe: Probe
) -> None:
    from django_pagoefectivo.services import delivery

    def gone(row: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "_mine", gone)
        payment = create()
    assert payment.status == "pending"


# -- transactions ------------------------------------------------------------------------


def test_refused_inside_a_transaction_with_the_mend(pe: PagoEfectivo) -> None:
    with transaction.atomic(), pytest.raises(InsideTransaction) as caught:
        create()
    text = str(caught.value)
    assert "non_atomic_requests" in text
    assert "on_commit" in text
    assert "durable=False" in text
    assert not isinstance(caught.value, PagoEfectivoError)
    assert Payment.objects.count() == 0
    assert pe.calls == []


def test_waived_with_durable_false(pe: PagoEfectivo, probe: Probe) -> None:
    with transaction.atomic():
        payment = create(durable=False)
        assert payment.status == "pending"
        assert probe.heard == []
    assert refresh(payment).status == "pending"
    assert probe.signals == ["payment_created", "payment_pending"]


def test_on_commit_is_a_way_out(pe: PagoEfectivo) -> None:
    made: list[Payment] = []
    with transaction.atomic():
        transaction.on_commit(lambda: made.append(create()))
    assert made[0].status == "pending"


class InsideATestCase(TestCase):
    """What a shop's own tests do."""

    def test_allowed(self) -> None:
        from django.conf import settings

        with PagoEfectivo() as server:
            merchants: dict[str, Any] = settings.PAGOEFECTIVO["MERCHANTS"]
            changed = {**merchants, "default": {**merchants["default"], "BASE_URL": server.url}}
            with (
                self.settings(PAGOEFECTIVO={**settings.PAGOEFECTIVO, "MERCHANTS": changed}),
                listening(probe := Probe(), "tests.testcase"),
                self.captureOnCommitCallbacks(execute=True),
            ):
                payment = create()
        assert payment.status == "pending"
        assert probe.signals == ["payment_created", "payment_pending"]
        with transaction.atomic(), pytest.raises(InsideTransaction):
            create()


# -- how often it calls ------------------------------------------------------------------


@pytest.mark.parametrize(
    "creates", [50, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.once])]
)
def test_each_create_is_one_call_and_all_share_one_token(pe: PagoEfectivo, creates: int) -> None:
    for number in range(creates):
        create(order_reference=f"N-{number}")
    assert pe.counts == {"authorize": 1, "create": creates}
    assert Payment.objects.filter(status="pending").count() == creates
    assert ApiExchange.objects.count() == creates + 1

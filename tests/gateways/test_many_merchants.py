"""Several services and several shops in one database, from the settings or from elsewhere."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from django_pagoefectivo.conf import forget_merchants, get_config, sources
from django_pagoefectivo.exceptions import InvalidPayment, OrderAlreadyOpen, OrderAlreadyPaid
from django_pagoefectivo.models import ApiExchange, Outcome, Payment, Status, WebhookEvent
from django_pagoefectivo.pages.links import shop_url
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.services import Customer, create_payment, sync_payments
from django_pagoefectivo.services.pruning import prune
from tests.shop.models import Account

from .contracts import CIP, PAYMENT

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/pagoefectivo/webhook/"
KEYS = {name: f"{name}-secret-key-not-real-0123456789abcdef" for name in ("pen", "usd", "bazaar")}
Change = Callable[..., None]


@pytest.fixture
def change(live_server: Any, transactional_db: None, settings: Any) -> Change:
    """Set the merchants: PEN and USD of one shop, and another shop with the other contract."""

    def change(**changes: dict[str, Any]) -> None:
        host = live_server.url
        merchants = {
            "pen": CIP.entry(
                host, SERVICE_ID="1", SECRET_KEY=KEYS["pen"], CURRENCIES=["PEN"], SHOP="main"
            ),
            "usd": CIP.entry(
                host, SERVICE_ID="2", SECRET_KEY=KEYS["usd"], CURRENCIES=["USD"], SHOP="main"
            ),
            "bazaar": PAYMENT.entry(host, SERVICE_ID="B-3", SECRET_KEY=KEYS["bazaar"]),
        }
        settings.PAGOEFECTIVO = {
            "MERCHANTS": {
                name: {**entry, **changes.get(name, {})} for name, entry in merchants.items()
            },
            "SITE_URL": host,
            "TIMEOUT": (2, 4),
        }

    change()
    return change


def buy(**changes: Any) -> Payment:
    values: dict[str, Any] = {
        "order_reference": "A-1",
        "amount": 25,
        "customer": Customer(email="ana@shop.example"),
    }
    return create_payment(**{**values, **changes})


def post(body: bytes, key: str, url: str = URL, header: str = CIP.header, **meta: Any) -> Any:
    signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return Client().post(
        url, body, content_type="application/json", headers={header: signature}, **meta
    )


def news(payment: Payment) -> bytes:
    name = payment.cip or payment.remote_id
    control.pay(name, notify=False)
    return control.build_notification(control.code(name))


def status(payment: Payment) -> str:
    return Payment.objects.get(pk=payment.pk).status


class TestTheCurrencyPicks:
    def test_the_one_merchant_that_takes_it(self, change: Change) -> None:
        payment = buy(merchant=None, currency="USD")
        assert payment.merchant == "usd"
        assert control.code(payment.cip or "").service_id == "2"

    def test_among_those_that_are_named(self, change: Change) -> None:
        assert buy(merchant=["pen", "usd"], currency="PEN").merchant == "pen"
        assert buy(merchant=("usd", "bazaar"), currency="PEN").merchant == "bazaar"

    def test_more_than_one_is_a_fault_of_the_shop(self, change: Change) -> None:
        with pytest.raises(ImproperlyConfigured, match=r"\(pen, bazaar\).*merchant=<name>"):
            buy(merchant=None)
        assert Payment.objects.count() == 0

    def test_none_is_a_fault_of_the_wish(self, change: Change) -> None:
        with pytest.raises(InvalidPayment, match="'EUR' is taken by no merchant") as caught:
            buy(merchant=None, currency="EUR")
        assert caught.value.field == "currency"
        with pytest.raises(InvalidPayment, match="none at all"):
            buy(merchant=[])

    def test_a_name_that_is_not_configured(self, change: Change) -> None:
        for wanted in ("nobody", ["pen", "nobody"]):
            with pytest.raises(ImproperlyConfigured, match='no merchant "nobody"'):
                buy(merchant=wanted)

    @pytest.mark.parametrize("currency", [None, 5, ["PEN"]], ids=repr)
    def test_a_currency_that_is_none(self, change: Change, currency: Any) -> None:
        with pytest.raises(InvalidPayment):
            buy(merchant=None, currency=currency)


class TestOneShop:
    def test_an_order_is_open_in_one_currency_only(self, change: Change) -> None:
        first = buy(merchant=None, currency="USD")
        with pytest.raises(OrderAlreadyOpen) as caught:
            buy(merchant="pen")
        assert caught.value.payment == first

    def test_an_order_is_paid_once(self, change: Change) -> None:
        first = buy(merchant="usd", currency="USD")
        control.pay(first.cip or "")
        with pytest.raises(OrderAlreadyPaid):
            buy(merchant="pen")
        assert list(Payment.objects.for_order("A-1", merchant="pen")) == [first]

    def test_another_shops_order_of_the_same_number_is_another(self, change: Change) -> None:
        first, second = buy(merchant="pen"), buy(merchant="bazaar")
        assert first.pk != second.pk
        control.pay(second.remote_id)
        assert (status(first), status(second)) == (Status.PENDING, Status.PAID)


class TestNotifications:
    def test_each_key_speaks_for_its_own_merchant(self, change: Change) -> None:
        pen, bazaar = buy(merchant="pen"), buy(merchant="bazaar")
        assert post(news(pen), KEYS["pen"]).content == b"applied"
        header = PAYMENT.header
        assert post(news(bazaar), KEYS["bazaar"], header=header).content == b"applied"
        assert (status(pen), status(bazaar)) == (Status.PAID, Status.PAID)

    def test_anothers_key_moves_nothing_though_the_cip_exists(self, change: Change) -> None:
        pen = buy(merchant="pen")
        body = news(pen)
        assert post(body, KEYS["usd"], URL + "pen/").status_code == 403
        assert post(body, KEYS["usd"]).content == b"unmatched"
        # Nor does a genuine key in the other contract's header.
        assert post(body, KEYS["pen"], header=PAYMENT.header).status_code == 403
        assert status(pen) == Status.PENDING

    def test_from_the_networks_of_the_merchant_only(self, change: Change) -> None:
        change(pen={"ALLOWED_IPS": ["203.0.113.0/24"]})
        pen, usd = buy(merchant="pen"), buy(merchant="usd", currency="USD", order_reference="B")
        body = news(pen)
        assert post(body, KEYS["pen"]).status_code == 403
        assert post(body, KEYS["pen"], URL + "pen/").status_code == 403
        assert post(news(usd), KEYS["usd"]).content == b"applied"
        assert post(body, KEYS["pen"], REMOTE_ADDR="203.0.113.7").content == b"applied"

    def test_a_broken_merchant_does_not_stop_the_others(
        self, change: Change, caplog: pytest.LogCaptureFixture
    ) -> None:
        pen = buy(merchant="pen")
        body = news(pen)
        change(usd={"CURRENCIES": []})
        assert post(body, KEYS["pen"]).content == b"applied"
        # It may be the broken one's: PagoEfectivo must send it again.
        assert post(body.replace(b"25.00", b"25.01"), KEYS["usd"]).status_code == 503
        assert post(body, KEYS["usd"], URL + "usd/").status_code == 503
        assert post(body, "forged", URL + "pen/").status_code == 403


class TestOptionsOfAMerchant:
    def test_they_hold_from_the_call_to_the_page(self, change: Change) -> None:
        change(
            usd={
                "EXPIRES_IN": timedelta(hours=2),
                "EXCHANGE_LOG": False,
                "SITE_URL": "https://usd.example",
                "RETURN_URL": "https://usd.example/thanks/",
            },
            bazaar={"SITE_URL": "https://bazaar.example"},
        )
        pen = buy(merchant="pen")
        usd = buy(merchant="usd", currency="USD", order_reference="B")
        bazaar = buy(merchant="bazaar")
        assert usd.expires_at - usd.created_at <= timedelta(hours=2)
        assert pen.expires_at - pen.created_at > timedelta(hours=23)
        assert set(ApiExchange.objects.values_list("merchant", flat=True)) == {"pen", "bazaar"}
        assert shop_url(usd) == "https://usd.example/thanks/"
        assert shop_url(bazaar) == "https://bazaar.example"
        code = control.code(bazaar.remote_id)
        assert code.callback_url == "https://bazaar.example/pagoefectivo/webhook/bazaar/"
        assert code.return_url == f"https://bazaar.example{bazaar.get_absolute_url()}return/"

    def test_the_status_query_in_doubt(self, change: Change) -> None:
        change(usd={"CONFIRM_WITH_STATUS_QUERY": True})
        pen = buy(merchant="pen")
        usd = buy(merchant="usd", currency="USD", order_reference="B")
        for payment, key in ((pen, "pen"), (usd, "usd")):
            control.arm(control.ApiFault.ERROR_500, "search", times=2)
            assert post(news(payment), KEYS[key]).status_code == 200
            control.disarm()
        assert (status(pen), status(usd)) == (Status.PAID, Status.PENDING)

    def test_how_many_are_asked_about_in_a_call(self, change: Change) -> None:
        change(usd={"SEARCH_BATCH_SIZE": 1})
        for number in range(3):
            buy(merchant="pen", order_reference=f"P-{number}")
            buy(merchant="usd", currency="USD", order_reference=f"U-{number}")
        assert sync_payments(Payment.objects.all()).failed == 0
        calls = control.calls("search")
        assert (calls.filter(service_id="1").count(), calls.filter(service_id="2").count()) == (
            1,
            3,
        )

    def test_what_is_kept_of_refused_ones(self, change: Change) -> None:
        change(pen={"REJECTED_EVENTS_KEPT": 0}, usd={"REJECTED_EVENTS_KEPT": 2})
        for name in ("pen", "usd"):
            for number in range(4):
                post(b"{%d}" % number, "forged", f"{URL}{name}/")
        kept = WebhookEvent.objects.filter(outcome=Outcome.REJECTED)
        assert [event.merchant for event in kept] == ["usd", "usd"]

    def test_how_long_it_is_kept(self, change: Change) -> None:
        change(usd={"RETENTION": {"exchanges": timedelta(days=1)}})
        old = timezone.now() - timedelta(days=2)
        for name in ("pen", "usd", "gone"):
            ApiExchange.objects.create(
                merchant=name, operation="create", method="POST", url="x", created_at=old
            )
        assert prune().exchanges == 1
        assert set(ApiExchange.objects.values_list("merchant", flat=True)) == {"pen", "gone"}


class TestMerchantsInTheDatabase:
    @pytest.fixture(autouse=True)
    def accounts(self, live_server: Any, transactional_db: None, settings: Any) -> Iterator[None]:
        settings.PAGOEFECTIVO = {
            "MERCHANTS": "tests.shop.accounts.merchants",
            "SITE_URL": live_server.url,
            "TIMEOUT": (2, 4),
        }
        self.host = live_server.url
        self.account("pen")
        yield
        forget_merchants()

    def account(self, name: str, **changes: Any) -> Account:
        number = str(Account.objects.count() + 1)
        values = {
            "base_url": f"{self.host}/sandbox/v1",
            "service_id": number,
            "access_key": "TESTACCESSKEY0000001",
            "secret_key": KEYS[name],
        }
        return Account.objects.create(name=name, **{**values, **changes})

    def test_a_purchase(self) -> None:
        payment = buy(merchant="pen")
        (sent,) = control.pay(payment.cip or "")
        assert sent.accepted
        assert status(payment) == Status.PAID

    def test_a_new_one_is_there_at_once_and_a_closed_one_gone(self) -> None:
        get_config().merchants()
        usd = self.account("usd", currency="USD")
        payment = buy(merchant=None, currency="USD")
        assert payment.merchant == "usd"
        usd.is_active = False
        usd.save()
        with pytest.raises(InvalidPayment):
            buy(merchant=None, currency="USD", order_reference="B")

    def test_made_in_another_process_its_notifications_are_taken_all_the_same(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sources, "ASK_AGAIN_AFTER", 0.0)
        payment = buy(merchant="pen")
        body = news(payment)
        # Changed without this process's signals, as from elsewhere.
        Account.objects.filter(name="pen").update(secret_key=KEYS["usd"])
        Account.objects.bulk_create(
            [Account(name="bazaar", service_id="9", secret_key=KEYS["bazaar"], access_key="x")]
        )
        assert get_config().merchant_names == ("pen",)
        assert post(body, KEYS["usd"], URL + "pen/").content == b"applied"
        assert post(body, KEYS["bazaar"], URL + "bazaar/").content == b"unmatched"

    def test_a_flood_of_forged_ones_does_not_reach_it(
        self, django_assert_max_num_queries: Any, settings: Any
    ) -> None:
        settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "REJECTED_EVENTS_KEPT": 0}
        get_config().merchants()
        with django_assert_max_num_queries(0):
            for number in range(20):
                assert post(b'{"n": %d}' % number, "forged").status_code == 403
                assert post(b"{}", "forged", f"{URL}nobody{number}/").status_code == 404

    def test_away_from_the_start_nothing_is_refused_for_good(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        payment = buy(merchant="pen")
        body = news(payment)
        self.break_down(monkeypatch)
        forget_merchants()
        for url in (URL, URL + "pen/", URL + "nobody/"):
            assert post(body, KEYS["pen"], url).status_code == 503
        assert Client().get(payment.get_absolute_url()).status_code == 200
        monkeypatch.undo()
        assert post(body, KEYS["pen"]).content == b"applied"

    def test_away_for_an_hour_the_last_answer_serves(
        self, monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "MERCHANTS_MAX_AGE": timedelta(0)}
        payment = buy(merchant="pen")
        body = news(payment)
        self.break_down(monkeypatch)
        assert post(body, KEYS["pen"]).content == b"applied"
        assert status(payment) == Status.PAID

    def break_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*args: Any, **kwargs: Any) -> Any:
            raise OperationalError("the accounts' database is away")

        monkeypatch.setattr(Account.objects, "filter", fails)


def test_amounts_do_not_travel_between_merchants(change: Change) -> None:
    pen = buy(merchant="pen", amount=Decimal("25.00"))
    usd = buy(merchant="usd", currency="USD", order_reference="B", amount=Decimal("25.00"))
    body = news(pen).replace(b'"PEN"', b'"USD"')
    assert post(body, KEYS["pen"]).content == b"mismatch"
    assert (status(pen), status(usd)) == (Status.PENDING, Status.PENDING)

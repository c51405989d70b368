"""Page by page, what is done with the blocks that their language alone does not tell."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import prometheus_client
import pytest
import yaml
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.urls.resolvers import URLPattern
from django.utils import translation

from django_pagoefectivo import metrics, prometheus
from django_pagoefectivo.conf import Config, get_config
from django_pagoefectivo.gateways.registry import check_merchant
from django_pagoefectivo.models import Payment
from django_pagoefectivo.signals import payment_confirmed, payment_pending
from django_pagoefectivo.testing import make_payment
from tests.celery.conftest import celery_here
from tests.promises.kit import body_of, notify, post
from tests.shop.models import Booking

from . import http
from .languages import catalogue
from .reading import Reading, made_up

Play = Callable[[Reading], None]
PLAYS: dict[str, Play] = {}


def play(*pages: str) -> Callable[[Play], Play]:
    """Name the pages that a function does."""

    def register(function: Play) -> Play:
        PLAYS.update(dict.fromkeys(pages, function))
        return function

    return register


@play("README.rst")
def readme(page: Reading) -> None:
    """An order is placed, paid, and the shop is told, with the README's code."""
    patched: pytest.MonkeyPatch = page.fixture("monkeypatch")
    pe = page.fixture("pe")
    for name in ("ACCESS_KEY", "SECRET_KEY"):
        patched.setenv(f"PAGOEFECTIVO_{name}", made_up(name))
    patched.setenv("PAGOEFECTIVO_SERVICE_ID", "1234")
    patched.setenv("PAGOEFECTIVO_BASE_URL", pe.url)
    names: dict[str, Any] = {"INSTALLED_APPS": []}
    settings = page.take("python").run(names)
    assert settings["INSTALLED_APPS"] == ["django_pagoefectivo"]
    page.fixture("settings").PAGOEFECTIVO = settings["PAGOEFECTIVO"]

    route = page.take("python")
    (pattern,) = eval(f"[{route.code}]", {"path": path, "include": include})  # noqa: S307
    assert pattern.resolve("pagoefectivo/webhook/").url_name == "webhook"

    paid: list[Booking] = []

    def mark_paid(order: Booking) -> None:
        paid.append(order)

    patched.setattr(Booking, "email", "ana@shop.example", raising=False)
    patched.setattr(Booking, "mark_paid", mark_paid, raising=False)
    Booking.objects.create(number="A-1001")
    view = page.take("python").run(Order=Booking)["pay"]
    assert view._non_atomic_requests
    answer: HttpResponse = view(
        RequestFactory().get("/", headers={"host": "shop.example"}), "A-1001"
    )
    payment = Payment.objects.get()
    assert answer.headers["Location"] == payment.get_absolute_url()
    assert Client().get(payment.get_absolute_url()).status_code == 200

    receiver = page.take("python").run()["order_is_paid"]
    try:
        secret = get_config().merchant("default").secret_key
        for _ in range(2):
            assert post(body_of(payment), secret=secret).status_code == 200
    finally:
        payment_confirmed.disconnect(receiver)
    assert [order.number for order in paid] == ["A-1001"]


@play("docs/tutorial.rst")
def tutorial(page: Reading) -> None:
    """Followed from the wheel in an empty folder, which takes its blocks in turn."""
    page.leave_to(
        "tests/packaging/test_tutorial.py::test_the_tutorial_takes_a_payment",
        *page.take_all("python"),
    )


@play("docs/quickstart-es.rst", "docs/quickstart-zh.rst")
def quickstart(page: Reading) -> None:
    """The tutorial's code, block by block."""
    page.leave_to(
        "tests/packaging/test_quickstarts.py::test_the_code_is_the_tutorials",
        *page.take_all("python"),
    )


@play("docs/howto/go-live.rst")
def go_live(page: Reading) -> None:
    """The proxy's header is believed, and nobody else's."""
    page.leave_to(
        "tests/rehearsal/test_rehearsal.py::test_the_lines_that_the_page_shows",
        page.take("literal"),
    )
    page.leave_to(
        "tests/rehearsal/test_rehearsal.py::test_the_docs_way_to_make_orders",
        page.take("python", caption="shop/rehearsal.py"),
    )
    page.settings(page.take("python"))
    payment = make_payment()
    for proxy, client, status in (
        ("10.1.2.3", "198.51.100.7", 403),
        ("198.51.100.7", "203.0.113.5", 403),
        ("10.1.2.3", "203.0.113.5", 200),
    ):
        answer = post(body_of(payment), REMOTE_ADDR=proxy, HTTP_X_FORWARDED_FOR=client)
        assert answer.status_code == status, (proxy, client)


@play("docs/howto/test-your-shop.rst")
def testing(page: Reading) -> None:
    """Copied into a project of its own and run there, each file."""
    blocks = page.take_all("python")
    page.leave_to("tests/testing/test_howto.py::test_every_snippet_runs", *blocks)


@play("docs/explanation/at-least-once.rst")
def at_least_once(page: Reading) -> None:
    """The second call does nothing, or carries the first one's name."""
    taken: list[Booking] = []
    shipped: list[tuple[str, str]] = []

    def ship(reference: str, *, idempotency_key: str) -> None:
        shipped.append((reference, idempotency_key))

    order = Booking.objects.create(number="A-1001")
    payment = make_payment("paid", order=order, order_reference="A-1001")
    ours = page.take("python").run(Order=Booking, take_from_stock=taken.append)
    theirs = page.take("python").run(warehouse=SimpleNamespace(ship=ship))
    for _ in range(2):
        ours["order_is_paid"](payment=payment, source="webhook")
        theirs["tell_the_warehouse"](payment=payment, source="webhook")
    assert taken == [order]
    assert Booking.objects.get().status == "paid"
    assert shipped == [("A-1001", str(payment.token))] * 2


@play("docs/howto/celery.rst")
def celery(page: Reading) -> None:
    """The settings hold together; the broker's lane does what they say."""
    with celery_here("memory://", "q"):
        delivery = page.settings(page.take("python", caption="settings.py"))
    assert delivery["PAGOEFECTIVO"]["SIGNAL_DELIVERY"] == "celery"
    schedule = page.take("python", caption="settings.py")
    page.leave_to("tests/celery/test_howto.py::test_the_schedule_does_its_work", schedule)
    routes = page.take("python", caption="settings.py").run()["CELERY_TASK_ROUTES"]
    (pattern,) = routes
    for entry in schedule.run()["CELERY_BEAT_SCHEDULE"].values():
        assert re.match(pattern, entry["task"])


@play("docs/howto/email.rst")
def email(page: Reading) -> None:
    """A code is asked for, and the mail goes out in the language of who asked."""
    page.fixture("pe")
    page.fixture("configure")(SITE_URL="https://shop.example")
    names: dict[str, Any] = {}
    with translation.override("es"), patch.object(payment_pending, "receivers", []):
        for block in page.take_all("python"):
            block.run(names)
        payment = names["payment"]
        assert [one.to for one in mail.outbox] == [["ana@shop.example"]]
        names["mail_instructions_in_their_language"](payment)
    english, spanish = mail.outbox
    assert "Paga antes de" in spanish.body
    for message in (english, spanish):
        assert f"https://shop.example{payment.get_absolute_url()}" in message.body
        assert isinstance(message, EmailMultiAlternatives)
        ((html, kind),) = message.alternatives
        assert kind == "text/html"
        assert "<ol" in str(html)


@play("docs/howto/languages.rst")
def languages(page: Reading) -> None:
    """Settings of Django's, and a text that can be translated anew."""
    for block in page.take_all("python"):
        assert block.caption == "settings.py"
        page.settings(block, BASE_DIR=page.fixture("tmp_path"))
    for code, _ in page.fixture("settings").LANGUAGES:
        with translation.override(code):
            said = {"es": "pagado", "zh-hans": "已付款"}.get(code, "paid")
            assert str(Payment.Status.PAID.label) == said
    catalogue(page.take("text", caption="locale/es/LC_MESSAGES/django.po"))


@play("docs/howto/headless.rst")
def headless(page: Reading) -> None:
    """The shop of the page is built, bought from by REST, and looked at by its staff."""
    for test, *captions in (
        ("test_the_model_says_what_it_costs", "shop/models.py"),
        ("test_a_purchase_as_in_the_how_to", "shop/payments.py", "settings.py"),
        ("test_staff_of_one_merchant_as_in_the_how_to", "shop/permissions.py", "settings.py"),
    ):
        blocks = [page.take("python", caption=caption) for caption in captions]
        page.leave_to(f"tests/api/test_docs.py::{test}", *blocks)
    page.leave_to(
        "tests/browser/test_docs.py::test_the_page_of_the_how_to_buys_and_waits",
        *page.take_all("javascript"),
    )
    page.fixture("pe")
    till = User.objects.create_user("till", password="its-password", is_staff=True)
    till.user_permissions.add(Permission.objects.get(codename="add_payment"))
    answer = http.send(page.take("shell"))
    assert answer.status_code == 201, answer.content
    assert http.shape(answer.json()) == http.shape_of(page.take("json"))


@play("docs/howto/theming.rst")
def theming(page: Reading) -> None:
    """The shop's own templates are found and used; the event reaches the page."""
    for name, test in (
        ("base.html", "test_the_shops_own_templates_are_used"),
        ("contact.html", "test_the_shops_own_words_are_used"),
        ("states/paid.html", "test_the_shops_own_words_are_used"),
    ):
        block = page.take("html+django", caption=f"templates/django_pagoefectivo/{name}")
        page.leave_to(f"tests/pages/test_howto.py::{test}", block)
    page.leave_to(
        "tests/browser/test_docs.py::test_the_page_hears_of_the_payment", page.take("javascript")
    )


@play("docs/howto/monitoring.rst")
def monitoring(page: Reading) -> None:
    """Health answers as shown, Prometheus scrapes, the rules speak of what there is."""
    notify(make_payment())
    answered = Client().get("/pagoefectivo/health/").json()
    assert http.shape(answered) == http.shape_of(page.take("json"))

    before = list(metrics._observers)
    page.take("python").run()
    added = [one for one in metrics._observers if one not in before]
    try:
        (route,) = page.take("python").run()["urlpatterns"]
        scraped = scrape(route)
        page.take("python").run()
        assert post(body_of(cip="1", amount=1, currency="PEN"), signature="0").status_code == 403
        (counts,) = [one for one in metrics._observers if one not in [*before, *added]]
        assert vars(counts)["refused"] == 1
    finally:
        for one in [*metrics._observers]:
            if one not in before:
                metrics.forget(one)
        uninstall_prometheus()
    (group,) = yaml.safe_load(page.take("yaml").code)["groups"]
    for rule in group["rules"]:
        (name,) = re.findall(r"pagoefectivo_\w+", rule["expr"])
        assert f"# TYPE {name} " in scraped, rule["alert"]
        assert rule["annotations"]["summary"]


def scrape(route: URLPattern) -> str:
    """What Prometheus gets there."""
    found = route.resolve("internal/metrics")
    assert found is not None
    answer: HttpResponse = found.func(RequestFactory().get("/internal/metrics"))
    return answer.content.decode()


def uninstall_prometheus() -> None:
    registry = prometheus_client.REGISTRY
    for collector in list(registry._collector_to_names):
        if type(collector).__module__ == prometheus.__name__ or any(
            name.startswith("pagoefectivo_")
            for name in registry._collector_to_names.get(collector, ())
        ):
            registry.unregister(collector)


@play("docs/howto/privacy.rst")
def privacy(page: Reading) -> None:
    """The query finds a person's payments and nobody else's."""
    theirs = make_payment(customer_email="Ana@shop.example")
    make_payment(customer_email="luis@shop.example")
    block = page.take("python")
    assert list(eval_last(block.code)) == [theirs]


def eval_last(code: str) -> Any:
    """What a person would see in the shell after these lines."""
    *before, last = code.strip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(before), names)  # noqa: S102
    return eval(last, names)  # noqa: S307


@play("docs/howto/reconcile.rst")
def reconcile(page: Reading) -> None:
    """The setting gives long work to the command."""
    names = page.take("python").run()
    setting = page.fixture("settings").PAGOEFECTIVO
    assert Config(setting | names["PAGOEFECTIVO"]).background == "command"


@play("docs/howto/rotate-keys.rst")
def rotate_keys(page: Reading) -> None:
    """The old key is accepted beside the new one, and named once it can go."""
    page.leave_to(
        "tests/gateways/test_docs.py::test_what_the_page_on_rotation_runs",
        page.take("python"),
        page.take("python"),
    )


@play("docs/howto/several-merchants.rst")
def several_merchants(page: Reading) -> None:
    """Each merchant of the page can be used."""
    page.settings(page.take("python", caption="settings.py"))
    for merchant in get_config().merchants():
        check_merchant(merchant)
    for test, block in (
        (
            "test_the_call_that_lets_the_currency_pick",
            page.take("python", caption="shop/payments.py"),
        ),
        ("test_the_settings_of_several_merchants", page.take("python", caption="settings.py")),
        (
            "test_the_accounts_that_the_page_shows_are_those_that_are_tested",
            page.take("file ../../tests/shop/accounts.py", caption="shop/accounts.py"),
        ),
    ):
        page.leave_to(f"tests/gateways/test_docs.py::{test}", block)


@play("docs/howto/write-a-gateway.rst")
def write_a_gateway(page: Reading) -> None:
    """The gateway of the page takes a purchase."""
    page.leave_to(
        "tests/gateways/test_docs.py::test_the_example_of_a_gateway_of_ones_own",
        page.take("python", caption="shop/gateways.py"),
        page.take("python", caption="settings.py"),
    )


@play("docs/reference/settings.rst")
def settings_reference(page: Reading) -> None:
    """The smallest setting is enough."""
    changed = page.settings(page.take("python"))
    assert Config(changed["PAGOEFECTIVO"]).merchant("default").service_id == "1234"


@play("docs/explanation/polling.rst")
def polling(page: Reading) -> None:
    """A rate for all merchants, and another for one of them."""
    setting = page.fixture("settings").PAGOEFECTIVO
    dollars = {**setting["MERCHANTS"]["default"], "SERVICE_ID": "5678", "CURRENCIES": ["USD"]}
    merchants = {**setting["MERCHANTS"], "usd": dollars}
    block = page.take("python", caption="settings.py")
    page.settings(block, PAGOEFECTIVO={**setting, "MERCHANTS": merchants})
    config = get_config()
    assert [config.options_of(name).poll_rate for name in ("default", "usd")] == [60, 20]


@play("docs/howto/databases.rst")
def databases(page: Reading) -> None:
    """Each database is connected to with what is shown for it."""
    page.leave_to(
        "tests/pooling/test_howto.py::test_a_notification_with_what_was_pasted",
        *page.take_all("python"),
    )


@play("docs/howto/django-tasks.rst")
def django_tasks(page: Reading) -> None:
    """The newest Django's lane delivers with these settings."""
    page.leave_to(
        "tests/django_tasks/test_delivery.py::test_a_worker_calls_the_receiver",
        page.take("python", caption="settings.py"),
    )

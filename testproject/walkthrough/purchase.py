"""The purchase, step by step. The shop is used like a browser would; what it and the
sandbox wrote down is then read from the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.urls import reverse
from shop.models import Order, Product

from django_pagoefectivo.models import Payment, SignalDelivery
from django_pagoefectivo.sandbox.models import SandboxNotification
from django_pagoefectivo.templatetags.pagoefectivo import cip_format, money

from .browser import Browser, Page
from .report import Deviation, Report, expect

Found = TypeVar("Found")

PRODUCT = "Baby alpaca scarf"
CONTACT = {
    "first_name": "Rosa",
    "last_name": "Quispe Mamani",
    "email": "rosa.quispe@example.com",
    "phone": "987 654 321",
}


def play_purchase(home: str, report: Report) -> None:
    """Buy something at the shop that is served at ``home``. Raises ``Deviation``."""
    browser = Browser(home)
    order = _order_something(browser, report)
    payment = _see_the_code(browser, report, order)
    _pay(browser, report, payment)
    outcomes = _see_both_notifications(report, payment)
    confirmations = _see_one_confirmation(report, order, payment)
    _see_it_paid(browser, report, order, payment)
    print(f"CIP            {payment.cip}")
    print(f"Notification   {outcomes[0]}, then {outcomes[1]}")
    print(f"The shop       {confirmations}\n")


def _order_something(browser: Browser, report: Report) -> Order:
    product = Product.objects.get(name=PRODUCT)
    page = _opened(browser.open("/"))
    expect(PRODUCT in page.text, f"The catalogue does not show “{PRODUCT}”.")
    report.step("The shop is open", f"The catalogue offers “{PRODUCT}” among others.", page.url)

    page = _opened(browser.press(page, f"Add {PRODUCT} to the cart"))
    page = _opened(browser.open(reverse("shop:cart")))
    price = money(product.price, product.currency)
    expect(price in page.text, f"The cart does not show the price {price}.")
    report.step("It goes into the cart", f"One piece, {price}.", page.url)

    page = browser.open(reverse("shop:checkout"))
    page = _opened(browser.press(page, "Order and get the payment code", **CONTACT))
    order = Order.objects.order_by("-pk").first()
    if order is None:
        raise Deviation(f"The checkout made no order; the page says: {page.text[:400]}")
    expect(
        page.url.endswith(order.get_absolute_url()),
        f"The checkout led to {page.url} and not to the order's page.",
    )
    expect(
        order.status == Order.Status.PLACED,
        f"The order is {order.status}; its page says: {page.text[:400]}",
    )
    left = Product.objects.get(pk=product.pk).stock
    expect(left == product.stock - 1, f"The shelf has {left} left of {product.stock}.")
    report.step(
        "The order is placed",
        f"Order {order.number} waits for payment, and its goods are set aside: {left} left of "
        f"{product.stock}.",
        page.url,
    )
    return order


def _see_the_code(browser: Browser, report: Report, order: Order) -> Payment:
    expect(order.payments.count() == 1, f"The order has {order.payments.count()} payments.")
    payment: Payment = order.payments.get()
    expect(payment.status == "pending" and payment.cip, f"The payment is {payment.status}.")
    code = cip_format(payment.cip)
    page = _opened(browser.open(payment.get_absolute_url()))
    shown = page.text.replace(" ", "")
    expect(str(payment.cip) in shown, f"The payment page does not show the code {code}.")
    expect(
        "script-src 'self'" in page.headers.get("Content-Security-Policy", ""),
        "The payment page came without its Content-Security-Policy.",
    )
    report.step(
        "PagoEfectivo has issued a code",
        f"CIP {code} over {money(payment.amount, payment.currency)}, with what the shopper "
        "has to do.",
        page.url,
    )
    status = _status(browser, payment)
    expect(
        (status["status"], status["paid"], status["final"]) == ("pending", False, False),
        f"The payment's status should be pending; it is {status}.",
    )
    report.step(
        "The page keeps asking for its status",
        f"It says “{status['status']}”, and to ask again in {status['next_poll']} seconds.",
        browser.home + _status_path(payment),
    )
    return payment


def _pay(browser: Browser, report: Report, payment: Payment) -> None:
    page = _opened(browser.open(payment.cip_url))
    report.step(
        "The shopper opens PagoEfectivo's own page",
        "It is the sandbox's here. The shopper pays there, as if at an agent, and the "
        "notification is to be sent twice.",
        page.url,
    )
    page = _opened(browser.press(page, "pay", fault="twice"))


def _see_both_notifications(report: Report, payment: Payment) -> list[str]:
    def sent() -> list[SandboxNotification] | None:
        code = payment.transaction_code
        rows = list(SandboxNotification.objects.filter(code__transaction_code=code).order_by("pk"))
        return rows if len(rows) >= 2 else None

    rows = _wait_for(sent, "PagoEfectivo's notification did not go out twice within 10 seconds.")
    outcomes = [row.answer for row in rows]
    expect([row.first_status for row in rows] == [200, 200], f"The webhook answered {rows}.")
    expect(rows[0].body == rows[1].body, "The two notifications are not the same.")
    expect(
        outcomes == ["applied", "duplicate"],
        f"The webhook should have answered “applied” and “duplicate”; it answered {outcomes}.",
    )
    counts = list(payment.events.values_list("times_received", flat=True))
    expect(counts == [2], f"One row should count the notification twice; the rows say {counts}.")
    report.step(
        "PagoEfectivo's signed notification comes, twice",
        f"The webhook answers 200 both times: first “{outcomes[0]}”, then “{outcomes[1]}”. One "
        "row keeps it, received 2 times.",
        rows[0].url,
    )
    return outcomes


def _see_one_confirmation(report: Report, order: Order, payment: Payment) -> str:
    def told() -> list[SignalDelivery] | None:
        rows = list(SignalDelivery.objects.filter(payment=payment, signal="payment_confirmed"))
        return rows if rows and all(row.state == row.State.DONE for row in rows) else None

    rows = _wait_for(told, "The shop was not told of the payment within 10 seconds.")
    calls = sum(row.attempts for row in rows)
    expect(
        len(rows) == 1 and calls == 1,
        f"payment_confirmed should be sent once; it was owed {len(rows)} times and tried {calls}.",
    )
    order.refresh_from_db()
    expect(order.status == Order.Status.PAID, f"The order is {order.status} and not paid.")
    confirmed = order.history.filter(text__startswith="Paid").count()
    expect(confirmed == 1, f"The order's history has {confirmed} confirmations and not one.")
    expect(not order.staff_note, f"The order waits for staff: {order.staff_note}")
    report.step(
        "The order is paid, once",
        f"One confirmation: {rows[0].receiver} was called once and marked order {order.number} "
        f"paid. Its history: {' '.join(event.text for event in order.history.all())}",
    )
    return f"one confirmation of order {order.number}"


def _see_it_paid(browser: Browser, report: Report, order: Order, payment: Payment) -> None:
    status = _status(browser, payment)
    expect(
        (status["status"], status["paid"], status["final"]) == ("paid", True, True),
        f"The payment's status should be paid; it is {status}.",
    )
    report.step(
        "The status says so too",
        f"“{status['status']}”, and no need to ask again.",
        browser.home + _status_path(payment),
    )
    path = reverse("pagoefectivo:payment-return", kwargs={"token": payment.token})
    page = _opened(browser.open(path))
    arrived = "Your payment has arrived"
    expect(arrived in page.text, f"The return page does not say “{arrived}”.")
    report.step("The browser comes back", f"The return page says “{arrived}”.", page.url)
    page = _opened(browser.open(order.get_absolute_url()))
    expect(arrived in page.text, f"The order's page does not say “{arrived}”.")
    report.step(
        "So does the order's page",
        "Staff find the payment, its timeline and the notification in the admin.",
        f"{page.url} and {browser.home}/admin/",
    )


def _opened(page: Page) -> Page:
    expect(page.status == 200, f"{page.url} answered {page.status}: {page.text[:400]}")
    return page


def _status_path(payment: Payment) -> str:
    return reverse("pagoefectivo:payment-status", kwargs={"token": payment.token})


def _status(browser: Browser, payment: Payment) -> dict[str, object]:
    return browser.json(_status_path(payment))


def _wait_for(find: Callable[[], Found | None], otherwise: str) -> Found:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = find()
        if found is not None:
            return found
        time.sleep(0.05)
    expect(False, otherwise)
    raise AssertionError

"""The shop's pages up to the checkout, as a shopper's browser asks for them."""

# Run by Django's test runner, which explains a failing assertEqual and no bare assert.
# ruff: noqa: PT009

from __future__ import annotations

from config.middleware import POLICY
from django.contrib.auth import get_user_model
from django.urls import reverse

from shop.models import Order, Product

from .helpers import ShopTestCase


class CartTests(ShopTestCase):
    """Catalogue and cart."""

    def add(self, product: Product, **data: object) -> str:
        """Put ``product`` into the cart; returns the page that follows."""
        url = reverse("shop:change-cart", args=(product.slug,))
        return self.client.post(url, data, follow=True).content.decode()

    def test_the_catalogue_needs_no_login(self) -> None:
        """It shows prices as they are read in Peru, under a strict policy."""
        response = self.client.get(reverse("shop:catalogue"))
        self.assertContains(response, "S/ 129.90")
        self.assertContains(response, "US$ 22.00")
        self.assertContains(response, "Only 2 left")
        self.assertEqual(response.headers["Content-Security-Policy"], POLICY)

    def test_no_page_has_inline_script_or_style(self) -> None:
        """The policy would refuse it."""
        self.add(self.scarf)
        order = self.an_order()
        self.a_payment(order, cip_url="http://127.0.0.1:8000/sandbox/x.html")
        for url in (
            reverse("shop:catalogue"),
            reverse("shop:cart"),
            reverse("shop:checkout"),
            reverse("login"),
            order.get_absolute_url(),
            order.payments.get().get_absolute_url(),
        ):
            with self.subTest(url):
                text = self.client.get(url).content.decode()
                self.assertNotRegex(text, r"<style|style=|<script(?! src=)| on[a-z]+=")

    def test_the_cart_adds_up(self) -> None:
        """Two scarves and a hat."""
        self.add(self.scarf)
        self.add(self.scarf)
        self.add(self.hat)
        self.assertContains(self.client.get(reverse("shop:cart")), "S/ 331.80")
        self.assertNotIn("Hat", self.add(self.hat, quantity=0))
        self.assertIn("S/ 389.70", self.add(self.scarf, quantity=3))

    def test_odd_quantities_change_nothing(self) -> None:
        """They are explained."""
        self.add(self.scarf)
        self.assertIn("whole number", self.add(self.scarf, quantity="many"))
        self.assertIn("S/ 129.90", self.client.get(reverse("shop:cart")).content.decode())

    def test_one_cart_has_one_currency(self) -> None:
        """Because one payment code has."""
        self.add(self.scarf)
        self.assertIn("in one currency", self.add(self.print))
        self.assertNotContains(self.client.get(reverse("shop:cart")), "Print")

    def test_more_than_the_shelf_has_cannot_be_checked_out(self) -> None:
        """The cart says so, and the checkout refuses it."""
        self.assertIn("Only 5 left", self.add(self.scarf, quantity=6))
        response = self.client.post(
            reverse("shop:checkout"),
            {"first_name": "Rosa", "last_name": "Quispe", "email": "rosa@example.com"},
        )
        self.assertContains(response, "Scarf is sold out")
        self.assertFalse(Order.objects.exists())
        self.assertEqual(self.stock(self.scarf), 5)

    def test_an_empty_cart_has_no_checkout(self) -> None:
        """It leads back to the cart."""
        self.assertRedirects(self.client.get(reverse("shop:checkout")), reverse("shop:cart"))


class AccountTests(ShopTestCase):
    """What needs a login, and what does not."""

    def test_my_orders_needs_a_login(self) -> None:
        """And then shows one's own orders only."""
        url = reverse("shop:my-orders")
        self.assertRedirects(self.client.get(url), f"{reverse('login')}?next={url}")
        rosa = get_user_model().objects.create_user("rosa")
        mine, other = self.an_order(), self.an_order()
        Order.objects.filter(pk=mine.pk).update(user=rosa)
        self.client.force_login(rosa)
        response = self.client.get(url)
        self.assertContains(response, mine.number)
        self.assertNotContains(response, other.number)

    def test_an_order_page_is_open_to_who_has_its_address(self) -> None:
        """It offers a code while there is none, and not beside one that can be paid."""
        order = self.an_order()
        self.assertContains(self.client.get(order.get_absolute_url()), "Get a new payment code")
        payment = self.a_payment(order)
        response = self.client.get(order.get_absolute_url())
        self.assertContains(response, str(payment.cip))
        self.assertNotContains(response, "Get a new payment code")

    def test_staff_see_orders_with_their_payments(self) -> None:
        """And can give one up that has no code, but not one that could still be paid."""
        self.client.force_login(get_user_model().objects.create_superuser("admin"))
        open_order, lost_order = self.an_order(), self.an_order()
        payment = self.a_payment(open_order)
        url = reverse("admin:shop_order_change", args=(open_order.pk,))
        self.assertContains(self.client.get(url), str(payment.cip))
        url = reverse("admin:shop_order_changelist")
        self.assertContains(self.client.get(url, {"waits": "yes", "q": "rosa"}), "0 orders")
        for action in ("cancel_orders", "mark_dealt_with"):
            data = {"action": action, "_selected_action": [open_order.pk, lost_order.pk]}
            self.client.post(url, data)
        self.assert_order(open_order, "placed", holds_stock=True)
        self.assert_order(lost_order, "cancelled", holds_stock=False)
        self.assertContains(self.client.get(reverse("admin:shop_product_changelist")), "Scarf")

    def test_staff_edit_the_contact_and_nothing_else(self) -> None:
        """What happens to the order meanwhile stays as it is."""
        self.client.force_login(get_user_model().objects.create_superuser("admin"))
        order = self.an_order()
        url = reverse("admin:shop_order_change", args=(order.pk,))
        contact = {"first_name": "Rosa", "last_name": "Quispe", "phone": ""}
        data = {**contact, "email": "new@example.com", "status": "paid"}
        self.assertRedirects(self.client.post(url, data), reverse("admin:shop_order_changelist"))
        self.assertEqual(self.assert_order(order, "placed", holds_stock=True).email, data["email"])
        for refused in ("add", "delete"):
            args = (order.pk,) if refused == "delete" else ()
            response = self.client.get(reverse(f"admin:shop_order_{refused}", args=args))
            self.assertEqual(response.status_code, 403)

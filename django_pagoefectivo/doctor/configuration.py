"""Settings, keys and what stands around them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import ERROR, WARNING, CheckMessage
from django.core.checks.registry import registry
from django.db import connections, router
from django.http.request import validate_host

from ..models import Payment
from ..signals import payment_confirmed
from .breakage import broke_off
from .findings import Finding, Severity, ok
from .room import Room

#: What the doctor looks at more closely than a system check may.
_OWN_CHECK = ("pagoefectivo.W008",)
#: Warnings for ``migrate``'s sake alone: no merchant is known, so no payment can be made.
_GRAVE_BY_NOW = ("pagoefectivo.W014",)
_PAGES = {
    "pagoefectivo.E005": "howto/go-live",
    "pagoefectivo.E006": "howto/troubleshooting#times-are-five-hours-off",
    "pagoefectivo.E010": "tutorial",
}


def check_settings(room: Room) -> Iterator[Finding]:
    """The system checks of the package, ``--deploy``, ``--database`` and all."""
    databases = [router.db_for_write(Payment)]
    messages: list[CheckMessage] = []
    broken: list[Finding] = []
    for check in registry.get_checks(include_deployment_checks=True):
        if not check.__module__.startswith("django_pagoefectivo."):
            continue
        try:
            messages += check(app_configs=None, databases=databases)
        except Exception as error:  # noqa: BLE001 - what the others say must not be lost
            broken.append(broke_off(getattr(check, "__name__", "of the settings"), error))
    worse = [m for m in messages if m.id not in _OWN_CHECK and m.level >= WARNING]
    # Django keeps its checks in a set, which has another order each time.
    yield from map(_finding, sorted(worse, key=lambda message: str(message.id)))
    yield from sorted(broken, key=lambda finding: finding.sentence)
    if not worse and not broken and room.config is not None:
        names = ", ".join(room.config.merchant_names)
        yield ok("settings", f"The settings of {names} can be read, and the keys look right.")


def _finding(message: CheckMessage) -> Finding:
    grave = message.level >= ERROR or message.id in _GRAVE_BY_NOW
    severity = Severity.ERROR if grave else Severity.WARNING
    page = _PAGES.get(message.id or "", "reference/checks")
    return Finding(message.id or "settings", severity, message.msg, message.hint or "", page)


def check_environment(room: Room) -> Iterator[Finding]:
    """Whether real money moves yet."""
    for merchant in room.merchants:
        if merchant.is_production:
            yield ok("environment", f"Merchant {merchant.name} is in production.")
        else:
            yield Finding(
                "environment",
                Severity.ADVICE,
                f"Merchant {merchant.name} is not in production: no real money moves.",
                "When you go live set its ENVIRONMENT to production, with production's keys. "
                "Until then --as-production judges as if you had.",
            )


def check_sandbox(room: Room) -> Iterator[Finding]:
    """The sandbox app, before a system check makes it an error."""
    real = any(merchant.is_production for merchant in room.merchants)
    if room.as_production and not real and apps.is_installed("django_pagoefectivo.sandbox"):
        yield Finding(
            "sandbox",
            Severity.WARNING,
            "The sandbox app is installed. With a merchant in production anybody could declare "
            "codes paid, so that is an error there (pagoefectivo.E005).",
            'Remove "django_pagoefectivo.sandbox" from INSTALLED_APPS in production.',
        )


def check_debug(room: Room) -> Iterator[Finding]:
    """``DEBUG`` shows settings and SQL to anybody who makes a page fail."""
    if settings.DEBUG and room.is_production:
        yield Finding(
            "debug",
            Severity.ERROR,
            "DEBUG is on while a merchant is in production: an error page shows strangers how "
            "the shop is built, and queries pile up in memory.",
            "Set DEBUG = False.",
        )


def check_allowed_hosts(room: Room) -> Iterator[Finding]:
    """Django answers 400 to a host it does not know, before the webhook sees anything."""
    for merchant in room.merchants:
        host = urlsplit(room.site_url_of(merchant) or "").hostname or ""
        if host and not (settings.DEBUG or validate_host(host, settings.ALLOWED_HOSTS)):
            yield Finding(
                "allowed-hosts",
                Severity.ERROR,
                f"{host}, where PagoEfectivo is told to send notifications, is not in "
                "ALLOWED_HOSTS: Django answers each with 400.",
                f'Add "{host}" to ALLOWED_HOSTS.',
                "howto/troubleshooting#no-notification-arrives",
            )


def check_receivers(room: Room) -> Iterator[Finding]:
    """A payment that nobody hears of."""
    names = payment_confirmed.receiver_names(Payment)
    if names:
        yield ok("receivers", f"payment_confirmed is heard by {', '.join(names)}.")
    else:
        yield Finding(
            "receivers",
            room.grave,
            "No receiver listens to payment_confirmed in this process: payments would be "
            "confirmed and no order would learn of it.",
            "Connect one in AppConfig.ready(), which every process runs.",
            "howto/troubleshooting#paid-but-the-order-is-not-confirmed",
        )


def check_atomic_requests(room: Room) -> Iterator[Finding]:
    """``ATOMIC_REQUESTS``: a payment must be on disk before PagoEfectivo is called."""
    for alias, database in settings.DATABASES.items():
        if database.get("ATOMIC_REQUESTS"):
            yield Finding(
                "atomic-requests",
                Severity.WARNING,
                f'ATOMIC_REQUESTS is on for database "{alias}": a view that calls '
                "create_payment inside its transaction is refused, and with durable=False an "
                "error after the call rolls back a payment whose code a shopper can pay.",
                "Mark the views that call create_payment with @transaction.non_atomic_requests. "
                "The webhook and the pages of the package have it.",
                "howto/go-live#atomic-requests",
            )


def check_autocommit(room: Room) -> Iterator[Finding]:
    """``AUTOCOMMIT`` off: what the webhook writes is never committed."""
    connection = connections[router.db_for_write(Payment)]
    if not connection.settings_dict["AUTOCOMMIT"]:
        yield Finding(
            "autocommit",
            Severity.ERROR,
            f'AUTOCOMMIT is off for database "{connection.alias}": what is written for a '
            "notification is not committed, so what was answered 200 is lost.",
            "Take AUTOCOMMIT out of DATABASES.",
        )

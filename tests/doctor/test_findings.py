"""Every finding both ways: the fault is named, and where there is none nothing is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import DatabaseError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from django_pagoefectivo.doctor import Room, Severity, examination, findings
from django_pagoefectivo.doctor.findings import docs_link
from django_pagoefectivo.gateways.signing import key_label
from django_pagoefectivo.models import Outcome
from django_pagoefectivo.services import deliver_due, heartbeat, poll
from django_pagoefectivo.services.heartbeat import Duty, last_beat
from django_pagoefectivo.testing import make_payment
from django_pagoefectivo.testing.captured import listening
from django_pagoefectivo.testing.factories import (
    ApiExchangeFactory,
    SignalDeliveryFactory,
    WebhookEventFactory,
)

from .conftest import Report

Doctor = Callable[..., Report]
PAGE = re.compile(r'"((?:howto|reference|tutorial)[\w/-]*(?:#[\w-]+)?)"')
FILES = "django.core.cache.backends.filebased.FileBasedCache"


@pytest.fixture
def shared_cache(settings: Any, tmp_path: Path) -> None:
    settings.CACHES = {"default": {"BACKEND": FILES, "LOCATION": str(tmp_path)}}


def is_fine(report: Report, name: str) -> bool:
    return not any(one == name or one.startswith(name + ".") for one in report.faults)


# -- settings ------------------------------------------------------------------------------


def test_system_checks_are_findings(
    doctor: Doctor, configure: Callable[..., None], settings: Any
) -> None:
    assert "literally" in doctor().of("pagoefectivo.W009").sentence
    # Others than those that stand in the tests' settings.
    configure(merchant={"ACCESS_KEY": "K" * 20, "SECRET_KEY": "S" * 40})
    assert doctor().of("settings").severity is Severity.OK
    settings.USE_TZ = False
    found = doctor().of("pagoefectivo.E006")
    assert found.severity is Severity.ERROR
    assert "USE_TZ" in found.sentence
    assert found.mend == "Set USE_TZ = True."


def test_urls_not_included(doctor: Doctor, settings: Any) -> None:
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    report = doctor()
    assert report.of("pagoefectivo.E010").severity is Severity.ERROR
    assert is_fine(report, "callback")


def test_no_setting_at_all_is_one_sentence(doctor: Doctor, settings: Any) -> None:
    settings.PAGOEFECTIVO = None
    report = doctor()
    assert "missing or no dict" in report.of("pagoefectivo.E001").sentence
    assert "doctor" not in report.faults


def test_one_broken_merchant_does_not_hide_the_other(
    doctor: Doctor, configure: Callable[..., None], settings: Any
) -> None:
    own = settings.PAGOEFECTIVO["MERCHANTS"]["default"]
    configure(MERCHANTS={"default": own, "other": {**own, "SECRET_KEY": ""}})
    report = doctor()
    assert "other" in report.of("pagoefectivo.E002").sentence
    assert [one.id for one in report].count("environment") == 1


def test_environment(doctor: Doctor, configure: Callable[..., None]) -> None:
    assert doctor().of("environment").severity is Severity.ADVICE
    configure(merchant={"ENVIRONMENT": "production", "BASE_URL": None})
    report = doctor()
    assert report.of("environment").severity is Severity.OK
    # The test settings have the sandbox installed.
    assert report.of("pagoefectivo.E005").severity is Severity.ERROR


def test_sandbox_on_the_way_to_production(doctor: Doctor, settings: Any) -> None:
    assert doctor(as_production=True).of("sandbox").severity is Severity.WARNING
    assert is_fine(doctor(), "sandbox")
    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if app != "django_pagoefectivo.sandbox"
    ]
    assert is_fine(doctor(as_production=True), "sandbox")


def test_debug(doctor: Doctor, settings: Any) -> None:
    assert is_fine(doctor(as_production=True), "debug")
    settings.DEBUG = True
    assert doctor(as_production=True).of("debug").severity is Severity.ERROR
    assert is_fine(doctor(), "debug")


def test_allowed_hosts(doctor: Doctor, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["shop.example"]
    assert is_fine(doctor(site_url="https://shop.example"), "allowed-hosts")
    assert (
        "www.shop.example" in doctor(site_url="https://www.shop.example").of("allowed-hosts").mend
    )


def test_receivers(doctor: Doctor) -> None:
    assert doctor().of("receivers").severity is Severity.WARNING
    assert doctor(as_production=True).of("receivers").severity is Severity.ERROR
    with listening(print, "shop.paid", ["payment_confirmed"]):
        assert "shop.paid" in doctor().of("receivers").sentence


def test_atomic_requests(doctor: Doctor, settings: Any) -> None:
    assert is_fine(doctor(), "atomic-requests")
    databases = {"default": {**django_settings.DATABASES["default"], "ATOMIC_REQUESTS": True}}
    with pytest.warns(UserWarning, match="DATABASES"):
        settings.DATABASES = databases
    found = doctor().of("atomic-requests")
    assert "non_atomic_requests" in found.mend


# -- storage -------------------------------------------------------------------------------


def test_migrations(doctor: Doctor) -> None:
    assert doctor().of("migrations").severity is Severity.OK
    recorded = MigrationRecorder(connection).migration_qs.filter(app="pagoefectivo")
    assert recorded.delete()[0]
    found = doctor().of("migrations")
    assert found.severity is Severity.ERROR
    assert "pagoefectivo.0001_initial" in found.sentence


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_sqlite_that_defers(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_fine(doctor(as_production=True), "database")
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    assert doctor(as_production=True).of("database").severity is Severity.WARNING
    assert doctor().of("database").severity is Severity.ADVICE


def test_cache_of_one_process(doctor: Doctor, settings: Any) -> None:
    found = doctor().of("cache.shared")
    assert found.severity is Severity.WARNING
    assert "LocMemCache" in found.sentence
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert "DummyCache" in doctor().of("cache.shared").sentence


def test_cache_of_one_process_by_another_name(doctor: Doctor, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "tests.doctor.backends.OwnMemory"}}
    assert "OwnMemory" in doctor().of("cache.shared").sentence


def test_cache_in_the_database_without_its_table(doctor: Doctor, settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "no_such_table",
        }
    }
    with transaction.atomic():
        found = doctor().of("cache.works")
        transaction.set_rollback(True)
    assert found.severity is Severity.ERROR
    assert "createcachetable" in found.mend


def test_cache_whose_backend_is_not_installed(doctor: Doctor, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "not_installed.Cache"}}
    found = doctor().of("cache.works")
    assert "cannot be imported" in found.sentence
    assert "not_installed" in found.mend


@pytest.mark.usefixtures("shared_cache")
def test_cache_that_works_is_left_as_it_was(doctor: Doctor, tmp_path: Path) -> None:
    assert doctor().of("cache").severity is Severity.OK
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", ["BrokenCache", "ForgetfulCache"])
def test_cache_that_is_away(doctor: Doctor, settings: Any, backend: str) -> None:
    settings.CACHES = {"default": {"BACKEND": f"tests.doctor.backends.{backend}"}}
    found = doctor().of("cache.works")
    assert found.severity is Severity.ERROR
    assert "secret" not in found.sentence


def test_retention(doctor: Doctor, configure: Callable[..., None]) -> None:
    assert doctor().of("retention").severity is Severity.OK
    ApiExchangeFactory.create(created_at=timezone.now() - timedelta(days=100))
    assert "API exchanges older" in doctor().of("retention.prune").sentence
    configure(RETENTION={"exchanges": timedelta(days=400)})
    report = doctor()
    assert is_fine(report, "retention.prune")
    assert report.of("retention.long").severity is Severity.ADVICE


def test_retention_of_refused_notifications(doctor: Doctor) -> None:
    WebhookEventFactory.create(
        outcome=Outcome.REJECTED, received_at=timezone.now() - timedelta(days=40)
    )
    assert "refused notifications older" in doctor().of("retention.prune").sentence


def test_database_that_is_away_is_said_once(doctor: Doctor) -> None:
    def refuse(*args: Any) -> None:
        raise DatabaseError("password=secret")

    with connection.execute_wrapper(refuse):
        report = doctor()
    found = report.of("database.away")
    assert found.severity is Severity.ERROR
    assert "secret" not in str(report)


def test_a_check_that_breaks_does_not_hide_the_others(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_broken(room: Room) -> Iterator[findings.Finding]:
        yield from ()
        raise RuntimeError("key=secret")

    checks = (check_broken, *examination.CHECKS)
    monkeypatch.setattr(examination, "CHECKS", checks)
    report = doctor()
    assert "check_broken broke off with RuntimeError" in report.of("doctor").sentence
    assert report.of("migrations").severity is Severity.OK
    assert "secret" not in str(report)


# -- background ----------------------------------------------------------------------------


@pytest.mark.usefixtures("_known_receiver")
def test_delivery_that_is_overdue(doctor: Doctor) -> None:
    owed = SignalDeliveryFactory.create(due_at=timezone.now() + timedelta(minutes=1))
    assert "Nothing is overdue" in doctor().of("delivery").sentence
    owed.due_at = timezone.now() - timedelta(hours=3)
    owed.save()
    found = doctor().of("delivery")
    assert found.severity is Severity.ERROR
    assert "shop.receivers.on_paid of payment_confirmed) since 3 hours" in found.sentence
    assert "pagoefectivo_deliver" in found.mend


@pytest.mark.usefixtures("shared_cache")
def test_delivery_that_runs(doctor: Doctor, configure: Callable[..., None]) -> None:
    configure(SIGNAL_DELIVERY="worker")
    assert doctor(as_production=True).of("delivery").severity is Severity.ERROR
    assert doctor().of("delivery").severity is Severity.WARNING
    deliver_due()
    assert doctor(as_production=True).of("delivery").severity is Severity.OK
    _move_beat(Duty.DELIVER, timedelta(hours=2))
    found = doctor(as_production=True).of("delivery")
    assert (found.severity, "last ran 2 hours ago" in found.sentence) == (Severity.ERROR, True)


def test_where_the_cache_cannot_know_nobody_is_blamed(
    doctor: Doctor, configure: Callable[..., None], settings: Any
) -> None:
    configure(SIGNAL_DELIVERY="worker")
    deliver_due()
    for backend in ("locmem.LocMemCache", "BrokenCache"):
        name = backend if "." not in backend else f"django.core.cache.backends.{backend}"
        name = name if "." in name else f"tests.doctor.backends.{name}"
        settings.CACHES = {"default": {"BACKEND": name}}
        found = doctor(as_production=True).of("delivery")
        assert found.severity is Severity.WARNING
        assert "nobody can say" in found.sentence
        assert "of the cache" in found.mend


def test_calls_owed_to_somebody_unknown(doctor: Doctor) -> None:
    now = timezone.now()
    for hours in (1, 3):
        SignalDeliveryFactory.create(
            receiver="shop.old.on_paid",
            attempts=9,
            last_error="LookupError: no",
            created_at=now - timedelta(hours=hours),
            due_at=now - timedelta(hours=hours),
        )
    report = doctor()
    found = report.of("delivery.receiver")
    assert found.severity is Severity.ERROR
    assert "as shop.old.on_paid" in found.sentence
    assert "2, the oldest for 3 hours" in found.sentence
    assert "dispatch_uid" in found.mend
    assert "overdue, the oldest" not in report.of("delivery").sentence


@pytest.mark.usefixtures("_known_receiver")
def test_receiver_that_keeps_raising(doctor: Doctor) -> None:
    row = SignalDeliveryFactory.create(
        attempts=2, last_error="ValueError: no", due_at=timezone.now() + timedelta(hours=1)
    )
    assert is_fine(doctor(), "delivery.receiver")
    row.attempts = 9
    row.save()
    assert "has raised 9 times" in doctor().of("delivery.receiver").sentence


@pytest.mark.usefixtures("shared_cache")
def test_poller(doctor: Doctor) -> None:
    assert doctor().of("poller").severity is Severity.WARNING
    poll()
    assert doctor().of("poller").severity is Severity.OK
    make_payment(next_poll_at=timedelta(minutes=-10))
    assert doctor().of("poller").severity is Severity.OK
    make_payment(next_poll_at=timedelta(hours=-30))
    found = doctor().of("poller")
    assert found.severity is Severity.ERROR
    assert "the poller runs, but does not keep up" in found.sentence
    assert "POLL_RATE" in found.mend
    _move_beat(Duty.POLL, timedelta(hours=1))
    found = doctor().of("poller")
    assert "the poller is not running" in found.sentence
    assert "every five minutes from cron" in found.mend
    assert "1 open payments should have been asked about, the first of them 1 day ago" in (
        found.sentence
    )


def test_refused_notifications(doctor: Doctor) -> None:
    old = timezone.now() - timedelta(days=2)
    WebhookEventFactory.create(outcome=Outcome.REJECTED, received_at=old, error="old")
    assert is_fine(doctor(), "refused")
    WebhookEventFactory.create(outcome=Outcome.REJECTED, error="the signature is wrong")
    assert "1 notifications were refused" in doctor().of("refused").sentence


def test_fallbacks(doctor: Doctor, configure: Callable[..., None], settings: Any) -> None:
    assert "fallbacks" not in [one.id for one in doctor()]
    configure(merchant={"SECRET_KEY_FALLBACKS": ["the-old-key-of-the-merchant"]})
    assert doctor().of("fallbacks").severity is Severity.OK
    secret = settings.PAGOEFECTIVO["MERCHANTS"]["default"]["SECRET_KEY"]
    WebhookEventFactory.create(
        signed_with=key_label(secret), last_received_at=timezone.now() - timedelta(days=9)
    )
    found = doctor().of("fallbacks")
    assert found.severity is Severity.WARNING
    assert "the-old-key" not in found.sentence


# -- signs of life -------------------------------------------------------------------------


def test_a_sign_of_life_needs_no_cache(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "tests.doctor.backends.BrokenCache"}}
    heartbeat.beat(Duty.POLL)
    with pytest.raises(ConnectionError):
        last_beat(Duty.POLL)


def test_a_loop_does_not_write_at_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeat.beat(Duty.POLL)
    before = last_beat(Duty.POLL)
    assert before is not None
    heartbeat.beat(Duty.POLL)
    assert last_beat(Duty.POLL) == before


def _move_beat(duty: Duty, back: timedelta) -> None:
    key = f"pagoefectivo:beat:{duty}"
    caches["default"].set(key, (timezone.now() - back).isoformat())


# -- links ---------------------------------------------------------------------------------


def test_links_are_files_or_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "_docs_address", lambda: "")
    assert docs_link("howto/go-live") == "docs/howto/go-live.rst"
    assert docs_link("a/b#c-d") == "docs/a/b.rst, c d"
    monkeypatch.setattr(findings, "_docs_address", lambda: "https://docs.example")
    assert docs_link("a/b#c-d") == "https://docs.example/a/b.html#c-d"


def test_no_package_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    assert findings._docs_address.__wrapped__() == ""


def test_every_finding_is_in_the_reference_and_no_other() -> None:
    source = "".join(
        path.read_text("utf-8") for path in Path(findings.__file__).parent.glob("*.py")
    )
    own = set(re.findall(r'Finding\(\s*"([a-z.-]+)"', source))
    own |= {f"callback.{name}" for name in re.findall(r'fault\(\s*"([a-z-]+)"', source)}
    own |= {f"callback.{name}" for name in re.findall(r'\d{3}: \(\s*"([a-z-]+)"', source)}
    own |= {"callback.other", "delivery", "poller", examination.NO_DATABASE}
    page = Path(findings.__file__).resolve().parents[2] / "docs/reference/checks.rst"
    table = page.read_text("utf-8").partition("Findings of the doctor")[2]
    assert set(re.findall(r"^``([a-z.-]+)``", table, re.MULTILINE)) == own

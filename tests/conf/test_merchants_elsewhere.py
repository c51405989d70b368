"""``MERCHANTS`` as a callable or its dotted path: when it is called, kept, and not there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_pagoefectivo.conf import forget_merchants, get_config, sources
from django_pagoefectivo.exceptions import MerchantsUnavailable, PagoEfectivoError

from .samples import MERCHANT


class Vault:
    """A place that merchants come from, which can be away."""

    def __init__(self) -> None:
        self.asked = 0
        self.away: Exception | None = None
        self.holds: Any = {"default": MERCHANT}

    def __call__(self) -> Any:
        self.asked += 1
        if self.away is not None:
            raise self.away
        return self.holds


VAULT = Vault()
NO_CALLABLE = {"default": MERCHANT}


class Clock:
    """The time that the answer's age is counted in."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sources, "time", clock)
    return clock


@pytest.fixture
def vault(clock: Clock) -> Iterator[Vault]:
    one = Vault()
    with override_settings(PAGOEFECTIVO={"MERCHANTS": one}):
        yield one
    forget_merchants()


def test_it_is_asked_when_a_merchant_is_needed_and_not_before(vault: Vault) -> None:
    config = get_config()
    assert config.timeout == (3.05, 20.0)
    assert vault.asked == 0
    assert config.merchant("default").service_id == "1234"
    assert config.merchant_names == ("default",)
    assert vault.asked == 1


def test_the_answer_is_kept_for_a_while(vault: Vault, clock: Clock) -> None:
    get_config().merchants()
    vault.holds = {"default": MERCHANT, "usd": MERCHANT}
    clock.now += 59
    assert get_config().merchant_names == ("default",)
    clock.now += 1
    assert get_config().merchant_names == ("default", "usd")
    assert vault.asked == 2


def test_how_long_is_a_setting(vault: Vault, clock: Clock) -> None:
    with override_settings(PAGOEFECTIVO={"MERCHANTS": vault, "MERCHANTS_MAX_AGE": timedelta(0)}):
        for expected in (1, 2, 3):
            get_config().merchants()
            assert vault.asked == expected


def test_one_operation_sees_one_answer(vault: Vault, clock: Clock) -> None:
    config = get_config()
    config.merchants()
    vault.holds = {}
    clock.now += 1000
    assert config.merchant("default").name == "default"
    assert vault.asked == 1


def test_forgotten_it_is_asked_again(vault: Vault) -> None:
    get_config().merchants()
    vault.holds = {"usd": MERCHANT}
    forget_merchants(sender=None, instance=None)
    assert get_config().merchant_names == ("usd",)


def test_other_settings_have_other_merchants(vault: Vault) -> None:
    get_config().merchants()
    other = Vault()
    other.holds = {"usd": MERCHANT}
    with override_settings(PAGOEFECTIVO={"MERCHANTS": other}):
        assert get_config().merchant_names == ("usd",)
    assert get_config().merchant_names == ("default",)


def test_by_dotted_path() -> None:
    with override_settings(PAGOEFECTIVO={"MERCHANTS": f"{__name__}.VAULT"}):
        assert get_config().merchants_are_elsewhere
        assert get_config().merchant("default").service_id == "1234"
    forget_merchants()


class TestAway:
    def test_the_last_answer_stays_in_force(
        self, vault: Vault, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        get_config().merchants()
        vault.away = RuntimeError("postgres://user:swordfish@db refused")
        for _ in range(120):
            clock.now += 60
            assert get_config().merchant("default").name == "default"
        assert "RuntimeError" in caplog.text
        assert "swordfish" not in caplog.text
        vault.away, vault.holds = None, {"usd": MERCHANT}
        clock.now += 60
        assert get_config().merchant_names == ("usd",)

    def test_nobody_waits_for_it_at_every_call(self, vault: Vault, clock: Clock) -> None:
        get_config().merchants()
        vault.away = TimeoutError()
        clock.now += 60
        for _ in range(10):
            get_config().merchants()
        assert vault.asked == 2
        clock.now += sources.ASK_AGAIN_AFTER
        get_config().merchants()
        assert vault.asked == 3

    @pytest.mark.parametrize("holds", [None, [], "text", 5, [("default", MERCHANT)]], ids=repr)
    def test_an_answer_that_is_none_is_a_failure(
        self, vault: Vault, clock: Clock, holds: Any
    ) -> None:
        get_config().merchants()
        vault.holds = holds
        clock.now += 60
        assert get_config().merchant_names == ("default",)

    def test_never_there_no_merchant_is_known(self, vault: Vault) -> None:
        vault.away = RuntimeError("swordfish")
        with pytest.raises(MerchantsUnavailable) as caught:
            get_config().merchant("default")
        assert isinstance(caught.value, PagoEfectivoError)
        assert isinstance(caught.value, ImproperlyConfigured)
        assert "swordfish" not in str(caught.value)
        assert get_config().options_of("default").timeout == (3.05, 20)

    def test_an_empty_answer_is_no_outage(self, vault: Vault) -> None:
        vault.holds = {}
        with pytest.raises(ImproperlyConfigured) as caught:
            get_config().merchants()
        assert not isinstance(caught.value, MerchantsUnavailable)


def test_asked_again_for_what_may_have_come_just_now(vault: Vault, clock: Clock) -> None:
    config = get_config()
    config.merchants()
    assert config.with_newer_merchants() is None
    clock.now += sources.ASK_AGAIN_AFTER
    vault.holds = {"usd": MERCHANT}
    newer = config.with_newer_merchants()
    assert newer is not None
    assert newer.merchant_names == ("usd",)
    assert config.merchant_names == ("default",)
    assert newer.with_newer_merchants() is None
    assert vault.asked == 2


def test_merchants_of_the_settings_are_never_newer() -> None:
    with override_settings(PAGOEFECTIVO={"MERCHANTS": {"default": MERCHANT}}):
        assert get_config().with_newer_merchants() is None


class TestChecks:
    def ids(self, **kwargs: Any) -> list[str]:
        kwargs.setdefault("databases", [])
        return [str(m.id) for m in run_checks(**kwargs) if str(m.id).startswith("pagoefectivo.")]

    def test_it_is_not_called_where_there_may_be_no_database(self, vault: Vault) -> None:
        vault.away = AssertionError("the database at check time")
        assert self.ids() == []
        assert self.ids(include_deployment_checks=True) == []
        assert vault.asked == 0

    @pytest.mark.parametrize("path", ["no.such.thing", f"{__name__}.NO_CALLABLE"])
    def test_a_path_that_leads_nowhere_is_an_error(self, path: str) -> None:
        with override_settings(PAGOEFECTIVO={"MERCHANTS": path}):
            assert self.ids() == ["pagoefectivo.E001"]
            with pytest.raises(ImproperlyConfigured, match=r"no\.such\.thing|NO_CALLABLE"):
                get_config().merchants()

    @pytest.mark.django_db
    def test_with_a_database_its_merchants_are_checked(self, vault: Vault) -> None:
        vault.holds = {
            "default": MERCHANT,
            "broken": {**MERCHANT, "SERVICE_ID": "12a"},
            "typo": {**MERCHANT, "CURENCIES": ["USD"], "TIMEOUT": 5},
            "live": {**MERCHANT, "ENVIRONMENT": "production"},
        }
        assert sorted(self.ids(databases=["default"])) == [
            "pagoefectivo.E002",
            "pagoefectivo.E003",
            "pagoefectivo.E005",
            "pagoefectivo.W008",
            "pagoefectivo.W011",
        ]

    @pytest.mark.django_db
    def test_a_callable_that_fails_does_not_stop_a_migration(
        self, vault: Vault, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.CRITICAL)
        vault.away = RuntimeError("no such table")
        assert self.ids(databases=["default"]) == ["pagoefectivo.W014"]

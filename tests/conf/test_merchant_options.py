"""Options that a merchant has for itself, those it cannot have, and the shop it belongs to."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_pagoefectivo.conf import DEFAULTS, Config
from django_pagoefectivo.conf.options import SERVER_WIDE
from django_pagoefectivo.gateways import gateway_for

from .samples import MERCHANT, setting

#: Option → a value that no default is, and what is read of it.
OWN: dict[str, tuple[Any, Any]] = {
    "EXPIRES_IN": (timedelta(hours=2), timedelta(hours=2)),
    "SITE_URL": ("https://usd.example/", "https://usd.example"),
    "RETURN_URL": ("/thanks/", "/thanks/"),
    "CONFIRM_WITH_STATUS_QUERY": (True, True),
    "TIMEOUT": ((1, 2), (1.0, 2.0)),
    "SEARCH_BATCH_SIZE": (7, 7),
    "POLL_RATE": (30, 30),
    "EXCHANGE_LOG": (False, False),
    "REJECTED_EVENTS_KEPT": (5, 5),
    "RETENTION": (
        {"exchanges": timedelta(days=3)},
        {**DEFAULTS["RETENTION"], "exchanges": timedelta(days=3)},
    ),
    "CACHE": ("other", "other"),
    "ALLOWED_IPS": (["203.0.113.7"], (ipaddress.ip_network("203.0.113.7"),)),
}


def two(other: dict[str, Any], **changes: Any) -> Config:
    merchants = {"default": MERCHANT, "other": {**MERCHANT, **other}}
    return Config({"MERCHANTS": merchants, **changes})


def test_every_option_is_one_of_a_merchants_own_or_refused_with_a_reason() -> None:
    assert set(OWN) | set(SERVER_WIDE) == set(DEFAULTS)
    assert not set(OWN) & set(SERVER_WIDE)


@pytest.mark.parametrize("name", OWN)
def test_an_option_of_its_own(name: str) -> None:
    value, expected = OWN[name]
    caches = {
        alias: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        for alias in ("default", "other")
    }
    with override_settings(CACHES=caches):
        config = two({name: value})
        assert getattr(config.options_of("other"), name.lower()) == expected
        for one in (config, config.options_of("default"), config.options_of("gone")):
            assert getattr(one, name.lower()) == getattr(Config(setting()), name.lower())
        assert config.merchant("other").name == "other"
        assert config.options_of("other").overridden == [name]


@pytest.mark.parametrize("name", SERVER_WIDE)
def test_what_cannot_differ_is_refused_with_a_sentence(name: str) -> None:
    config = two({name: DEFAULTS[name]})
    with pytest.raises(ImproperlyConfigured) as caught:
        config.merchant("other")
    assert f'["other"]["{name}"] cannot differ by merchant: {SERVER_WIDE[name]}' in str(
        caught.value
    )
    assert config.merchant("default").name == "default"


def test_nor_can_how_long_idempotency_keys_are_kept() -> None:
    config = two({"RETENTION": {"idempotency_keys": timedelta(hours=1)}})
    with pytest.raises(ImproperlyConfigured, match="idempotency_keys"):
        config.merchant("other")


def test_an_option_is_over_the_shared_one_and_that_over_the_default() -> None:
    config = two(
        {"RETENTION": {"exchanges": timedelta(days=3)}, "SEARCH_BATCH_SIZE": 7},
        RETENTION={"rejected_events": timedelta(days=1)},
        SEARCH_BATCH_SIZE=9,
        TIMEOUT=(5, 6),
    )
    own = config.options_of("other")
    assert (own.search_batch_size, own.timeout) == (7, (5.0, 6.0))
    assert own.retention == {
        **DEFAULTS["RETENTION"],
        "exchanges": timedelta(days=3),
        "rejected_events": timedelta(days=1),
    }


def test_a_fault_is_named_with_its_place() -> None:
    config = two({"TIMEOUT": 20, "ALLOWED_IPS": "nonsense"})
    own = config.options_of("other")
    for name in ("timeout", "allowed_ips"):
        with pytest.raises(ImproperlyConfigured) as caught:
            getattr(own, name)
        assert f'PAGOEFECTIVO["MERCHANTS"]["other"]["{name.upper()}"] is' in str(caught.value)


def test_the_checks_find_it_and_know_its_name() -> None:
    raw = two({"TIMEOUT": 20, "SITE_URL": "https://usd.example"}).raw
    with override_settings(PAGOEFECTIVO=raw):
        messages = [m for m in run_checks(databases=[]) if str(m.id).startswith("pagoefectivo.")]
    assert [m.id for m in messages] == ["pagoefectivo.E003"]
    assert '["other"]["TIMEOUT"] is 20' in messages[0].msg


def test_a_gateway_has_the_merchants_own_timeout() -> None:
    config = two({"TIMEOUT": (1, 2)})
    assert gateway_for(config.merchant("other"), config).timeout == (1, 2)
    assert gateway_for(config.merchant("default"), config).timeout == (3.05, 20)


def test_merchants_of_one_shop_say_so() -> None:
    config = two({"SHOP": "default"})
    assert config.merchant("other").shop == "default"
    assert (config.shop_of("other"), config.shop_of("default")) == ("default", "default")
    assert config.shop_of("gone") == "gone"
    assert two({}).merchant("other").shop == "other"


@pytest.mark.parametrize("shop", ["", "a b", 5, ["x"], "x" * 51], ids=repr)
def test_a_shop_that_is_no_name(shop: object) -> None:
    with pytest.raises(ImproperlyConfigured, match=r'\["other"\]\["SHOP"\]'):
        two({"SHOP": shop}).merchant("other")

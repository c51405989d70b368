"""``from_env``: the setting out of environment variables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

from django_pagoefectivo.conf import Config, from_env
from django_pagoefectivo.gateways.registry import check_merchant

from .samples import ACCESS_KEY, SECRET_KEY

CREDENTIALS = {"SERVICE_ID": "1234", "ACCESS_KEY": ACCESS_KEY, "SECRET_KEY": SECRET_KEY}


def env_of(**variables: str) -> environ.Env:
    env = environ.Env()
    env.ENVIRON = {f"PAGOEFECTIVO_{name}": value for name, value in variables.items()}
    return env


def config_of(**variables: str) -> Config:
    return Config(from_env(env_of(**{**CREDENTIALS, **variables})))


def test_credentials_are_enough() -> None:
    assert from_env(env_of(**CREDENTIALS)) == {"MERCHANTS": {"default": CREDENTIALS}}
    assert config_of().merchant("default").secret_key == SECRET_KEY


def test_everything() -> None:
    read = from_env(
        env_of(
            **CREDENTIALS,
            SECRET_KEY_FALLBACKS="older, oldest,",
            API="cip",
            ENVIRONMENT="production",
            BASE_URL="https://services.example/v1",
            CURRENCIES="PEN, USD",
            ADMIN_EMAIL="ventas@shop.example",
            EXPIRES_IN_HOURS="1.5",
            SITE_URL="https://shop.example",
            RETURN_URL="orders:list",
            CONFIRM_WITH_STATUS_QUERY="true",
            SIGNAL_DELIVERY="worker",
            CACHE="default",
            ALLOWED_IPS="203.0.113.0/24, 2001:db8::1",
            IP_HEADER="X-Forwarded-For",
            TRUSTED_PROXIES="10.0.0.0/8",
        ),
        merchant="pen",
    )
    config = Config(read)
    merchant = config.merchant("pen")
    assert merchant.secret_keys == (SECRET_KEY, "older", "oldest")
    assert merchant.currencies == ("PEN", "USD")
    assert merchant.is_production
    assert merchant.base_url == "https://services.example/v1"
    assert merchant.admin_email == "ventas@shop.example"
    assert config.expires_in == timedelta(minutes=90)
    assert config.site_url == "https://shop.example"
    assert config.return_url == "orders:list"
    assert config.confirm_with_status_query is True
    assert config.signal_delivery == "worker"
    assert [str(network) for network in config.allowed_ips] == ["203.0.113.0/24", "2001:db8::1/128"]
    assert (config.ip_header, len(config.trusted_proxies)) == ("X-Forwarded-For", 1)


@pytest.mark.parametrize("blank", ["", "  "])
def test_what_is_empty_keeps_its_default(blank: str) -> None:
    names = [
        "SECRET_KEY_FALLBACKS", "API", "ENVIRONMENT", "BASE_URL", "CURRENCIES", "ADMIN_EMAIL",
        "EXPIRES_IN_HOURS", "SITE_URL", "RETURN_URL", "CONFIRM_WITH_STATUS_QUERY",
        "SIGNAL_DELIVERY", "CACHE", "ALLOWED_IPS", "IP_HEADER", "TRUSTED_PROXIES",
    ]  # fmt: skip
    read = from_env(env_of(**CREDENTIALS, **dict.fromkeys(names, blank)))
    assert read == {"MERCHANTS": {"default": CREDENTIALS}}


@pytest.mark.parametrize("missing", CREDENTIALS)
def test_missing_credentials_are_named_when_used(missing: str) -> None:
    given = {name: value for name, value in CREDENTIALS.items() if name != missing}
    config = Config(from_env(env_of(**given)))
    with pytest.raises(ImproperlyConfigured, match=missing):
        check_merchant(config.merchant("default"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("True", True), ("on", True), ("1", True), ("yes", True), (" y ", True),
     ("false", False), ("False", False), ("off", False), ("0", False), ("no", False)],
)  # fmt: skip
def test_switches(text: str, expected: bool) -> None:
    assert config_of(CONFIRM_WITH_STATUS_QUERY=text).confirm_with_status_query is expected


@pytest.mark.parametrize(
    ("name", "value", "attribute"),
    [
        ("CONFIRM_WITH_STATUS_QUERY", "maybe", "confirm_with_status_query"),
        ("CONFIRM_WITH_STATUS_QUERY", "treu", "confirm_with_status_query"),
        ("SITE_URL", "shop.example", "site_url"),
        ("SIGNAL_DELIVERY", "later", "signal_delivery"),
        ("CACHE", "redis", "cache"),
        ("ALLOWED_IPS", "203.0.113.0/33", "allowed_ips"),
        ("TRUSTED_PROXIES", "proxy", "trusted_proxies"),
        ("IP_HEADER", "X-Forwarded-For", "ip_header"),
    ],
)
def test_malformed_values_are_named_when_used(name: str, value: str, attribute: str) -> None:
    config = config_of(**{name: value})
    with pytest.raises(ImproperlyConfigured) as caught:
        getattr(config, attribute)
    assert f'PAGOEFECTIVO["{name}"]' in str(caught.value)


@pytest.mark.parametrize("text", ["soon", "24h", "1,5", "nan", "inf", "1e400", "9" * 40, "1 000"])
def test_hours_that_are_no_number(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^PAGOEFECTIVO_EXPIRES_IN_HOURS is .* like 24"):
        from_env(env_of(**CREDENTIALS, EXPIRES_IN_HOURS=text))


@pytest.mark.parametrize("text", ["0", "-1"])
def test_hours_that_are_no_term(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EXPIRES_IN"):
        _ = config_of(EXPIRES_IN_HOURS=text).expires_in


def test_the_process_environment_and_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "secret").write_text(SECRET_KEY)
    monkeypatch.setenv("PAGOEFECTIVO_SERVICE_ID", "77")
    monkeypatch.setenv("PAGOEFECTIVO_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("PAGOEFECTIVO_SECRET_KEY_FILE", str(tmp_path / "secret"))
    read = Config(from_env(environ.FileAwareEnv())).merchant("default")
    assert (read.service_id, read.secret_key) == ("77", SECRET_KEY)

"""The ``PAGOEFECTIVO`` setting: what is read, and how each fault is named."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_pagoefectivo.conf import CHECKED_PROPERTIES, Config, get_config, is_web_url
from django_pagoefectivo.gateways import CipGateway, Gateway, gateway_class, gateway_for
from django_pagoefectivo.gateways.registry import check_merchant

from .samples import ACCESS_KEY, SECRET_KEY, setting


class OwnGateway(Gateway):
    """A contract of its own, with an address that it does not publish."""


class OwnCipGateway(CipGateway):
    """The CIP API with something of its own."""


NO_GATEWAY = "not a gateway"


def merchant(**changes: Any) -> Any:
    return Config(setting(changes)).merchant("default")


def test_defaults() -> None:
    config = Config(setting())
    assert config.expires_in == timedelta(hours=24)
    assert config.site_url is None
    assert config.return_url is None
    assert config.confirm_with_status_query is False
    assert config.signal_delivery == "inline"
    assert config.timeout == (3.05, 20.0)
    assert config.search_batch_size == 50
    assert config.poll_rate is None
    assert config.exchange_log is True
    assert config.rejected_events_kept == 1000
    assert config.retention == {
        "exchanges": timedelta(days=90),
        "rejected_events": timedelta(days=30),
        "idempotency_keys": timedelta(days=1),
    }
    assert config.cache == "default"
    assert config.allowed_ips == config.trusted_proxies == ()
    assert config.ip_header is None


def test_defaults_of_a_merchant() -> None:
    read = merchant()
    assert (read.name, read.api, read.environment) == ("default", "cip", "sandbox")
    assert (read.base_url, read.service_id) == (None, "1234")
    assert (read.currencies, read.admin_email) == (("PEN",), "")
    assert read.secret_keys == (SECRET_KEY,)
    assert read.is_production is False


def test_each_value_of_a_merchant() -> None:
    read = merchant(
        ENVIRONMENT="production",
        BASE_URL="https://services.pagoefectivo.example/v1/",
        SERVICE_ID=1234,
        SECRET_KEY_FALLBACKS=("older", "oldest"),
        CURRENCIES=("PEN", "USD"),
        ADMIN_EMAIL="ventas@shop.example",
    )
    assert read.is_production
    assert read.base_url == "https://services.pagoefectivo.example/v1"
    assert read.service_id == "1234"
    assert read.secret_keys == (SECRET_KEY, "older", "oldest")
    assert read.currencies == ("PEN", "USD")
    assert read.admin_email == "ventas@shop.example"


@pytest.mark.parametrize("name", ["default", "usd", "shop-2", "shop_2", "x" * 50])
def test_names_of_merchants(name: str) -> None:
    config = Config({"MERCHANTS": {name: setting()["MERCHANTS"]["default"]}})
    assert config.merchant_names == (name,)
    assert [m.name for m in config.merchants()] == [name]


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("EXPIRES_IN", timedelta(minutes=5), "expires_in", timedelta(minutes=5)),
        ("SITE_URL", "https://shop.example/", "site_url", "https://shop.example"),
        ("SITE_URL", "http://localhost:8000", "site_url", "http://localhost:8000"),
        ("RETURN_URL", "orders:list", "return_url", "orders:list"),
        ("RETURN_URL", str, "return_url", str),
        ("CONFIRM_WITH_STATUS_QUERY", True, "confirm_with_status_query", True),
        ("SIGNAL_DELIVERY", "worker", "signal_delivery", "worker"),
        ("TIMEOUT", [1, 2.5], "timeout", (1.0, 2.5)),
        ("SEARCH_BATCH_SIZE", 1, "search_batch_size", 1),
        ("POLL_RATE", 6000, "poll_rate", 6000),
        ("EXCHANGE_LOG", False, "exchange_log", False),
        ("REJECTED_EVENTS_KEPT", 0, "rejected_events_kept", 0),
        (
            "RETENTION",
            {"exchanges": timedelta(0)},
            "retention",
            {
                "exchanges": timedelta(0),
                "rejected_events": timedelta(days=30),
                "idempotency_keys": timedelta(days=1),
            },
        ),
        ("CACHE", "default", "cache", "default"),
        ("ALLOWED_IPS", None, "allowed_ips", ()),
        (
            "ALLOWED_IPS",
            ["203.0.113.0/24", " 2001:db8::1 "],
            "allowed_ips",
            (ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("2001:db8::1/128")),
        ),
        ("ALLOWED_IPS", "203.0.113.7", "allowed_ips", (ipaddress.ip_network("203.0.113.7"),)),
        (
            "TRUSTED_PROXIES",
            (ipaddress.ip_network("10.0.0.0/8"),),
            "trusted_proxies",
            (ipaddress.ip_network("10.0.0.0/8"),),
        ),
    ],
)
def test_each_setting(name: str, value: Any, attribute: str, expected: Any) -> None:
    assert getattr(Config(setting(**{name: value})), attribute) == expected


ODD: tuple[Any, ...] = (
    None, "", "nonsense", 0, -1, 1.5, True, [], ["x"], {}, {"x": 1}, b"bytes", object(), Decimal(1),
    float("nan"), float("inf"), timedelta(0), timedelta(days=-1), (1,), ("a", "b"), [None], [[]],
    [()], [{}], [b"\x7f\0\0\1"], "2001:db8::/129", "10.0.0.1/8", [5], [True],
)  # fmt: skip
NAMES = {name: name.lower() for name in (*map(str.upper, CHECKED_PROPERTIES), "CACHE")}


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_value_is_read_or_refused_and_never_anything_else(name: str) -> None:
    for value in ODD:
        config = Config(setting(**{"TRUSTED_PROXIES": ["10.0.0.0/8"], name: value}))
        with suppress(ImproperlyConfigured):
            getattr(config, NAMES[name])


@pytest.mark.parametrize(
    ("name", "values", "mend"),
    [
        ("EXPIRES_IN", [None, 24, timedelta(0), timedelta(hours=-1)], "timedelta greater than"),
        (
            "SITE_URL",
            ["", "shop.example", "//shop.example", "ftp://shop.example", "https://", "http://[::1",
             "https://shop.example:port", 5, ["https://shop.example"]],
            '"https://shop.example"',
        ),
        ("RETURN_URL", ["", 5, ["x"]], "URL name or a callable"),
        ("CONFIRM_WITH_STATUS_QUERY", [None, "yes", 1, 0, []], "True or False"),
        ("SIGNAL_DELIVERY", [None, "", "Inline", "thread", [], ["inline"]], '"inline", "worker"'),
        (
            "TIMEOUT",
            [None, 20, "20", "12", (), (1,), (1, 2, 3), (0, 5), (5, 0), (-1, 5), (True, 5),
             ("1", "2"), (1, None), (1, float("nan")), (1, float("inf")), (1, 10**9), {1: 2, 3: 4}],
            "like (3.05, 20)",
        ),
        ("SEARCH_BATCH_SIZE", [None, 0, -1, "50", 1.5, True], "whole number above 0"),
        ("POLL_RATE", [0, -1, "50", "50/min", 1.5, True, False, 6001], "from 1 to 6000"),
        ("EXCHANGE_LOG", [None, "on", 1], "True or False"),
        ("REJECTED_EVENTS_KEPT", [None, -1, "10", 1.5, True, False], "a whole number"),
        (
            "RETENTION",
            [None, 90, {"exchanges": 90}, {"exchange": timedelta(1)}, [], {1: timedelta(1)},
             {"exchanges": None}, {"exchanges": timedelta(days=-1)}],
            '"exchanges", "rejected_events"',
        ),
        ("CACHE", [None, "", "redis", ["default"], {}, 5], "CACHES setting"),
        (
            "ALLOWED_IPS",
            ["nonsense", ["10.0.0.1/8"], ["10.0.0.0/33"], ["shop.example"], 5, [5], [None],
             [b"abcd"], "10.0.0.0/8, 192.168.0.0/16", [""], [()], object()],
            '["203.0.113.0/24"]',
        ),
        ("TRUSTED_PROXIES", ["nonsense", [None], 7], '["203.0.113.0/24"]'),
        ("IP_HEADER", ["", 5, ["X-Forwarded-For"]], '"X-Forwarded-For"'),
    ],
)  # fmt: skip
def test_malformed_values(name: str, values: list[Any], mend: str) -> None:
    for value in values:
        config = Config(setting(**{name: value}))
        with pytest.raises(ImproperlyConfigured) as caught:
            getattr(config, name.lower())
        assert f'PAGOEFECTIVO["{name}"] is' in str(caught.value), value
        assert mend in str(caught.value), value


def test_a_header_that_anybody_could_write_is_not_believed() -> None:
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES"):
        _ = Config(setting(IP_HEADER="X-Forwarded-For")).ip_header
    config = Config(setting(IP_HEADER="X-Forwarded-For", TRUSTED_PROXIES=["10.0.0.0/8"]))
    assert config.ip_header == "X-Forwarded-For"


@pytest.mark.parametrize("raw", [None, [], "x", 5, (("MERCHANTS", {}),)], ids=repr)
def test_a_setting_that_is_no_dict(raw: object) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"PAGOEFECTIVO setting.*from_env"):
        Config(raw)


@pytest.mark.parametrize("merchants", [..., None, {}, [], "default", ["default"], 5], ids=repr)
def test_merchants_that_are_none(merchants: object) -> None:
    config = Config({} if merchants is ... else {"MERCHANTS": merchants})
    for read in (lambda: config.merchant_names, lambda: config.merchant("x"), config.merchants):
        with pytest.raises(ImproperlyConfigured, match=r'PAGOEFECTIVO\["MERCHANTS"\] is missing'):
            read()


@pytest.mark.parametrize(
    ("key", "values", "mend"),
    [
        ("SERVICE_ID", [..., None, "", "  ", 0.0, True, ["1234"], b"1234"], "idService"),
        ("ACCESS_KEY", [None, 5, b"x"], "must be text"),
        ("ACCESS_KEY", ["   ", f" {ACCESS_KEY}", f"{ACCESS_KEY}\n"], "white space"),
        ("SECRET_KEY", [..., None, "", " ", 5, b"x", [SECRET_KEY]], "PAGOEFECTIVO_SECRET_KEY"),
        ("SECRET_KEY", [f" {SECRET_KEY}", f"{SECRET_KEY}\n"], "white space"),
        (
            "SECRET_KEY_FALLBACKS",
            [None, 5, "older", [""], [" "], [None], ["older", 5], b"older", {"older": 1}, object()],
            "list of keys",
        ),
        ("SECRET_KEY_FALLBACKS", [["older "], ["fine", "\tolder"]], "white space"),
        ("API", [None, "", 5, ["cip"]], '"cip"'),
        (
            "ENVIRONMENT",
            [None, "", "Production", "prod", True, ["sandbox"]],
            '"sandbox" or "production"',
        ),
        (
            "BASE_URL",
            [5, "services.pagoefectivo.example", "ftp://x/v1", "https://", "https:///v1",
             "https://x:port/v1", "https://x/v1?a=1", "https://x/v1#a", "https://x /v1",
             "https://x/v1 ", "http://[::1/v1", ["https://x"], b"https://x"],
            '"https://services.pagoefectivo.example/v1"',
        ),
        (
            "CURRENCIES",
            [None, 5, "PEN", [], (), ["pen"], ["PE"], ["PEN", None], [5], ["ÑÑÑ"], object()],
            '["PEN"]',
        ),
        ("ADMIN_EMAIL", [5, ["a@example.com"], "ventas", True], "e-mail address"),
    ],
)  # fmt: skip
def test_malformed_values_of_a_merchant(key: str, values: list[Any], mend: str) -> None:
    for value in values:
        with pytest.raises(ImproperlyConfigured) as caught:
            merchant(**{key: value})
        assert f'PAGOEFECTIVO["MERCHANTS"]["default"]["{key}"]' in str(caught.value), value
        assert mend in str(caught.value), value
        for secret in (ACCESS_KEY, SECRET_KEY, "older"):
            assert secret not in str(caught.value)


@pytest.mark.parametrize("api", ["cip", f"{__name__}.OwnCipGateway"])
@pytest.mark.parametrize(
    ("key", "values", "mend"),
    [
        ("SERVICE_ID", ["12a4", "12 34", " 1234", "-1", "١٢", SECRET_KEY], "idService is a number"),
        ("ACCESS_KEY", [..., ""], "PAGOEFECTIVO_ACCESS_KEY"),
    ],
)
def test_credentials_that_the_contract_cannot_use(
    api: str, key: str, values: list[Any], mend: str
) -> None:
    for value in values:
        config = Config(setting({"API": api, key: value}))
        one = config.merchant("default")
        for use in (check_merchant, lambda merchant: gateway_for(merchant, Config(setting()))):
            with pytest.raises(ImproperlyConfigured) as caught:
                use(one)
            assert f'PAGOEFECTIVO["MERCHANTS"]["default"]["{key}"]' in str(caught.value), value
            assert mend in str(caught.value), value
            assert SECRET_KEY not in str(caught.value)


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ImproperlyConfigured, match="BASE_URL") as caught:
        merchant(BASE_URL="https://user:swordfish@services.example/v1")
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a/b", "a.b", "x" * 51, 5, None, ("a",)], ids=repr
)
def test_names_that_no_merchant_can_have(name: Any) -> None:
    config = Config({"MERCHANTS": {name: setting()["MERCHANTS"]["default"]}})
    with pytest.raises(ImproperlyConfigured, match="1 to 50 letters"):
        config.merchant(name)
    with pytest.raises(ImproperlyConfigured, match="no merchant"):
        config.merchant("other")


@pytest.mark.parametrize("raw", [None, [], "secret-looking", 5], ids=repr)
def test_a_merchant_that_is_no_dict(raw: object) -> None:
    with pytest.raises(ImproperlyConfigured, match="is no dict") as caught:
        Config({"MERCHANTS": {"default": raw}}).merchant("default")
    assert "secret-looking" not in str(caught.value)


def test_an_unknown_merchant_is_named_with_those_known() -> None:
    with pytest.raises(ImproperlyConfigured, match=r'no merchant "usd".*known: default\.'):
        Config(setting()).merchant("usd")


def test_settings_are_read_when_used() -> None:
    before = get_config().search_batch_size
    with override_settings(PAGOEFECTIVO=setting({"SERVICE_ID": "99"}, SEARCH_BATCH_SIZE=7)):
        assert get_config().search_batch_size == 7
        assert get_config().merchant("default").service_id == "99"
    assert get_config().search_batch_size == before
    with override_settings():
        from django.conf import settings

        del settings.PAGOEFECTIVO
        with pytest.raises(ImproperlyConfigured):
            get_config()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://shop.example", True),
        ("HTTPS://shop.example/x?y#z", True),
        ("http://[2001:db8::1]:8000", True),
        ("https://shop.example:0", False),
        ("https://shop.example:70000", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_web_addresses(value: str, expected: bool) -> None:
    assert is_web_url(value) is expected


class TestGatewayOfAMerchant:
    def test_built_in(self) -> None:
        assert gateway_class(merchant()) is CipGateway

    @pytest.mark.parametrize(
        ("environment", "url"),
        [
            ("sandbox", "https://pre1a.services.pagoefectivo.pe/v1"),
            ("production", "https://services.pagoefectivo.pe/v1"),
        ],
    )
    def test_addresses_of_pagoefectivo(self, environment: str, url: str) -> None:
        config = Config(setting({"ENVIRONMENT": environment}, TIMEOUT=(1, 2)))
        gateway = gateway_for(config.merchant("default"), config)
        assert gateway.base_url == url
        assert (gateway.timeout, gateway.cache) == ((1, 2), "default")

    def test_own_class(self) -> None:
        own = f"{__name__}.OwnGateway"
        config = Config(setting({"API": own, "BASE_URL": "https://x.example/api"}))
        found = gateway_for(config.merchant("default"), config)
        assert type(found).__name__ == "OwnGateway"
        assert found.base_url == "https://x.example/api"

    def test_own_class_without_an_address(self) -> None:
        config = Config(setting({"API": f"{__name__}.OwnGateway"}))
        with pytest.raises(ImproperlyConfigured, match=r'\["default"\]\["BASE_URL"\] is missing'):
            gateway_for(config.merchant("default"), config)

    @pytest.mark.parametrize(
        "api",
        ["CIP", "nonsense", "no.such.Gateway", "django_pagoefectivo.Nothing", ".Gateway", "a..b",
         "..", ".", "django_pagoefectivo.", f"{__name__}.NO_GATEWAY", f"{__name__}.merchant",
         "builtins.dict"],
    )  # fmt: skip
    def test_no_class(self, api: str) -> None:
        with pytest.raises(ImproperlyConfigured, match=r'\["default"\]\["API"\]'):
            gateway_class(merchant(API=api))

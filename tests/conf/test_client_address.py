"""Whose address a notification is taken to come from."""

from __future__ import annotations

from typing import Any

import pytest

from django_pagoefectivo.client_address import client_address, is_allowed
from django_pagoefectivo.conf import Config

from .samples import setting

HEADER = "HTTP_X_FORWARDED_FOR"
PROXIED: dict[str, Any] = {
    "IP_HEADER": "X-Forwarded-For",
    "TRUSTED_PROXIES": ["10.0.0.0/8", "2001:db8:1::/48"],
}


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"REMOTE_ADDR": "203.0.113.7"}, "203.0.113.7"),
        ({"REMOTE_ADDR": "2001:DB8::1"}, "2001:db8::1"),
        ({"REMOTE_ADDR": "::ffff:203.0.113.7"}, "203.0.113.7"),
        ({"REMOTE_ADDR": "203.0.113.7", HEADER: "198.51.100.1"}, "203.0.113.7"),
        ({"REMOTE_ADDR": ""}, None),
        ({"REMOTE_ADDR": "unix:"}, None),
        ({"REMOTE_ADDR": "203.0.113.7:443"}, None),
        ({"REMOTE_ADDR": None}, None),
        ({}, None),
    ],
)
def test_without_proxies_the_connection_decides(meta: dict[str, Any], expected: str | None) -> None:
    assert client_address(meta, Config(setting())) == expected


@pytest.mark.parametrize(
    ("remote", "header", "expected"),
    [
        pytest.param("10.0.0.1", "203.0.113.7", "203.0.113.7", id="one-proxy"),
        pytest.param("10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7", id="two-proxies"),
        pytest.param("10.0.0.1", "198.51.100.9, 203.0.113.7", "203.0.113.7", id="forged-in-front"),
        pytest.param("10.0.0.1", "10.0.0.9, 203.0.113.7", "203.0.113.7", id="forged-as-a-proxy"),
        pytest.param("10.0.0.1", "203.0.113.7, junk, 10.0.0.2", None, id="junk-next-to-the-proxy"),
        pytest.param("10.0.0.1", "junk, 203.0.113.7", "203.0.113.7", id="junk-in-front"),
        pytest.param("10.0.0.1", "203.0.113.7:51000", None, id="with-a-port"),
        pytest.param("10.0.0.1", " 203.0.113.7 , ", "203.0.113.7", id="blanks"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="empty"),
        pytest.param("10.0.0.1", None, "10.0.0.1", id="no-header"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="only-proxies"),
        pytest.param("203.0.113.7", "198.51.100.9", "203.0.113.7", id="no-proxy-of-ours"),
        pytest.param("junk", "198.51.100.9", None, id="unreadable-connection"),
        pytest.param("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7", id="mapped-proxy"),
        pytest.param("10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7", id="mapped-client"),
        pytest.param("2001:db8:1::5", "2001:db8:2::7", "2001:db8:2::7", id="ipv6"),
        pytest.param("2001:db8:2::5", "203.0.113.7", "2001:db8:2::5", id="ipv6-not-ours"),
    ],
)
def test_behind_proxies(remote: str, header: str | None, expected: str | None) -> None:
    meta = {"REMOTE_ADDR": remote} | ({} if header is None else {HEADER: header})
    assert client_address(meta, Config(setting(**PROXIED))) == expected


def test_the_header_is_the_one_that_was_named() -> None:
    config = Config(setting(IP_HEADER="X-Real-IP", TRUSTED_PROXIES=["10.0.0.1"]))
    meta = {"REMOTE_ADDR": "10.0.0.1", HEADER: "198.51.100.9", "HTTP_X_REAL_IP": "203.0.113.7"}
    assert client_address(meta, config) == "203.0.113.7"


def test_proxies_without_a_header_name_change_nothing() -> None:
    config = Config(setting(TRUSTED_PROXIES=["10.0.0.0/8"]))
    meta = {"REMOTE_ADDR": "10.0.0.1", HEADER: "203.0.113.7"}
    assert client_address(meta, config) == "10.0.0.1"


@pytest.mark.parametrize(
    ("networks", "address", "expected"),
    [
        ([], "203.0.113.7", True),
        ([], None, True),
        (["203.0.113.0/24"], "203.0.113.7", True),
        (["203.0.113.0/24"], "::ffff:203.0.113.7", True),
        (["203.0.113.0/24"], "203.0.114.7", False),
        (["203.0.113.0/24"], "2001:db8::1", False),
        (["203.0.113.0/24", "2001:db8::/32"], "2001:db8::1", True),
        (["203.0.113.7"], "203.0.113.7", True),
        (["203.0.113.7"], "203.0.113.8", False),
        (["203.0.113.0/24"], None, False),
        (["203.0.113.0/24"], "", False),
        (["203.0.113.0/24"], "junk", False),
        (["0.0.0.0/0"], None, False),
    ],
)
def test_allowed_networks(networks: list[str], address: str | None, expected: bool) -> None:
    assert is_allowed(address, Config(setting(ALLOWED_IPS=networks))) is expected

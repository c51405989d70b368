"""System checks: each one fires on its fault, and only then, and says how to mend it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.test import override_settings
from django.urls import include, path

from .samples import ACCESS_KEY, MERCHANT, SECRET_KEY, setting

LOCAL = {"BASE_URL": "http://127.0.0.1:9/v1"}
INTEGRATION = "https://pre1a.services.pagoefectivo.pe/v1"
PRODUCTION = {"ENVIRONMENT": "production"}
REDIS = {
    "BACKEND": "django.core.cache.backends.redis.RedisCache",
    "LOCATION": "redis://127.0.0.1:1/0",
}
SHARED = {"default": REDIS}
APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django_pagoefectivo"]


def found(*, deploy: bool = False, **changes: Any) -> list[CheckMessage]:
    """Our messages under the changed settings, those of a safe shop by default."""
    safe = {"PAGOEFECTIVO": setting(), "CACHES": SHARED, "INSTALLED_APPS": APPS}
    with override_settings(**{**safe, **changes}):
        # None of ours needs a database, and these tests have none.
        messages = run_checks(include_deployment_checks=deploy, databases=[])
    return [m for m in messages if str(m.id).startswith("pagoefectivo.")]


def ids(messages: list[CheckMessage]) -> list[str]:
    return [str(message.id).removeprefix("pagoefectivo.") for message in messages]


@pytest.fixture(autouse=True)
def urlconf(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this app's URLs, so that no other app has to be installed."""
    module = ModuleType("tests_conf_urls")
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("pagoefectivo/", include("django_pagoefectivo.urls"))
    ]
    monkeypatch.setitem(sys.modules, "tests_conf_urls", module)
    monkeypatch.setitem(sys.modules, "tests_conf_no_urls", ModuleType("tests_conf_no_urls"))
    sys.modules["tests_conf_no_urls"].urlpatterns = []  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = "tests_conf_urls"


CASES: list[Any] = [
    pytest.param({}, [], [], id="safe-shop"),
    pytest.param({"PAGOEFECTIVO": setting(LOCAL)}, [], [], id="local-sandbox"),
    pytest.param({"PAGOEFECTIVO": setting(PRODUCTION)}, [], [], id="safe-production"),
    pytest.param({"PAGOEFECTIVO": None}, ["E001"], ["PAGOEFECTIVO setting"], id="no-setting"),
    pytest.param({"PAGOEFECTIVO": []}, ["E001"], ["no dict"], id="no-dict"),
    pytest.param({"PAGOEFECTIVO": {}}, ["E001"], ["MERCHANTS"], id="no-merchants"),
    pytest.param(
        {"PAGOEFECTIVO": setting({"SECRET_KEY": ""})}, ["E002"], ["SECRET_KEY"], id="no-secret-key"
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({"API": "no.such.Class"})}, ["E002"], ["no.such"], id="no-api"
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({"API": "no.such.Class", **PRODUCTION})},
        ["E002"],
        ["no.such.Class"],
        id="no-api-in-production",
    ),
    pytest.param(
        {"PAGOEFECTIVO": {"MERCHANTS": {"a": {}, "default": MERCHANT, "b": None}}},
        ["E002", "E002"],
        ['["a"]', '["b"]'],
        id="two-bad-merchants",
    ),
    pytest.param(
        {"PAGOEFECTIVO": {"MERCHANTS": {5: MERCHANT}}}, ["E002"], ["[\"5\"]"], id="odd-name"
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting(TIMEOUT=20)}, ["E003"], ['"TIMEOUT"'], id="timeout"
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting(EXPIRES_IN=24, ALLOWED_IPS=["x"], RETENTION=5)},
        ["E003", "E003", "E003"],
        ["EXPIRES_IN", "RETENTION", "ALLOWED_IPS"],
        id="three-bad-settings",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting(IP_HEADER="X-Forwarded-For")},
        ["E003"],
        ["TRUSTED_PROXIES"],
        id="header-without-proxies",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({**PRODUCTION, "BASE_URL": INTEGRATION})},
        ["E015"],
        ["codes that nobody can pay"],
        id="production-at-the-integration-address",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({"BASE_URL": "https://SERVICES.pagoefectivo.pe/v1"})},
        ["E015"],
        ["would make real codes"],
        id="sandbox-at-the-production-address",
    ),
    pytest.param({"PAGOEFECTIVO": setting({"BASE_URL": INTEGRATION})}, [], [], id="integration"),
    pytest.param(
        {"PAGOEFECTIVO": setting({**PRODUCTION, "BASE_URL": "https://proxy.example/v1"})},
        [],
        [],
        id="production-by-a-proxy",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({"BASE_URL": "http://services.example/v1"})},
        ["E004"],
        ["without TLS"],
        id="plain-http",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({"BASE_URL": "HTTP://services.example/v1"})},
        ["E004"],
        ["without TLS"],
        id="plain-http-in-capitals",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({**LOCAL, **PRODUCTION})}, ["E004"], ["TLS"], id="local-production"
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({"BASE_URL": "http://sandbox.localhost:8000/v1"})},
        [],
        [],
        id="localhost",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({"BASE_URL": "http://[::1]:8000/v1"})}, [], [], id="local-ipv6"
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({"BASE_URL": "http://localhost.evil.example/v1"})},
        ["E004"],
        ["TLS"],
        id="nearly-local",
    ),
    pytest.param(
        {
            "PAGOEFECTIVO": {
                "MERCHANTS": {
                    "broken": {},
                    "default": {**MERCHANT, "BASE_URL": "http://services.example/v1"},
                }
            }
        },
        ["E002", "E004"],
        ["broken", "default"],
        id="a-broken-merchant-hides-no-other-one",
    ),
    pytest.param({"USE_TZ": False}, ["E006"], ["USE_TZ"], id="naive-times"),
    pytest.param(
        {"USE_TZ": False, "PAGOEFECTIVO": None}, ["E006", "E001"], ["", ""], id="two-of-them"
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting(CACHE="redis")}, ["E007"], ["'redis'"], id="no-such-cache"
    ),
    pytest.param({"PAGOEFECTIVO": setting(CACHE=[])}, ["E007"], ["[]"], id="odd-cache"),
    pytest.param(
        {"PAGOEFECTIVO": setting(PRODUCTION, CACHE="redis")}, ["E007"], [""], id="cache-production"
    ),
    *(
        pytest.param(
            {
                "PAGOEFECTIVO": setting(PRODUCTION),
                "CACHES": {"default": {"BACKEND": backend}},
            },
            ["W008"],
            ["each process has for itself"],
            id=backend,
        )
        for backend in (
            "django.core.cache.backends.locmem.LocMemCache",
            "django.core.cache.backends.dummy.DummyCache",
            "tests.doctor.backends.OwnMemory",
        )
    ),
    pytest.param(
        {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}},
        [],
        [],
        id="locmem-in-the-sandbox",
    ),
    pytest.param(
        {
            "PAGOEFECTIVO": setting(PRODUCTION, CACHE="shared"),
            "CACHES": {
                "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
                "shared": REDIS,
            },
        },
        [],
        [],
        id="another-cache-is-shared",
    ),
    pytest.param({"ROOT_URLCONF": "tests_conf_no_urls"}, ["E010"], ["URLs"], id="no-urls"),
    pytest.param({"ROOT_URLCONF": None}, ["E010"], ["URLs"], id="no-urlconf"),
    pytest.param(
        {"PAGOEFECTIVO": setting(TIMOUT=(1, 2))}, ["W011"], ['["TIMOUT"]'], id="slip"
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting({"ACCES_KEY": "x"})}, ["W011"], ["ACCES_KEY"], id="of-a-merchant"
    ),
    pytest.param({"PAGOEFECTIVO": {**setting(), "": 1}}, ["W011"], ['[""]'], id="empty-name"),
    pytest.param({"PAGOEFECTIVO": {**setting(), 5: 1}}, ["W011"], ["5"], id="number-as-name"),
    pytest.param(
        {"PAGOEFECTIVO": setting({"ACCESS_KEY": ACCESS_KEY[:-1]})},
        ["W012"],
        ["19 characters"],
        id="short-access-key",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting(PRODUCTION, SITE_URL="http://shop.example")},
        ["W013"],
        ["http://shop.example"],
        id="shop-without-tls",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting(PRODUCTION, SITE_URL="Http://shop.example")},
        ["W013"],
        ["shop.example"],
        id="shop-without-tls-in-capitals",
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting(SITE_URL="http://shop.example")}, [], [], id="sandbox-without-tls"
    ),
    pytest.param(
        {"PAGOEFECTIVO": setting(PRODUCTION, SITE_URL="https://shop.example")},
        [],
        [],
        id="shop-with-tls",
    ),
    pytest.param(
        {
            "PAGOEFECTIVO": setting(PRODUCTION, SITE_URL="shop"),
            "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        },
        ["E003", "W008"],
        ["SITE_URL", "cache"],
        id="one-finding-hides-no-other",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected", "words"), CASES)
def test_what_is_found(changes: dict[str, Any], expected: list[str], words: list[str]) -> None:
    messages = found(**changes)
    assert sorted(ids(messages)) == sorted(expected)
    for check_id, word in zip(expected, words, strict=True):
        assert any(check_id in str(m.id) and word in m.msg for m in messages)
    for message in messages:
        assert message.hint
        assert message.msg.endswith(".")
        for secret in (ACCESS_KEY, SECRET_KEY):
            assert secret not in f"{message.msg}{message.hint}"


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"PAGOEFECTIVO": None}, "from_env"),
        ({"PAGOEFECTIVO": setting({"SECRET_KEY": ""})}, '["MERCHANTS"]["default"]'),
        ({"PAGOEFECTIVO": setting(EXPIRES_IN=24)}, repr(timedelta(hours=24))),
        ({"PAGOEFECTIVO": setting({"BASE_URL": "http://services.example/v1"})}, "https://"),
        ({"USE_TZ": False}, "USE_TZ = True"),
        ({"PAGOEFECTIVO": setting(CACHE="redis")}, "'default'"),
        ({"PAGOEFECTIVO": setting(TIMOUT=(1, 2))}, "TIMEOUT"),
        ({"PAGOEFECTIVO": setting(ZZZZZZ=1)}, "Remove it"),
        ({"ROOT_URLCONF": "tests_conf_no_urls"}, 'include("django_pagoefectivo.urls")'),
    ],
)
def test_hints(changes: dict[str, Any], hint: str) -> None:
    [message] = found(**changes)
    assert hint in str(message.hint)


def test_the_sandbox_app_beside_real_money() -> None:
    apps = [*APPS, "django_pagoefectivo.sandbox"]
    assert "E005" not in ids(found(INSTALLED_APPS=apps))
    messages = found(INSTALLED_APPS=apps, PAGOEFECTIVO=setting(PRODUCTION))
    [message] = [m for m in messages if m.id == "pagoefectivo.E005"]
    assert "declare codes paid" in message.msg
    assert "INSTALLED_APPS" in str(message.hint)


def test_a_safe_shop_passes_the_deployment_checks_too() -> None:
    assert ids(found(deploy=True)) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"KEY = {SECRET_KEY!r}", ["W009"]),
        (f"PAGOEFECTIVO = dict(a=[{{'b': {ACCESS_KEY!r}}}])", ["W009"]),
        (f"# ñ\nKEY = {SECRET_KEY!r}", ["W009"]),
        (f"A, B = {ACCESS_KEY!r}, {SECRET_KEY!r}", ["W009"]),
        ("OLD = 'older-key'", ["W009"]),
        (f"# {SECRET_KEY}\nKEY = env('PAGOEFECTIVO_SECRET_KEY')", []),
        ("KEY = 'something else'", []),
        ("KEY = ''", []),
        ("def broken(:", []),
    ],
)
def test_keys_in_the_settings_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, expected: list[str]
) -> None:
    (tmp_path / "shop_settings_of_a_test.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    given = setting({"SECRET_KEY_FALLBACKS": ["older-key"]})
    module = "shop_settings_of_a_test"
    assert ids(found(PAGOEFECTIVO=given, SETTINGS_MODULE=module)) == []
    messages = found(PAGOEFECTIVO=given, SETTINGS_MODULE=module, deploy=True)
    assert ids(messages) == expected
    for message in messages:
        assert module in message.msg
        assert "from_env" in str(message.hint)
        assert SECRET_KEY not in f"{message.msg}{message.hint}"


@pytest.mark.parametrize("module", [None, "", "no_such_module_of_a_test", "no.such", "builtins"])
def test_settings_without_a_source(module: str | None) -> None:
    assert ids(found(SETTINGS_MODULE=module, deploy=True)) == []


SHOP = """
SECRET_KEY = "not-a-secret-just-for-tests" * 3
USE_TZ = True
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
INSTALLED_APPS = {apps!r}
ROOT_URLCONF = "shop_urls"
PAGOEFECTIVO = {{"MERCHANTS": {{"default": {{
    "SERVICE_ID": "1234", "ACCESS_KEY": {access_key}, "SECRET_KEY": {secret_key},
}}}}}}
"""


@pytest.mark.parametrize("literal", [True, False])
def test_check_deploy_of_a_shop(tmp_path: Path, literal: bool) -> None:
    access_key = repr(ACCESS_KEY) if literal else "__import__('os').environ['SHOP_ACCESS_KEY']"
    secret_key = repr(SECRET_KEY) if literal else "__import__('os').environ['SHOP_SECRET_KEY']"
    (tmp_path / "shop_settings.py").write_text(
        SHOP.format(apps=APPS, access_key=access_key, secret_key=secret_key)
    )
    (tmp_path / "shop_urls.py").write_text(
        "from django.urls import include, path\n"
        "urlpatterns = [path('pay/', include('django_pagoefectivo.urls'))]\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "ERROR"],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}",
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "SHOP_ACCESS_KEY": ACCESS_KEY,
            "SHOP_SECRET_KEY": SECRET_KEY,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("pagoefectivo.W009" in done.stderr) is literal
    assert SECRET_KEY not in done.stderr
    assert "pagoefectivo.E" not in done.stderr

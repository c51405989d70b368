"""The setting ``REST_API``, its checks, and what the API asks of a project: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_pagoefectivo.conf import get_config
from django_pagoefectivo.rest_checks import check_rest_api


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"PERMISION": "x"}, "no option of it"),
        ({"PERMISSION": None}, "dotted path"),
        ({"PERMISSION": "IsAuthenticated"}, "dotted path"),
        ({"PAYMENT_FOR_ORDER": 7}, "callable"),
        ({"THROTTLE_RATES": {"create": "often"}}, "30/min"),
        ({"THROTTLE_RATES": {"create": "0/min"}}, "30/min"),
        ({"THROTTLE_RATES": {"everything": "1/min"}}, '"create", "read", "act"'),
        ({"THROTTLE_RATES": "1/min"}, "a dict"),
        ({"PAGE_SIZE": 0}, "1 to 200"),
        ({"PAGE_SIZE": 201}, "1 to 200"),
        ({"PAGE_SIZE": True}, "1 to 200"),
        ({"PAGE_SIZE": "50"}, "1 to 200"),
    ],
)
def test_a_wrong_option_is_named(
    option: dict[str, Any], words: str, configure: Callable[..., None]
) -> None:
    configure(api=option)
    with pytest.raises(ImproperlyConfigured, match="REST_API") as caught:
        _ = get_config().rest_api
    assert words in str(caught.value)
    # E003 of the settings' own check says the same; this one need not repeat it.
    assert check_rest_api() == []


def test_no_dict(configure: Callable[..., None]) -> None:
    configure(REST_API=["x"])
    with pytest.raises(ImproperlyConfigured, match="must be a dict"):
        _ = get_config().rest_api


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"PERMISSION": "shop.nowhere.Permission"}, "cannot be imported"),
        ({"PERMISSION": "rest_framework.permissions.IsAuthenticated"}, "must be a subclass"),
        ({"PERMISSION": int}, "must be a subclass"),
        ({"PAYMENT_FOR_ORDER": "shop.nowhere.price"}, "cannot be imported"),
        ({"PAYMENT_FOR_ORDER": "tests.api.conftest.PAYMENTS"}, "must be callable"),
    ],
)
def test_what_cannot_be_found_is_an_error_of_the_check(
    option: dict[str, Any], words: str, configure: Callable[..., None]
) -> None:
    configure(api=option)
    (message,) = check_rest_api()
    assert message.id == "pagoefectivo.E030"
    assert words in message.msg


def test_all_is_well(configure: Callable[..., None]) -> None:
    assert check_rest_api() == []
    configure(api={"PAYMENT_FOR_ORDER": "tests.api.hooks.price"})
    assert check_rest_api() == []


def test_nobody_could_log_in() -> None:
    with override_settings(REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": []}):
        (message,) = check_rest_api()
    assert message.id == "pagoefectivo.W031"


SCRIPT = """
import sys
import django
from django.conf import settings
from tests import settings as base

values = {name: getattr(base, name) for name in dir(base) if name.isupper()}
values["INSTALLED_APPS"] = [app for app in base.INSTALLED_APPS if app != "rest_framework"]
values["DATABASES"] = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
settings.configure(**values)
django.setup()
from django.core.management import call_command
from django.test import Client

call_command("migrate", verbosity=0)
before = Client().post("/pagoefectivo/webhook/", b"{}", content_type="application/json")
print(before.status_code, "rest_framework.views" in sys.modules)
after = Client().get("/pagoefectivo/api/payments/")
print(after.status_code, after.json()["code"], "rest_framework.views" in sys.modules)
call_command("check", fail_level="WARNING")
"""


def test_the_webhook_does_not_load_the_api_and_no_app_need_be_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()[:2]
    assert first == "403 False"
    assert second == "403 not_authenticated True"

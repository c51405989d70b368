"""Keys come out of the environment as they are."""

from __future__ import annotations

import environ

from django_pagoefectivo.conf import from_env


class Environment(environ.Env):
    ENVIRON = {
        "PAGOEFECTIVO_ACCESS_KEY": "$OTHER",
        "PAGOEFECTIVO_SECRET_KEY": "$ecret-not-real",
        "OTHER": "another-variable",
    }


def test_a_key_that_begins_with_a_dollar_sign_is_no_reference() -> None:
    merchant = from_env(Environment())["MERCHANTS"]["default"]
    assert merchant == {"ACCESS_KEY": "$OTHER", "SECRET_KEY": "$ecret-not-real"}

"""Keys come out of the environment as they are."""

from __future__ import annotations

import environ

from django_pagoefectivo.conf import from_env


def test_a_key_that_begins_with_a_dollar_sign_is_no_reference() -> None:
    env = environ.Env()
    env.ENVIRON = {
        "PAGOEFECTIVO_ACCESS_KEY": "$OTHER",
        "PAGOEFECTIVO_SECRET_KEY": "$ecret-not-real",
        "OTHER": "another-variable",
    }
    merchant = from_env(env)["MERCHANTS"]["default"]
    assert merchant == {"ACCESS_KEY": "$OTHER", "SECRET_KEY": "$ecret-not-real"}

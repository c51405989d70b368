"""The reference pages name everything that there is, and nothing else."""

from __future__ import annotations

import re

import pytest
from django.core.management import load_command_class
from django.db.models import TextChoices

from django_pagoefectivo import signals, urls
from django_pagoefectivo.conf import DEFAULTS, MERCHANT_DEFAULTS
from django_pagoefectivo.models import Payment
from django_pagoefectivo.models.choices import Attention, Outcome, Source, Status

from .blocks import DOCS
from .test_links import PACKAGE

COMMANDS = sorted(path.stem for path in (PACKAGE / "management/commands").glob("pagoefectivo_*.py"))


def page(name: str) -> str:
    return (DOCS / "reference" / f"{name}.rst").read_text("utf-8")


def options_of(app: str, name: str) -> set[str]:
    parser = load_command_class(app, name).create_parser("manage.py", name)
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_told(name: str) -> None:
    _, _, part = page("commands").partition(f"``manage.py {name}")
    assert part, "the command is not told"
    told = set(re.findall(r"(?<![\w-])--[a-z-]+", part.partition("``manage.py ")[0]))
    common = options_of("django.core", "check") | {"--skip-checks"}
    own = options_of("django_pagoefectivo", name) - common
    assert told == {option for option in own if option.startswith("--")}


def test_every_command_of_the_page_is_one() -> None:
    assert set(re.findall(r"^``manage\.py (\w+)", page("commands"), re.MULTILINE)) == set(COMMANDS)


def test_every_setting_is_told() -> None:
    text, _, _ = page("settings").partition("Of the REST API")
    heads = "\n".join(re.findall(r"^``.*\n(?=    \w|    ``)", text, re.MULTILINE))
    told = set(re.findall(r"(?<!\()``([A-Z_]+)``", heads))
    assert told == set(DEFAULTS) | set(MERCHANT_DEFAULTS) | {"MERCHANTS"}


def test_every_check_is_told() -> None:
    source = "".join(path.read_text("utf-8") for path in PACKAGE.glob("*checks.py"))
    known = set(re.findall(r"pagoefectivo\.[EWI]\d{3}", source))
    assert set(re.findall(r"^``(pagoefectivo\.\w\d{3})``", page("checks"), re.MULTILINE)) == known


def test_every_signal_is_told() -> None:
    known = {name for name, one in vars(signals).items() if isinstance(one, signals.PaymentSignal)}
    told = re.findall(r"^``(payment_\w+)``", page("signals"), re.MULTILINE)
    assert set(told) == {name for name in known if name.startswith("payment_")}


def test_every_address_is_told() -> None:
    text = page("urls") + page("rest")
    for pattern in urls.urlpatterns:
        name = getattr(pattern, "name", None)
        assert name is None or f"``{name}``" in text, name


@pytest.mark.parametrize("choices", [Status, Attention, Outcome, Source])
def test_every_word_is_told(choices: type[TextChoices]) -> None:
    tables = re.findall(r"^=+ =+\n((?:``\w+`` +\w.*\n)+)=+ =+$", page("models"), re.MULTILINE)
    told = [set(re.findall(r"^``(\w+)``", table, re.MULTILINE)) for table in tables]
    assert set(choices.values) in told


#: Told as a group, or kept for the app's own work.
NOT_SINGLY = {
    *("id", "order_key", "open_key", "confirmed_key", "email_key"),
    *("checking_since", "next_poll_at"),
}


def test_every_field_of_a_payment_is_told() -> None:
    part = page("models").partition("Fields of a payment")[2].partition("``Payment.Status``")[0]
    told = set(re.findall(r"``(\w+)``", part)) & {one.name for one in Payment._meta.get_fields()}
    known = {field.name for field in Payment._meta.concrete_fields} | {"order"}
    singly = {name for name in known - NOT_SINGLY if not name.startswith("customer_")}
    assert told == singly | {"customer_email"}

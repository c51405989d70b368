"""System checks: what would make payments fail or be unsafe, said before it does."""

from __future__ import annotations

import ast
import difflib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse

from .conf import (
    CHECKED_PROPERTIES,
    DEFAULTS,
    MERCHANT_DEFAULTS,
    Config,
    Merchant,
    Options,
    get_config,
)
from .conf.sources import source_of
from .gateways.registry import check_merchant, gateway_class
from .safety_checks import unsafe

Messages = list[CheckMessage]


def check_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> Messages:
    """E001 to E003, E006, E007, W011: the setting can be read and means something."""
    messages: Messages = []
    if not settings.USE_TZ:
        messages.append(
            Error(
                "USE_TZ is off, so deadlines and times of payment would be stored without "
                "their time zone.",
                hint="Set USE_TZ = True.",
                id="pagoefectivo.E006",
            )
        )
    try:
        config = get_config()
        names = _names_in_settings(config)
    except ImproperlyConfigured as error:
        return [
            *messages,
            Error(
                str(error),
                hint="Read the credentials from the environment with "
                "django_pagoefectivo.conf.from_env(env).",
                id="pagoefectivo.E001",
            ),
        ]
    messages += _unusable_merchants(config, names)
    for name in CHECKED_PROPERTIES:
        messages += _unusable(config, name, "pagoefectivo.E003")
    messages += _unusable(config, "cache", "pagoefectivo.E007")
    messages += _unknown_names(config, names)
    return messages


def check_merchants_elsewhere(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> Messages:
    """What ``check_settings`` and ``check_safety`` say, of merchants that a callable gives.

    Only where checks may use the database: ``migrate`` and ``check --database default``.
    """
    if not databases:
        return []
    try:
        config = get_config()
        if not config.merchants_are_elsewhere:
            return []
        source_of(config.raw["MERCHANTS"])
    except ImproperlyConfigured:
        # check_settings says so.
        return []
    try:
        names = config.merchant_names
    except ImproperlyConfigured as error:
        # No error: the table they stand in may be about to be made.
        return [
            CheckWarning(
                str(error),
                hint="Until the callable answers, no payment can be made and notifications are "
                "answered with 503.",
                id="pagoefectivo.W014",
            )
        ]
    return [
        *_unusable_merchants(config, names),
        *_unknown_names(config, names),
        *unsafe(config, list(_usable_merchants(config, names))),
    ]


def _names_in_settings(config: Config) -> tuple[str, ...]:
    """The merchants of the settings; none where a callable gives them, which is not called."""
    if config.merchants_are_elsewhere:
        source_of(config.raw["MERCHANTS"])
        return ()
    return config.merchant_names


def _unusable_merchants(config: Config, names: Sequence[str]) -> Messages:
    messages: Messages = []
    for name in names:
        try:
            merchant = config.merchant(name)
            check_merchant(merchant)
        except ImproperlyConfigured as error:
            messages.append(
                Error(
                    str(error),
                    hint=f'Correct PAGOEFECTIVO["MERCHANTS"]["{name}"]; no payment can be made '
                    "for this merchant until then.",
                    id="pagoefectivo.E002",
                )
            )
        else:
            messages += _odd_credentials(merchant)
            options = config.options_of(name)
            for option in options.overridden:
                messages += _unusable(options, option.lower(), "pagoefectivo.E003")
    return messages


def _unusable(options: Options, name: str, check_id: str) -> Iterator[CheckMessage]:
    try:
        getattr(options, name)
    except ImproperlyConfigured as error:
        default = DEFAULTS[name.upper()]
        yield Error(str(error), hint=f"Left out it is the default, {default!r}.", id=check_id)


def _odd_credentials(merchant: Merchant) -> Iterator[CheckMessage]:
    published = gateway_class(merchant).access_key_length
    if published is not None and len(merchant.access_key) != published:
        yield CheckWarning(
            f"The access key of merchant {merchant.name} has {len(merchant.access_key)} "
            f"characters; PagoEfectivo's have {published}.",
            hint="Compare it with PagoEfectivo's letter: it may be cut or another key.",
            id="pagoefectivo.W012",
        )


def _unknown_names(config: Config, names: Sequence[str]) -> Iterator[CheckMessage]:
    places: list[tuple[str, Mapping[str, Any], list[str]]] = [
        ("PAGOEFECTIVO", config.raw, ["MERCHANTS", *DEFAULTS])
    ]
    of_a_merchant = [*MERCHANT_DEFAULTS, *DEFAULTS]
    places += [
        (f'PAGOEFECTIVO["MERCHANTS"]["{name}"]', raw, of_a_merchant)
        for name in names
        if (raw := config.entry(name)) is not None
    ]
    for where, raw, known in places:
        for name in raw:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, 1)
                yield CheckWarning(
                    f'{where}["{name}"] is no setting of django-pagoefectivo and does nothing.',
                    hint=f"Did you mean {close[0]}?" if close else "Remove it.",
                    id="pagoefectivo.W011",
                )


def _usable_merchants(config: Config, names: Sequence[str]) -> Iterator[Merchant]:
    """The merchants that ``check_settings`` finds nothing wrong with."""
    for name in names:
        with suppress(ImproperlyConfigured):
            merchant = config.merchant(name)
            check_merchant(merchant)
            yield merchant


def _usable_in_settings() -> list[Merchant]:
    with suppress(ImproperlyConfigured):
        config = get_config()
        return list(_usable_merchants(config, _names_in_settings(config)))
    return []


def check_safety(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> Messages:
    """E004, E005, W008, W013, E015: nothing meant for development meets real money."""
    merchants = _usable_in_settings()
    return unsafe(get_config(), merchants) if merchants else []


def check_urls(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> Messages:
    """E010: the notifications have somewhere to go."""
    try:
        # Without a root URLconf, as in a worker's settings, reverse() would break down.
        included = bool(getattr(settings, "ROOT_URLCONF", None)) and bool(
            reverse("pagoefectivo:webhook")
        )
    except NoReverseMatch:
        included = False
    if not included:
        return [
            Error(
                "The URLs of django-pagoefectivo are not included, so no notification can "
                "arrive and no payment page can be shown.",
                hint='Add path("pagoefectivo/", include("django_pagoefectivo.urls")) to the '
                "root URLconf.",
                id="pagoefectivo.E010",
            )
        ]
    return []


def check_literal_secrets(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> Messages:
    """W009: no key stands literally in the settings module, from where it gets into git."""
    secrets = {
        key: merchant.name
        for merchant in _usable_in_settings()
        for key in (merchant.access_key, *merchant.secret_keys)
        if key
    }
    module = str(getattr(settings, "SETTINGS_MODULE", "") or "")
    found = sorted({secrets[text] for text in _literals(module) if text in secrets})
    return [
        CheckWarning(
            f"A key of merchant {name} stands literally in the settings module {module}.",
            hint="Read it from the environment with django_pagoefectivo.conf.from_env(env), "
            "and have PagoEfectivo change the key if the module is in version control.",
            id="pagoefectivo.W009",
        )
        for name in found
    ]


def _literals(module: str) -> Iterator[str]:
    """Every string literal in a module's source."""
    try:
        spec = importlib.util.find_spec(module) if module else None
        source = Path(spec.origin).read_text("utf-8") if spec and spec.origin else ""
        tree = ast.parse(source)
    except (ImportError, OSError, SyntaxError, UnicodeDecodeError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value

"""Whether a rehearsal can do harm: it is refused unless it is certain that it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from ..conf import Config, Merchant, get_config
from ..gateways import Gateway, gateway_class
from ..gateways.registry import BUILT_IN
from ..testing.hosting import APP, require_sandbox
from .wishes import Rehearsal

_ELSEWHERE = (
    'Rehearse on an installation like this one with ENVIRONMENT = "sandbox" and a database of its '
    "own, and ask pagoefectivo_doctor here."
)


class NotPlayed(Exception):
    """The rehearsal cannot begin; the message says why, and what to do."""


class Unsafe(NotPlayed):
    """The rehearsal would touch what is real; the message says what to do instead."""


def safe_setting(wish: Rehearsal) -> dict[str, Any] | None:
    """The ``PAGOEFECTIVO`` setting to rehearse with, its merchants as they were looked at.

    ``None`` where the settings name no merchant at all, so that nothing can be called. Raises
    ``Unsafe`` with a sentence unless it is certain that the rehearsal can do no harm.
    """
    try:
        config = get_config()
    except ImproperlyConfigured:
        return None
    try:
        names = config.merchant_names
    except ImproperlyConfigured as error:
        if not config.merchants_are_elsewhere:
            return None
        raise Unsafe(
            f"{error} So nobody can say whether a merchant is in production. See that the "
            "callable answers in this process, and rehearse again."
        ) from None
    if wish.merchant not in names:
        raise Unsafe(
            f'There is no merchant "{wish.merchant}"; known: {", ".join(map(str, names))}.'
        )
    _refuse_dangers(config, names if wish.is_built_in else (wish.merchant,))
    if wish.is_built_in:
        _require_sandbox()
    # As they are now: a callable that is asked again could put another merchant in their place.
    return {**config.raw, "MERCHANTS": {name: config.entry(name) for name in names}}


def _refuse_dangers(config: Config, names: tuple[str, ...]) -> None:
    dangers: dict[str, list[str]] = {}
    for name in names:
        danger = _danger_of(config, name)
        if danger is not None:
            dangers.setdefault(danger, []).append(str(name))
    if dangers:
        said = "; ".join(f"Merchant {', '.join(who)} {why}" for why, who in dangers.items())
        raise Unsafe(
            f"{said}: a rehearsal would mix made-up payments with real ones, and your receivers "
            f"would send real goods. {_ELSEWHERE}"
        )


def _danger_of(config: Config, name: str) -> str | None:
    """What is, or may be, real about a merchant; ``None`` if certainly nothing is."""
    try:
        merchant = config.merchant(name)
    except ImproperlyConfigured as error:
        return _danger_of_entry(config.entry(name), error)
    if merchant.is_production:
        return "is in production"
    try:
        gateway = gateway_class(merchant)
        url = gateway(merchant).base_url
    except ImproperlyConfigured:
        # No call can be made for it; its own address still says what is meant.
        gateway, url = Gateway, merchant.base_url or ""
    except Exception as error:  # noqa: BLE001 - a gateway of the shop's own
        return f"does not say where its calls go ({type(error).__name__})"
    return _danger_of_address(gateway, url)


def _danger_of_entry(entry: Mapping[str, Any] | None, error: ImproperlyConfigured) -> str | None:
    """The same of a merchant that cannot be used as it stands."""
    environment = "" if entry is None else entry.get("ENVIRONMENT", "sandbox")
    if environment == "production":
        return "is in production"
    if entry is None or environment != "sandbox":
        return f"may be in production ({error})"
    return _danger_of_address(Gateway, str(entry.get("BASE_URL") or ""))


def _danger_of_address(gateway: type[Gateway], url: str) -> str | None:
    if any(_is_real(one, url) for one in (*BUILT_IN.values(), gateway)):
        return f"has PagoEfectivo's production address ({_host(url)}) whatever ENVIRONMENT says"
    return None


def _is_real(gateway: type[Gateway], url: str) -> bool:
    real, trial = (gateway.base_urls.get(one, "") for one in ("production", "sandbox"))
    if not real:
        return False
    if _host(real) == _host(trial):
        # A contract whose environments differ by their path.
        return url.rstrip("/") == real.rstrip("/")
    return _host(url) == _host(real)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def merchant_of(wish: Rehearsal) -> Merchant:
    """The merchant to rehearse with. Raises ``Unsafe`` where it cannot be read, or is real."""
    config = get_config()
    try:
        merchant = config.merchant(wish.merchant)
    except ImproperlyConfigured as error:
        raise Unsafe(f"{error} Nothing can be rehearsed before that is mended.") from None
    _refuse_dangers(config, (wish.merchant,))
    return merchant


def _require_sandbox() -> None:
    try:
        require_sandbox()
    except ImproperlyConfigured:
        raise Unsafe(
            f'The built-in sandbox is not installed. Add "{APP}" to INSTALLED_APPS of this '
            "installation (never of production) and migrate, or rehearse with "
            "--environment sandbox."
        ) from None

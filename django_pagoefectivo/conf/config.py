"""The whole setting: its options and its merchants."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from . import sources
from .merchants import Merchant, read_merchant
from .options import Options


class Config(Options):
    """A view of one ``PAGOEFECTIVO`` dict. Every property raises ``ImproperlyConfigured``
    where its value cannot be used."""

    @sensitive_variables()
    def __init__(self, raw: object) -> None:
        if not isinstance(raw, Mapping):
            raise ImproperlyConfigured(
                "The PAGOEFECTIVO setting is missing or no dict. Set it to "
                '{"MERCHANTS": {"default": {…}}} or build it with '
                "django_pagoefectivo.conf.from_env(env)."
            )
        super().__init__(raw)

    @cached_property
    @sensitive_variables()
    def _merchants(self) -> Mapping[str, Any]:
        setting = self.raw.get("MERCHANTS")
        if self.merchants_are_elsewhere:
            setting = sources.read(setting, self.merchants_max_age.total_seconds())
        if not isinstance(setting, Mapping) or not setting:
            raise ImproperlyConfigured(
                'PAGOEFECTIVO["MERCHANTS"] is missing or empty. Give at least '
                '{"default": {"SERVICE_ID": …, "ACCESS_KEY": …, "SECRET_KEY": …}}.'
            )
        return setting

    @property
    def merchants_are_elsewhere(self) -> bool:
        """Whether ``MERCHANTS`` is a callable or its dotted path."""
        return sources.is_elsewhere(self.raw.get("MERCHANTS"))

    @sensitive_variables()
    def with_newer_merchants(self) -> Config | None:
        """This configuration with merchants that have just been asked for again.

        ``None`` if they would be the same: they stand in the settings, or were asked for
        moments ago.
        """
        if not self.merchants_are_elsewhere:
            return None
        before = self._merchants
        newer = Config(self.raw)
        newer.__dict__["_merchants"] = sources.read(
            self.raw.get("MERCHANTS"), sources.ASK_AGAIN_AFTER
        )
        return None if newer._merchants is before else newer

    @property
    def merchant_names(self) -> tuple[str, ...]:
        """The configured merchants, in the order of the setting."""
        return tuple(self._merchants)

    @sensitive_variables()
    def merchant(self, name: str) -> Merchant:
        """The merchant called ``name``."""
        try:
            raw = self._merchants[name]
        except KeyError:
            raise ImproperlyConfigured(
                f'There is no merchant "{name}" in PAGOEFECTIVO["MERCHANTS"]; '
                f"known: {', '.join(map(str, self._merchants))}."
            ) from None
        return read_merchant(name, raw)

    def options_of(self, merchant: str) -> Options:
        """The options as they are for the merchant called ``merchant``.

        Those of the installation where no such merchant is configured any more: payments
        outlive their merchant's settings.
        """
        return Options(self.raw, self.entry(merchant) or {}, merchant)

    def entry(self, merchant: str) -> Mapping[str, Any] | None:
        """The entry of the merchant called so, as it stands there; ``None`` if there is none."""
        try:
            raw = self._merchants.get(merchant)
        except ImproperlyConfigured:
            return None
        return raw if isinstance(raw, Mapping) else None

    def shop_of(self, merchant: str) -> str:
        """The shop that a merchant's orders belong to; its own name unless ``SHOP`` says."""
        shop = (self.entry(merchant) or {}).get("SHOP")
        return shop if isinstance(shop, str) and shop else merchant

    def merchants(self) -> tuple[Merchant, ...]:
        """Every configured merchant."""
        return tuple(self.merchant(name) for name in self.merchant_names)


def get_config() -> Config:
    """The configuration in force now.

    Raises ``ImproperlyConfigured`` where ``settings.PAGOEFECTIVO`` is missing or no dict.
    """
    return Config(getattr(settings, "PAGOEFECTIVO", None))

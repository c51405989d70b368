"""What the doctor's checks share: the configuration as far as it can be read, and the wishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import requests
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ..conf import Config, Merchant, get_config
from ..gateways.registry import check_merchant
from ..shared_cache import is_of_one_process
from .findings import Finding, Severity

#: Seconds to connect and to read, for what the doctor asks itself.
TIMEOUT = (3.05, 10.0)


@dataclass
class Room:
    """One examination. ``site_url`` is where to look for the shop instead of ``SITE_URL``."""

    site_url: str | None = None
    #: Nothing is asked over the network.
    offline: bool = False
    #: Judge as if a merchant were in production.
    as_production: bool = False
    merchant_names: tuple[str, ...] = field(default=())

    @cached_property
    def config(self) -> Config | None:
        """The configuration, ``None`` where there is none that can be read."""
        with suppress(ImproperlyConfigured):
            config = get_config()
            _ = config.merchant_names
            return config
        return None

    @cached_property
    def merchants(self) -> tuple[Merchant, ...]:
        """The merchants that could be used, of those that were asked for."""
        return tuple(self._usable())

    def _usable(self) -> Iterator[Merchant]:
        if self.config is None:
            return
        for name in self.merchant_names or self.config.merchant_names:
            with suppress(ImproperlyConfigured):
                merchant = self.config.merchant(name)
                check_merchant(merchant)
                yield merchant

    def site_url_of(self, merchant: Merchant) -> str | None:
        """Scheme and host where ``merchant``'s notifications arrive, ``None`` if nobody says."""
        if self.site_url or self.config is None:
            return self.site_url
        with suppress(ImproperlyConfigured):
            return self.config.options_of(merchant.name).site_url
        return None

    @property
    def is_production(self) -> bool:
        """Whether to judge by what real money needs."""
        return self.as_production or any(one.is_production for one in self.merchants)

    @cached_property
    def cache_kind(self) -> str:
        """The class name of the cache's backend, ``""`` where none can be read."""
        with suppress(ImproperlyConfigured):
            if self.config is not None:
                backend = settings.CACHES[self.config.cache].get("BACKEND", "")
                return str(backend).rpartition(".")[2]
        return ""

    @property
    def cache_is_shared(self) -> bool:
        """Whether all processes have one cache."""
        if self.config is None or not self.cache_kind:
            return False
        return not is_of_one_process(self.config.cache)

    @property
    def grave(self) -> Severity:
        """An error where real money moves; a warning where none does yet."""
        return Severity.ERROR if self.is_production else Severity.WARNING

    @cached_property
    def http(self) -> requests.Session:
        """For what the doctor asks itself; closed by ``examine``."""
        session = requests.Session()
        session.headers["User-Agent"] = "django-pagoefectivo doctor"
        return session


Check = Callable[[Room], Iterator[Finding]]

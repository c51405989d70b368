"""Everything in the setting but the merchants: one property for each option."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from .rest import RestApi, read_rest_api
from .rules import Network, as_network, is_bool, is_count, is_web_url

#: Seconds; longer is a slip, and the operating system takes no endless ones.
LONGEST_TIMEOUT = 3600
#: Status queries a minute; more is no limit that PagoEfectivo could mean.
FASTEST_POLL = 6000
SIGNAL_DELIVERIES = ("inline", "worker", "celery", "tasks")
BACKGROUNDS = ("command", "celery", "tasks")

DEFAULTS: dict[str, Any] = {
    "EXPIRES_IN": timedelta(hours=24),
    "SITE_URL": None,
    "RETURN_URL": None,
    "CONFIRM_WITH_STATUS_QUERY": False,
    "SIGNAL_DELIVERY": "inline",
    "TIMEOUT": (3.05, 20),
    "SEARCH_BATCH_SIZE": 50,
    "POLL_RATE": None,
    "EXCHANGE_LOG": True,
    "REJECTED_EVENTS_KEPT": 1000,
    "RETENTION": {
        "exchanges": timedelta(days=90),
        "rejected_events": timedelta(days=30),
        "idempotency_keys": timedelta(days=1),
    },
    "CACHE": "default",
    "ALLOWED_IPS": [],
    "IP_HEADER": None,
    "TRUSTED_PROXIES": [],
    "MERCHANTS_MAX_AGE": timedelta(seconds=60),
    "REST_API": {},
    "BACKGROUND": None,
}
#: Options that no merchant can have for itself, and why.
SERVER_WIDE: dict[str, str] = {
    "SIGNAL_DELIVERY": "one queue tells the receivers of all merchants",
    "IP_HEADER": "the proxies stand before the server, whichever merchant is meant",
    "TRUSTED_PROXIES": "the proxies stand before the server, whichever merchant is meant",
    "MERCHANTS_MAX_AGE": "it says how long all merchants are kept",
    "REST_API": "one API serves the payments of all merchants",
    "BACKGROUND": "one queue works on the bulk jobs of all merchants",
}

#: What the system checks read, one property at a time.
CHECKED_PROPERTIES = (
    "expires_in",
    "site_url",
    "return_url",
    "confirm_with_status_query",
    "signal_delivery",
    "timeout",
    "search_batch_size",
    "poll_rate",
    "exchange_log",
    "rejected_events_kept",
    "retention",
    "allowed_ips",
    "trusted_proxies",
    "ip_header",
    "merchants_max_age",
    "rest_api",
    "background",
)


class Options:
    """A view of a dict of options, and of what one merchant has otherwise.

    Every property raises ``ImproperlyConfigured`` where its value cannot be used.
    ``overrides`` are the entry of the merchant called ``merchant``.
    """

    def __init__(
        self, raw: Mapping[str, Any], overrides: Mapping[str, Any] | None = None, merchant: str = ""
    ) -> None:
        self.raw = raw
        self._overrides = overrides or {}
        self._merchant = merchant

    @property
    def overridden(self) -> list[str]:
        """The options that the merchant has for itself."""
        return [name for name in DEFAULTS if name in self._overrides]

    def _get(self, name: str) -> Any:
        if name in self._overrides:
            return self._overrides[name]
        return self.raw.get(name, DEFAULTS[name])

    def _place(self, name: str) -> str:
        if name in self._overrides:
            return f'PAGOEFECTIVO["MERCHANTS"]["{self._merchant}"]["{name}"]'
        return f'PAGOEFECTIVO["{name}"]'

    def _checked(self, name: str, valid: Callable[[Any], bool], expected: str) -> Any:
        value = self._get(name)
        if not valid(value):
            raise ImproperlyConfigured(f"{self._place(name)} is {value!r}; it must be {expected}.")
        return value

    @property
    def expires_in(self) -> timedelta:
        """How long a new code can be paid, unless the call says otherwise."""
        value: timedelta = self._checked(
            "EXPIRES_IN",
            lambda v: isinstance(v, timedelta) and v > timedelta(0),
            "a timedelta greater than zero",
        )
        return value

    @property
    def site_url(self) -> str | None:
        """Scheme and host of the shop, without a final slash, or ``None``."""
        value = self._checked(
            "SITE_URL",
            lambda v: v is None or (isinstance(v, str) and is_web_url(v)),
            'None or an address like "https://shop.example"',
        )
        return None if value is None else str(value).rstrip("/")

    @property
    def return_url(self) -> Any:
        """Where "back to the shop" leads: a URL, a URL name or a callable(payment)."""
        return self._checked(
            "RETURN_URL",
            lambda v: v is None or callable(v) or (isinstance(v, str) and bool(v)),
            "None, a URL, a URL name or a callable taking the payment",
        )

    @property
    def confirm_with_status_query(self) -> bool:
        """Whether a paid notification is confirmed by a status query first."""
        return bool(self._checked("CONFIRM_WITH_STATUS_QUERY", is_bool, "True or False"))

    @property
    def signal_delivery(self) -> str:
        """``inline``, ``worker``, ``celery`` or ``tasks``."""
        return str(
            self._checked(
                "SIGNAL_DELIVERY",
                lambda v: v in SIGNAL_DELIVERIES,
                "one of " + ", ".join(f'"{mode}"' for mode in SIGNAL_DELIVERIES),
            )
        )

    @property
    def timeout(self) -> tuple[float, float]:
        """Seconds to connect and to read."""
        value = self._checked(
            "TIMEOUT",
            lambda v: (
                isinstance(v, Sequence)
                and len(v) == 2
                and all(isinstance(s, int | float) and not is_bool(s) for s in v)
                and all(0 < s <= LONGEST_TIMEOUT for s in v)
            ),
            "two numbers of seconds, to connect and to read, like (3.05, 20)",
        )
        return (float(value[0]), float(value[1]))

    @property
    def search_batch_size(self) -> int:
        """How many codes one status query asks about."""
        return int(self._checked("SEARCH_BATCH_SIZE", is_count, "a whole number above 0"))

    @property
    def poll_rate(self) -> int | None:
        """How many status queries a minute a merchant's payments may cost; ``None``: any."""
        value = self._checked(
            "POLL_RATE",
            lambda v: v is None or (is_count(v) and v <= FASTEST_POLL),
            f"None or a whole number of calls a minute from 1 to {FASTEST_POLL}",
        )
        return None if value is None else int(value)

    @property
    def exchange_log(self) -> bool:
        """Whether masked requests and answers are kept."""
        return bool(self._checked("EXCHANGE_LOG", is_bool, "True or False"))

    @property
    def rejected_events_kept(self) -> int:
        """How many refused notifications are kept for each merchant."""
        return int(
            self._checked(
                "REJECTED_EVENTS_KEPT",
                lambda v: is_count(v) or (v == 0 and not is_bool(v)),
                "a whole number, 0 or more",
            )
        )

    @property
    def retention(self) -> dict[str, timedelta]:
        """How long exchanges and refused notifications are kept."""
        default: dict[str, timedelta] = DEFAULTS["RETENTION"]
        value = self._checked(
            "RETENTION",
            lambda v: (
                isinstance(v, Mapping)
                and set(v) <= set(default)
                and all(isinstance(term, timedelta) for term in v.values())
                and all(term >= timedelta(0) for term in v.values())
            ),
            "a dict of timedeltas, none below zero, with the keys "
            + ", ".join(f'"{key}"' for key in default),
        )
        shared = self.raw.get("RETENTION") if "RETENTION" in self._overrides else None
        return {**default, **(shared if isinstance(shared, Mapping) else {}), **value}

    @property
    def cache(self) -> str:
        """Alias of the Django cache that shares tokens between processes."""
        return str(
            self._checked(
                "CACHE",
                lambda v: isinstance(v, str) and v in settings.CACHES,
                "an alias defined in the CACHES setting",
            )
        )

    @property
    def allowed_ips(self) -> tuple[Network, ...]:
        """Networks that notifications may come from; empty: any."""
        return self._networks("ALLOWED_IPS")

    @property
    def trusted_proxies(self) -> tuple[Network, ...]:
        """Networks of the proxies whose ``IP_HEADER`` is believed."""
        return self._networks("TRUSTED_PROXIES")

    @property
    def ip_header(self) -> str | None:
        """Header in which trusted proxies list the client's address, or ``None``."""
        value = self._checked(
            "IP_HEADER",
            lambda v: v is None or (isinstance(v, str) and bool(v)),
            'None or a header\'s name like "X-Forwarded-For"',
        )
        if value is not None and not self.trusted_proxies:
            raise ImproperlyConfigured(
                f'PAGOEFECTIVO["IP_HEADER"] is {value!r} but PAGOEFECTIVO["TRUSTED_PROXIES"] '
                "is empty: anybody could write that header. Name your proxies' networks."
            )
        return None if value is None else str(value)

    @property
    def merchants_max_age(self) -> timedelta:
        """How long what a callable in ``MERCHANTS`` gave is used before it is asked again."""
        value: timedelta = self._checked(
            "MERCHANTS_MAX_AGE",
            lambda v: isinstance(v, timedelta) and v >= timedelta(0),
            "a timedelta, zero or more",
        )
        return value

    @property
    def rest_api(self) -> RestApi:
        """How the REST API behaves."""
        return read_rest_api(self._get("REST_API"))

    @property
    def background(self) -> Any:
        """Who works on bulk jobs: ``None``, one of ``BACKGROUNDS``, or a callable(job id)."""
        return self._checked(
            "BACKGROUND",
            lambda v: (
                v is None
                or callable(v)
                or (isinstance(v, str) and (v in BACKGROUNDS or "." in v.strip(".")))
            ),
            "None, "
            + ", ".join(f'"{mode}"' for mode in BACKGROUNDS)
            + ", or a callable taking the id of a job, or its dotted path",
        )

    def _networks(self, name: str) -> tuple[Network, ...]:
        value = self._get(name)
        try:
            # Text would be read letter by letter.
            networks = [] if value is None else [value] if isinstance(value, str) else value
            return tuple(as_network(network) for network in networks)
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(
                f"{self._place(name)} is {value!r}: {error}. "
                'Give a list of networks or addresses like ["203.0.113.0/24"].'
            ) from None

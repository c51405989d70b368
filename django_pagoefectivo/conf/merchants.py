"""One merchant's entry in ``MERCHANTS``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from .options import SERVER_WIDE
from .rules import as_texts, is_base_url, is_bool

ENVIRONMENTS = ("sandbox", "production")

MERCHANT_DEFAULTS: dict[str, Any] = {
    "API": "cip",
    "ENVIRONMENT": "sandbox",
    "BASE_URL": None,
    "SERVICE_ID": None,
    "ACCESS_KEY": "",
    "SECRET_KEY": None,
    "SECRET_KEY_FALLBACKS": [],
    "CURRENCIES": ["PEN"],
    "ADMIN_EMAIL": "",
    "SHOP": None,
}
_CURRENCY = re.compile(r"[A-Z]{3}")
_MERCHANT_NAME = re.compile(r"[\w-]{1,50}")


@dataclass(frozen=True, slots=True)
class Merchant:
    """One set of PagoEfectivo credentials. Its ``repr`` shows no key.

    ``shop`` is the shop it belongs to: merchants of one shop share their order references.
    """

    name: str
    api: str
    environment: Literal["sandbox", "production"]
    base_url: str | None
    service_id: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    secret_key_fallbacks: tuple[str, ...] = field(repr=False)
    currencies: tuple[str, ...]
    admin_email: str = field(repr=False)
    shop: str = ""

    @property
    def is_production(self) -> bool:
        """Whether real money moves with these credentials."""
        return self.environment == "production"

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The key that signs, then those still accepted on notifications."""
        return (self.secret_key, *self.secret_key_fallbacks)


@sensitive_variables()
def read_merchant(name: object, raw: object) -> Merchant:
    """The merchant that an entry describes; ``ImproperlyConfigured`` names what is wrong."""
    where = f'PAGOEFECTIVO["MERCHANTS"]["{name}"]'
    if not isinstance(raw, Mapping):
        raise ImproperlyConfigured(
            f'{where} is no dict. Give {{"SERVICE_ID": …, "ACCESS_KEY": …, "SECRET_KEY": …}}.'
        )
    if not isinstance(name, str) or not _MERCHANT_NAME.fullmatch(name):
        raise ImproperlyConfigured(
            f"{where}: a merchant's name has 1 to 50 letters, digits, hyphens or underscores."
        )

    def get(key: str) -> Any:
        return raw.get(key, MERCHANT_DEFAULTS[key])

    service_id = get("SERVICE_ID")
    if isinstance(service_id, int) and not is_bool(service_id):
        service_id = str(service_id)
    if not isinstance(service_id, str) or not service_id.strip():
        raise ImproperlyConfigured(
            f'{where}["SERVICE_ID"] is missing. It is the number PagoEfectivo gave you '
            "(idService, also called Merchant ID)."
        )
    secret_key = get("SECRET_KEY")
    if not isinstance(secret_key, str) or not secret_key.strip():
        raise ImproperlyConfigured(
            f'{where}["SECRET_KEY"] is missing. Put it in the environment as '
            "PAGOEFECTIVO_SECRET_KEY and read it from there."
        )
    api = get("API")
    if not isinstance(api, str) or not api:
        raise ImproperlyConfigured(
            f'{where}["API"] is {api!r}; it must be "cip", "payment" or a dotted path '
            "to a Gateway class."
        )
    access_key = get("ACCESS_KEY")
    if not isinstance(access_key, str):
        raise ImproperlyConfigured(f'{where}["ACCESS_KEY"] must be text.')
    fallbacks = as_texts(get("SECRET_KEY_FALLBACKS"))
    if fallbacks is None or not all(key.strip() for key in fallbacks):
        raise ImproperlyConfigured(
            f'{where}["SECRET_KEY_FALLBACKS"] must be a list of keys, none of them empty.'
        )
    for key, texts in (
        ("ACCESS_KEY", (access_key,)),
        ("SECRET_KEY", (secret_key,)),
        ("SECRET_KEY_FALLBACKS", fallbacks),
    ):
        if any(text != text.strip() for text in texts):
            raise ImproperlyConfigured(
                f'{where}["{key}"] begins or ends with white space, which would break every '
                "signature. Remove it."
            )
    environment = get("ENVIRONMENT")
    if environment not in ENVIRONMENTS:
        raise ImproperlyConfigured(
            f'{where}["ENVIRONMENT"] is {environment!r}; it must be "sandbox" or "production".'
        )
    base_url = get("BASE_URL") or None
    if isinstance(base_url, str) and "@" in base_url:
        raise ImproperlyConfigured(
            f'{where}["BASE_URL"] carries a user or password, which would be logged. Remove it.'
        )
    if base_url is not None and not (isinstance(base_url, str) and is_base_url(base_url)):
        raise ImproperlyConfigured(
            f'{where}["BASE_URL"] is {base_url!r}; it must be an address like '
            '"https://services.pagoefectivo.example/v1".'
        )
    currencies = as_texts(get("CURRENCIES"))
    if not currencies or not all(_CURRENCY.fullmatch(currency) for currency in currencies):
        raise ImproperlyConfigured(
            f'{where}["CURRENCIES"] is {get("CURRENCIES")!r}; it must be a list like ["PEN"].'
        )
    admin_email = get("ADMIN_EMAIL") or ""
    if not isinstance(admin_email, str) or (admin_email and "@" not in admin_email):
        raise ImproperlyConfigured(f'{where}["ADMIN_EMAIL"] must be an e-mail address or "".')
    shop = _shop(get("SHOP"), where)
    _refuse_server_wide(raw, where)
    return Merchant(
        name=name,
        api=api,
        environment=environment,
        base_url=None if base_url is None else base_url.rstrip("/"),
        service_id=service_id,
        access_key=access_key,
        secret_key=secret_key,
        secret_key_fallbacks=fallbacks,
        currencies=currencies,
        admin_email=admin_email,
        shop=shop or name,
    )


def _shop(value: object, where: str) -> str | None:
    if value is not None and not (isinstance(value, str) and _MERCHANT_NAME.fullmatch(value)):
        raise ImproperlyConfigured(
            f'{where}["SHOP"] is {value!r}; it must be a name of 1 to 50 letters, digits, hyphens '
            "or underscores, the same at every merchant of the shop."
        )
    return value


def _refuse_server_wide(raw: Mapping[str, Any], where: str) -> None:
    for option, why in SERVER_WIDE.items():
        if option in raw:
            raise ImproperlyConfigured(
                f'{where}["{option}"] cannot differ by merchant: {why}. Move it to '
                f'PAGOEFECTIVO["{option}"].'
            )
    retention = raw.get("RETENTION")
    if isinstance(retention, Mapping) and "idempotency_keys" in retention:
        raise ImproperlyConfigured(
            f'{where}["RETENTION"]["idempotency_keys"] cannot differ by merchant: a key belongs '
            'to whoever calls the API. Move it to PAGOEFECTIVO["RETENTION"].'
        )

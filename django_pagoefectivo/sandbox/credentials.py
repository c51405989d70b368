"""Whom the sandbox knows, and the tokens it gives out.

It knows the merchants of the ``PAGOEFECTIVO`` setting, and nobody while one of them is in
production. The formulas are written out here and not taken from the client's side, so that
a mistake there cannot agree with itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signing import BadSignature, Signer

from ..conf import Merchant, get_config
from ..gateways import CipGateway, Gateway, PaymentGateway, gateway_class
from .models import SandboxCode

#: From the public technical document: a token lives two hours and serves many calls.
TOKEN_LIFETIME = timedelta(hours=2)

#: The contracts that are played, for those who speak them, own subclasses included.
_PLAYED: dict[SandboxCode.Contract, type[Gateway]] = {
    SandboxCode.Contract.CIP: CipGateway,
    SandboxCode.Contract.PAYMENT: PaymentGateway,
}

# PagoEfectivo's tokens have the form of a JWT, which begins with this.
_JWT_HEADER = {"alg": "HS256", "typ": "JWT"}


def is_available() -> bool:
    """Whether the sandbox may serve: not while any configured merchant is in production."""
    return not any(merchant.is_production for merchant in get_config().merchants())


def require_available() -> None:
    """Raise ``ImproperlyConfigured`` where the sandbox must not be used."""
    if not is_available():
        raise ImproperlyConfigured(
            "The PagoEfectivo sandbox does nothing while a merchant is in production. Remove "
            '"django_pagoefectivo.sandbox" from INSTALLED_APPS there.'
        )


def merchant_of(
    service_id: str, contract: SandboxCode.Contract = SandboxCode.Contract.CIP
) -> Merchant | None:
    """The merchant whose ``idService`` or Merchant ID this is under ``contract``, or ``None``."""
    for merchant in get_config().merchants():
        if (
            not merchant.is_production
            and issubclass(gateway_class(merchant), _PLAYED[contract])
            and _same_service(merchant.service_id, service_id, contract)
        ):
            return merchant
    return None


def _same_service(one: str, other: str, contract: SandboxCode.Contract) -> bool:
    if contract is SandboxCode.Contract.CIP and one.isdecimal() and other.isdecimal():
        # 01234 and 1234 are the same number, and numbers are what the wire carries.
        return int(one) == int(other)
    return one == other


def credentials_match(service_id: int, access_key: str, date_request: str, hashed: str) -> bool:
    """Whether a token request's ``hashString`` is the one of the service's own keys.

    It is the lower-case hex SHA-256 of ``idService.accessKey.secretKey.dateRequest``.
    """
    merchant = merchant_of(str(service_id))
    if merchant is None:
        return False
    base = f"{service_id}.{merchant.access_key}.{merchant.secret_key}.{date_request}"
    expected = hashlib.sha256(base.encode()).hexdigest()
    # Both are compared, whatever the first says: as bytes, since text must be ASCII.
    same_key = hmac.compare_digest(merchant.access_key.encode(), _bytes(access_key))
    return hmac.compare_digest(expected.encode(), _bytes(hashed)) and same_key


def request_signature_matches(merchant_id: str, signed: bytes, signature: str) -> bool:
    """Whether a Payment API's request is signed with the merchant's own key, in hex."""
    merchant = merchant_of(merchant_id, SandboxCode.Contract.PAYMENT)
    if merchant is None:
        return False
    expected = hmac.new(merchant.secret_key.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), _bytes(signature))


def sign_notification(
    body: bytes, service_id: str, contract: SandboxCode.Contract = SandboxCode.Contract.CIP
) -> str:
    """A notification's signature: hex HMAC-SHA256 of ``body`` under the secret key."""
    merchant = merchant_of(service_id, contract)
    if merchant is None:
        raise ImproperlyConfigured(
            f"No merchant of PAGOEFECTIVO has SERVICE_ID {service_id} any more, so nothing can "
            "be signed for it."
        )
    return hmac.new(merchant.secret_key.encode(), body, hashlib.sha256).hexdigest()


def issue_token(service_id: int, now: datetime) -> str:
    """A token of about 230 characters in the form of a JWT. Nothing is stored for it."""
    claims = {
        "idService": service_id,
        "iat": int(now.timestamp()),
        "exp": int((now + TOKEN_LIFETIME).timestamp()),
        "jti": secrets.token_hex(16),
    }
    return _signer().sign(f"{_encode(_JWT_HEADER)}.{_encode(claims)}")


def service_of_token(token: str, now: datetime) -> str | None:
    """The service that ``token`` was issued to; ``None`` if it is forged or expired."""
    try:
        claims = _decode(_signer().unsign(token).rpartition(".")[2])
    except BadSignature:
        return None
    return str(claims["idService"]) if now.timestamp() < claims["exp"] else None


def _signer() -> Signer:
    return Signer(sep=".", salt="django_pagoefectivo.sandbox.token")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _encode(claims: Mapping[str, object]) -> str:
    return (
        urlsafe_b64encode(json.dumps(claims, separators=(",", ":")).encode()).rstrip(b"=").decode()
    )


def _decode(text: str) -> Any:
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))

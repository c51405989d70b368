"""The probe: a request to the webhook that proves it arrives, and that changes nothing.

Only who knows the project's ``SECRET_KEY`` can write one, and only who knows it can answer. It
is a ``POST`` signed with the merchant's key like any notification, so whatever stands in a
notification's way stands in the probe's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.core import signing
from django.db import connections

from .conf import Config, Merchant
from .gateways import Gateway, gateway_class
from .gateways.signing import sign

_QUESTION, _ANSWER = "django_pagoefectivo.probe", "django_pagoefectivo.probe.answer"
_BEGIN = b'{"eventType":"django_pagoefectivo.probe","token":"'
#: Afterwards nobody answers a copy of it.
LIFETIME = timedelta(minutes=2)
OK, MISSING, WRONG = "ok", "missing", "wrong"


@dataclass(frozen=True, slots=True)
class Probe:
    """What to ``POST``, and what tells the answer to it from any other."""

    body: bytes
    headers: Mapping[str, str]
    nonce: str


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What the webhook saw: the state of the signature, and whether a transaction was open."""

    signature: str
    in_transaction: bool


def make_probe(merchant: Merchant) -> Probe:
    """A probe of ``merchant``'s webhook."""
    nonce = secrets.token_hex(16)
    token = signing.dumps(nonce, salt=_QUESTION)
    body = _BEGIN + token.encode() + b'","text":"\xc3\xb1"}'
    signature = sign(body, merchant.secret_key)
    return Probe(
        body,
        {
            "Content-Type": "application/json",
            gateway_class(merchant).signature_header: signature,
        },
        nonce,
    )


def answer_to_probe(
    body: bytes, headers: Mapping[str, str], merchant: str | None, config: Config
) -> str | None:
    """The webhook's answer to ``body`` if it is a genuine probe, else ``None``.

    ``merchant`` is the one whose URL was called. Reads nothing but settings.
    """
    if not body.startswith(_BEGIN):
        return None
    try:
        token = json.loads(body)["token"]
        nonce = signing.loads(token, salt=_QUESTION, max_age=LIFETIME)
    except (signing.BadSignature, ValueError, KeyError, TypeError):
        return None
    candidates = config.merchants() if merchant is None else (config.merchant(merchant),)
    seen = {_signature_state(one, body, headers) for one in candidates}
    state = next(state for state in (OK, WRONG, MISSING) if state in seen)
    in_transaction = any(one.in_atomic_block for one in connections.all(initialized_only=True))
    return signing.dumps([nonce, state, in_transaction], salt=_ANSWER)


def read_answer(text: str, probe: Probe) -> ProbeAnswer | None:
    """What the webhook answered to ``probe``; ``None`` if it was not this installation's."""
    try:
        nonce, state, in_transaction = signing.loads(text, salt=_ANSWER, max_age=LIFETIME)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return ProbeAnswer(state, in_transaction) if nonce == probe.nonce else None


def _signature_state(merchant: Merchant, body: bytes, headers: Mapping[str, str]) -> str:
    gateway = gateway_class(merchant)
    signature = headers.get(gateway.signature_header)
    if not signature:
        return MISSING
    if gateway.signing_key.__func__ is not Gateway.signing_key.__func__:  # type: ignore[attr-defined]
        # A contract of its own signs in a way that the probe does not know.
        return OK
    return WRONG if gateway.signing_key(body, signature, merchant.secret_keys) is None else OK

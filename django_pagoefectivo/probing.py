"""The probe: a request to the webhook that proves it arrives, and that changes nothing.

Only who knows the project's ``SECRET_KEY`` can write one, and only who knows it can answer. It
is a ``POST`` signed with the merchant's key like any notification, so whatever stands in a
notification's way stands in the probe's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.core import signing
from django.db import connections, router

from .conf import Config, Merchant
from .gateways import Gateway, gateway_class
from .gateways.signing import compact, key_label, sign
from .logs import logger_for
from .models import Payment
from .webhook_words import PROBE_REFUSED

logger = logger_for("django_pagoefectivo.webhook")

_QUESTION, _ANSWER = "django_pagoefectivo.probe", "django_pagoefectivo.probe.answer"
_EVENT = b"django_pagoefectivo.probe"
_BEGIN = b'{"eventType":"' + _EVENT + b'","token":"'
#: Wherever it stands: what a proxy did to the rest of the body is what is to be found out.
_TOKEN = re.compile(rb'"token"\s*:\s*"([\w:.-]{1,512})"')
_WHOLE = re.compile(_BEGIN + rb'[^"\\]{1,512}","text":"[^"\\]{1,16}"\}')
#: Afterwards nobody answers a copy of it.
LIFETIME = timedelta(minutes=2)
#: What became of the signature; ``OTHER_KEY``: it was made with a key that is not here.
OK, MISSING, WRONG, OTHER_KEY = "ok", "missing", "wrong", "other key"
#: What keeps what is written from being committed when the webhook returns.
COMMITS, IN_TRANSACTION, NO_AUTOCOMMIT = "", "transaction", "autocommit"


@dataclass(frozen=True, slots=True)
class Probe:
    """What to ``POST``, and what tells the answer to it from any other."""

    body: bytes
    headers: Mapping[str, str]
    nonce: str


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What the webhook saw: the state of the signature, and what would keep it from committing."""

    signature: str
    held_back_by: str


def make_probe(merchant: Merchant) -> Probe:
    """A probe of ``merchant``'s webhook."""
    # The label lets the far side say whether it has the key, where the signature is wrong.
    nonce = f"{secrets.token_hex(16)}.{key_label(merchant.secret_key)}"
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
    """The webhook's answer to ``body`` if it is a probe, else ``None``.

    ``PROBE_REFUSED`` to one that another ``SECRET_KEY`` signed or that is too old. ``merchant``
    is the one whose URL was called. Reads nothing but settings.
    """
    if _EVENT not in body:
        return None
    nonce = _proven(body)
    if nonce is None:
        # Only what is a probe and nothing else is left out of the sample of refused
        # notifications: whatever could pass for a payment is still kept there.
        if _WHOLE.fullmatch(compact(body)) is None:
            return None
        logger.warning("A doctor's probe was refused: another SECRET_KEY signed it, or it is old")
        return PROBE_REFUSED
    candidates = config.merchants() if merchant is None else (config.merchant(merchant),)
    label = nonce.rpartition(".")[2]
    seen = {_signature_state(one, body, headers, label) for one in candidates}
    state = next(state for state in (OK, WRONG, OTHER_KEY, MISSING) if state in seen)
    return signing.dumps([nonce, state, _held_back_by()], salt=_ANSWER)


def _proven(body: bytes) -> str | None:
    """The nonce of a genuine probe."""
    token = _TOKEN.search(body)
    if token is None:
        return None
    try:
        nonce = signing.loads(token[1].decode(), salt=_QUESTION, max_age=LIFETIME)
    except (signing.BadSignature, ValueError):
        return None
    return nonce if isinstance(nonce, str) else None


def read_answer(text: str, probe: Probe) -> ProbeAnswer | None:
    """What the webhook answered to ``probe``; ``None`` if it was not this installation's."""
    try:
        nonce, state, held_back_by = signing.loads(text, salt=_ANSWER, max_age=LIFETIME)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return ProbeAnswer(state, held_back_by) if nonce == probe.nonce else None


def _signature_state(
    merchant: Merchant, body: bytes, headers: Mapping[str, str], label: str
) -> str:
    gateway = gateway_class(merchant)
    signature = headers.get(gateway.signature_header)
    if not signature:
        return MISSING
    if gateway.signing_key.__func__ is not Gateway.signing_key.__func__:  # type: ignore[attr-defined]
        # A contract of its own signs in a way that the probe does not know.
        return OK
    if gateway.signing_key(body, signature, merchant.secret_keys) is not None:
        return OK
    return WRONG if label in map(key_label, merchant.secret_keys) else OTHER_KEY


def _held_back_by() -> str:
    if any(one.in_atomic_block for one in connections.all(initialized_only=True)):
        return IN_TRANSACTION
    ours = connections[router.db_for_write(Payment)]
    # Asking the connection itself would open it.
    commits = ours.settings_dict["AUTOCOMMIT"] if ours.connection is None else ours.autocommit
    return COMMITS if commits else NO_AUTOCOMMIT

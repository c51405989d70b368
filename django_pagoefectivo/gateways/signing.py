"""Hashes and signatures of PagoEfectivo, as pure functions.

Facts from PagoEfectivo's public technical document (REST API v1.1): a token request
carries a SHA-256 over the credentials, a notification an HMAC-SHA256 of its body.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

#: What is signed to name a key; no notification is signed like that.
_LABEL = b"django-pagoefectivo: the label of a key"
_SPACE = b" \t\r\n"
_STRING_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*"?)|[ \t\r\n]+', re.DOTALL)


def token_hash(service_id: str, access_key: str, secret_key: str, date_request: str) -> str:
    """The ``hashString`` of a token request: lower-case hex SHA-256 of the four, dotted."""
    base = f"{service_id}.{access_key}.{secret_key}.{date_request}"
    return hashlib.sha256(base.encode()).hexdigest()


def sign(body: bytes, secret_key: str) -> str:
    """The lower-case hex HMAC-SHA256 of ``body`` under ``secret_key``."""
    return hmac.new(secret_key.encode(), body, hashlib.sha256).hexdigest()


def key_label(secret_key: str) -> str:
    """A short name for a key, the same wherever the key stands; nothing leads back to it."""
    return hmac.new(secret_key.encode(), _LABEL, hashlib.sha256).hexdigest()[:8]


def compact(body: bytes) -> bytes:
    """``body`` without the white space outside JSON strings, every other byte as it was.

    PagoEfectivo signs the JSON without insignificant white space but may deliver it
    indented. Parsing and dumping again would turn ``22.50`` into ``22.5``, so the bytes
    are scanned instead.
    """
    if len(body.translate(None, _SPACE)) == len(body):
        # As most are sent; scanning costs more than all the rest of a verification.
        return body
    return _STRING_OR_SPACE.sub(rb"\1", body)


def digest(body: bytes) -> str:
    """What makes a notification distinct: the hex SHA-256 of its compacted body."""
    return hashlib.sha256(compact(body)).hexdigest()


def matching_key(body: bytes, signature: str, secret_keys: Sequence[str]) -> int | None:
    """The index of the key that signed ``body``, or ``None``.

    The bytes are tried as received, then compacted. ``signature`` may be in either case.
    Comparison takes the same time wherever the difference is.
    """
    given = signature.strip().lower().encode("utf-8", "replace")
    forms = {body: None, compact(body): None}
    for index, key in enumerate(secret_keys):
        for form in forms:
            if hmac.compare_digest(sign(form, key).encode(), given):
                return index
    return None

"""The words of the webhook's answers, by which its own are told from those of others."""

from __future__ import annotations

NO_MERCHANT = "no such merchant"
ADDRESS_NOT_ALLOWED = "address not allowed"
REFUSED = "signature refused"
#: Nothing arrived that could have been signed.
REFUSED_EMPTY = f"{REFUSED}: the body was empty or had been read"
#: A probe of somebody else's, or one that is too old.
PROBE_REFUSED = "probe refused"
UNREADABLE = "cannot be read: "
NO_LENGTH = "Content-Length is no number"
TRY_AGAIN = "try again"

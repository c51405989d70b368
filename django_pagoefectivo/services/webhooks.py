"""Notifications as they arrive: whose key signed them, and what is refused.

A genuine one is taken in by ``intake``, before it is answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from ..client_address import is_allowed
from ..conf import Config, Merchant, get_config
from ..exceptions import InvalidNotification, MerchantsUnavailable, NotificationRefused
from ..gateways import gateway_class
from ..gateways.signing import digest as digest_of
from ..gateways.signing import key_label
from ..logs import logger_for
from .intake import Receipt, Received, take_in
from .rejections import keep_rejected

logger = logger_for("django_pagoefectivo.webhook")


@sensitive_variables()
def receive(
    body: bytes,
    headers: Mapping[str, str],
    *,
    address: str | None = None,
    merchant: str | None = None,
) -> Receipt:
    """Take in one notification.

    ``headers`` are the request's, ``address`` the sender's, ``merchant`` the one whose
    URL was called (``None``: the key that signed tells). After the return everything it
    did is committed. Raises ``NotificationRefused`` for a signature that is missing or
    wrong and ``InvalidNotification`` for a signed body that cannot be used; both are kept
    in a bounded sample. Database errors and ``ImproperlyConfigured`` (a merchant that cannot
    be read) are passed on: nothing is acknowledged then.
    """
    config = get_config()
    candidates, broken = _candidates(config, merchant, address)
    received = _verified(body, headers, address, candidates)
    if received is None and (newer := config.with_newer_merchants()) is not None:
        # A key may have been changed a moment ago, where the merchants come from.
        config = newer
        candidates, broken = _candidates(config, merchant, address)
        received = _verified(body, headers, address, candidates)
    if received is None and broken:
        raise MerchantsUnavailable(
            f"A notification fits no key, but those of {', '.join(broken)} cannot be read."
        )
    if received is None and not candidates:
        raise NotificationRefused(f"Notification refused: address {address} is not allowed.")
    if received is None:
        signature = next(
            (s for m in candidates if (s := headers.get(gateway_class(m).signature_header))), ""
        )
        reason = (
            "the signature is wrong" if signature else "there is no signature header"
        ) + f" for {' or '.join(m.name for m in candidates)}"
        keep_rejected(candidates[0].name, body, signature, address, reason)
        raise NotificationRefused(f"Notification refused: {reason}.")
    receipt = take_in(received, config)
    logger.info(
        "Notification %r of merchant %s for CIP %r: %s",
        received.notification.event_type[:100],
        received.signers[0],
        received.notification.cip[:64],
        receipt.outcome,
    )
    return receipt


def _candidates(
    config: Config, merchant: str | None, address: str | None
) -> tuple[list[Merchant], list[str]]:
    """The merchants that may be notified from ``address``, and those that cannot be read.

    One of many that is set up wrongly must not stop the notifications of the others.
    """
    if merchant is not None:
        return [config.merchant(merchant)] if may_notify(merchant, address, config) else [], []
    candidates, broken = [], []
    for name in config.merchant_names:
        try:
            one = config.merchant(name)
            gateway_class(one)
            if may_notify(name, address, config):
                candidates.append(one)
        except ImproperlyConfigured as error:
            logger.error("Merchant %s cannot be notified: %s", name, error)  # noqa: TRY400
            broken.append(name)
    return candidates, broken


def may_notify(merchant: str, address: str | None, config: Config) -> bool:
    """Whether notifications for ``merchant`` may come from ``address``."""
    return is_allowed(address, config.options_of(merchant))


def _verified(
    body: bytes,
    headers: Mapping[str, str],
    address: str | None,
    candidates: Sequence[Merchant],
) -> Received | None:
    """The notification with all merchants whose key signed it; ``None`` if nobody's did."""
    signers: list[str] = []
    first: tuple[Merchant, str, str] | None = None
    for merchant in candidates:
        gateway = gateway_class(merchant)
        signature = headers.get(gateway.signature_header) or ""
        if not signature:
            continue
        place = gateway.signing_key(body, signature, merchant.secret_keys)
        if place is None:
            continue
        signers.append(merchant.name)
        first = first or (merchant, key_label(merchant.secret_keys[place]), signature)
    if first is None:
        return None
    merchant, key, signature = first
    try:
        notification = gateway_class(merchant).parse_notification(body)
    except InvalidNotification as error:
        keep_rejected(merchant.name, body, signature, address, str(error))
        raise
    return Received(tuple(signers), key, notification, digest_of(body), body, signature, address)

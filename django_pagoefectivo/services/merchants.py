"""Which merchant a payment is made for."""

from __future__ import annotations

from collections.abc import Collection

from django.core.exceptions import ImproperlyConfigured

from ..conf import Config, Merchant
from ..exceptions import InvalidPayment


def chosen_merchant(
    wanted: str | Collection[str] | None, currency: object, config: Config
) -> Merchant:
    """The merchant called ``wanted``, or the one of several that takes ``currency``.

    ``wanted`` may be several names, or ``None`` for all that are configured. Raises
    ``InvalidPayment`` if none of them takes the currency, ``ImproperlyConfigured`` if more
    than one does, or a name is not configured.
    """
    if isinstance(wanted, str):
        return config.merchant(wanted)
    names = config.merchant_names if wanted is None else tuple(wanted)
    among = [config.merchant(name) for name in names]
    takers = [merchant for merchant in among if currency in merchant.currencies]
    if not takers:
        known = sorted({known for merchant in among for known in merchant.currencies})
        raise InvalidPayment(
            "currency",
            f"{currency!r} is taken by no merchant among {', '.join(names) or 'none at all'}; "
            f"they take {', '.join(known) or 'nothing'}.",
        )
    if len(takers) > 1:
        raise ImproperlyConfigured(
            f"{currency} is taken by more than one merchant "
            f"({', '.join(merchant.name for merchant in takers)}), so the currency alone does not "
            "tell which is meant. Pass merchant=<name>, or the names to choose among, to "
            "create_payment."
        )
    return takers[0]

"""Which secret key signed the notifications: the log that tells when a rotation is over.

Each accepted notification keeps the label of its key, so a label says the same before and
after the settings change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import get_config
from ..gateways.signing import key_label
from ..models import WebhookEvent


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One configured key of a merchant and the notifications it signed.

    ``place`` is 0 for ``SECRET_KEY`` and 1 and more for its fallbacks in their order;
    ``first_used`` and ``last_used`` (aware UTC) are ``None`` if it signed nothing accepted.
    """

    merchant: str
    place: int
    label: str
    first_used: datetime | None
    last_used: datetime | None

    @property
    def is_fallback(self) -> bool:
        """Whether it is one of ``SECRET_KEY_FALLBACKS``."""
        return self.place > 0


def key_uses(merchant: str | None = None) -> list[KeyUse]:
    """When each configured key of ``merchant``, or of every merchant, signed first and last.

    Two small statements a key, however many notifications there are. Raises
    ``ImproperlyConfigured`` for a merchant that is not configured rightly.
    """
    config = get_config()
    merchants = config.merchants() if merchant is None else (config.merchant(merchant),)
    uses = []
    for one in merchants:
        for place, key in enumerate(one.secret_keys):
            label = key_label(key)
            signed = WebhookEvent.objects.filter(merchant=one.name, signed_with=label)
            dates = signed.values_list("last_received_at", flat=True)
            uses.append(
                KeyUse(
                    merchant=one.name,
                    place=place,
                    label=label,
                    first_used=dates.order_by("last_received_at").first(),
                    last_used=dates.order_by("-last_received_at").first(),
                )
            )
    return uses


def idle_fallbacks(
    unused_for: timedelta = timedelta(days=7), *, now: datetime | None = None
) -> list[KeyUse]:
    """The fallbacks that can be taken out of the settings.

    Those that signed nothing for ``unused_for`` although the new key has been in use for as
    long: before PagoEfectivo signs with the new key, a silent fallback proves nothing.
    """
    uses = key_uses()
    since = (now or timezone.now()) - unused_for
    switched: Mapping[str, datetime | None] = {
        use.merchant: use.first_used for use in uses if not use.is_fallback
    }
    idle = []
    for use in uses:
        began = switched[use.merchant]
        if not use.is_fallback or began is None or began > since:
            continue
        if use.last_used is None or use.last_used <= since:
            idle.append(use)
    return idle


def described_key(merchant: str, label: str) -> str:
    """The key behind ``label`` for staff: its place in the settings now, and the label.

    ``""`` where no key is known to have signed.
    """
    if not label:
        return ""
    try:
        keys = get_config().merchant(merchant).secret_keys
    except ImproperlyConfigured:
        keys = ()
    place = next((place for place, key in enumerate(keys) if key_label(key) == label), None)
    if place is None:
        return _("key %(label)s, no longer in the settings") % {"label": label}
    if place == 0:
        return _("current key %(label)s") % {"label": label}
    return _("fallback key %(place)d, %(label)s") % {"place": place, "label": label}

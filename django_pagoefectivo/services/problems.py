"""What may go wrong with an act, as a sentence for the person who did it."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..exceptions import OutcomeUnknown, PagoEfectivoError
from ..gateways.masking import mask_emails
from .transactions import StateChanged

#: Everything that a person can be told; anything else is a fault of the code.
PROBLEMS = (PagoEfectivoError, ImproperlyConfigured, StateChanged)


def sentence(error: Exception) -> str:
    """The sentence for one of ``PROBLEMS``."""
    if isinstance(error, StateChanged):
        return _("It is changing right now. Try again in a moment.")
    text = mask_emails(str(error))
    if isinstance(error, OutcomeUnknown):
        return _("%s Ask PagoEfectivo about it to see whether it was done.") % text
    return text

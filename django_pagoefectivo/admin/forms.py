"""What staff fill in for an act."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import DEFAULTS, get_config
from ..gateways.wire import LIMA
from ..models import Payment, WebhookEvent
from ..services.staff import mismatch_of, seen_key
from ..services.validation import LARGEST_AMOUNT
from .search import cip_of

_LONGEST_NOTE = 2000


class LimaDateTimeField(forms.DateTimeField):
    """A date and time of day as it is in Lima, wherever the server or the person is."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def prepare_value(self, value: Any) -> Any:
        """The moment as Lima's clocks show it."""
        if isinstance(value, datetime) and timezone.is_aware(value):
            return value.astimezone(LIMA).replace(tzinfo=None)
        return value

    def to_python(self, value: Any) -> datetime | None:
        """What Lima's clocks show, as an aware moment."""
        with timezone.override(LIMA):
            return super().to_python(value)


class ActForm(forms.Form):
    """The form of an act on ``target``. Without fields of its own it asks for nothing."""

    def __init__(self, target: Any, *args: Any, **kwargs: Any) -> None:
        self.target = target
        super().__init__(*args, **kwargs)


def _note(label: Any, *, required: bool) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=required,
        max_length=_LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
    )


class NoteForm(ActForm):
    """A note."""

    note = _note(_("Note"), required=True)


def _usual_deadline() -> datetime:
    try:
        term = get_config().expires_in
    except ImproperlyConfigured:
        term = DEFAULTS["EXPIRES_IN"]
    return timezone.now() + term


class ExtendForm(forms.Form):
    """A new deadline for many payments."""

    expires_at = LimaDateTimeField(label=_("New deadline (Lima time)"), initial=_usual_deadline)

    def clean_expires_at(self) -> datetime:
        """A deadline that is still to come."""
        value: datetime = self.cleaned_data["expires_at"]
        if value <= timezone.now():
            raise ValidationError(_("The deadline must be in the future."))
        return value


class ExtendOneForm(ActForm, ExtendForm):
    """A new deadline for one payment."""


class SettleForm(ActForm):
    """What was done about what waited, and what the person saw waiting."""

    seen = forms.CharField(widget=forms.HiddenInput, max_length=16)
    note = _note(_("What was done"), required=True)

    def __init__(self, target: Payment, *args: Any, **kwargs: Any) -> None:
        super().__init__(target, *args, **kwargs)
        self.fields["seen"].initial = seen_key(target)


class ConfirmForm(ActForm):
    """A person's word that a payment is paid."""

    amount = forms.DecimalField(
        label=_("Amount paid"),
        min_value=Decimal("0.01"),
        max_value=LARGEST_AMOUNT,
        max_digits=15,
        decimal_places=2,
    )
    operation_number = forms.CharField(
        label=_("Operation number"),
        required=False,
        max_length=64,
        help_text=_("If the voucher or PagoEfectivo's panel shows one."),
    )
    reason = _note(_("Reason"), required=True)

    def __init__(self, target: Payment, *args: Any, **kwargs: Any) -> None:
        super().__init__(target, *args, **kwargs)
        self.fields["amount"].initial = target.amount


class GiveUpForm(ActForm):
    """Why a payment of unknown outcome was never made."""

    reason = _note(_("Reason"), required=True)


class AcceptForm(ActForm):
    """The amount of a notification as the full payment: of the one the person saw."""

    event = forms.IntegerField(widget=forms.HiddenInput)
    note = _note(_("Note"), required=False)

    def __init__(self, target: Payment, *args: Any, **kwargs: Any) -> None:
        super().__init__(target, *args, **kwargs)
        event = mismatch_of(target)
        self.fields["event"].initial = event.pk if event else None

    def clean_event(self) -> WebhookEvent:
        """The notification itself."""
        event = WebhookEvent.objects.defer("body").filter(
            pk=self.cleaned_data["event"], payment=self.target
        )
        found = event.first()
        if found is None:
            raise ValidationError(_("This notification is not about the payment."))
        return found


class LinkForm(ActForm):
    """The payment a notification belongs to."""

    payment = forms.CharField(
        label=_("Payment"),
        max_length=64,
        help_text=_("Its transaction code, its CIP, or an order reference that has one payment."),
    )
    note = _note(_("Note"), required=False)

    def clean_payment(self) -> Payment:
        """The one payment that is named."""
        term = self.cleaned_data["payment"].strip()
        merchant = self.target.merchant
        rows = Payment.objects.filter(merchant=merchant)
        for found in (
            rows.filter(transaction_code=term)[:2],
            rows.filter(cip=cip_of(term))[:2],
            Payment.objects.for_order(term, merchant).order_by("-pk")[:10],
        ):
            payments = list(found)
            if len(payments) == 1:
                return payments[0]
            if payments:
                codes = ", ".join(
                    f"{payment.transaction_code} ({payment.get_status_display()})"
                    for payment in payments
                )
                raise ValidationError(
                    _("This order has several payments. Give the transaction code of one: %s")
                    % codes
                )
        raise ValidationError(_("No payment of this merchant is known by that."))

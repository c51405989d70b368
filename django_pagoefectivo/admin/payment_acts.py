"""What staff can do with one payment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Attention, Payment, Status
from ..rights import CONFIRM
from ..services import staff
from .acts import Act
from .formatting import lima, money
from .forms import AcceptForm, ConfirmForm, ExtendOneForm, GiveUpForm, NoteForm, SettleForm

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Data = Mapping[str, Any]


def _sync(payment: Payment, user: User, data: Data) -> str:
    staff.ask(payment, user=user)
    return gettext("PagoEfectivo was asked; the payment is: %s.") % payment.get_status_display()


def _extend(payment: Payment, user: User, data: Data) -> str:
    staff.extend(payment, user=user, expires_at=data["expires_at"])
    return gettext("The deadline is now %s (Lima).") % lima(payment.expires_at)


def _cancel(payment: Payment, user: User, data: Data) -> str:
    staff.cancel(payment, user=user)
    return gettext("The payment is: %s.") % payment.get_status_display()


def _reconcile(payment: Payment, user: User, data: Data) -> str:
    staff.reconcile(payment, user=user)
    return gettext("Marked as reconciled.")


def _note(payment: Payment, user: User, data: Data) -> str:
    staff.add_note(payment, user=user, note=data["note"])
    return gettext("The note is in the timeline.")


def _settle(payment: Payment, user: User, data: Data) -> str:
    staff.settle(payment, user=user, note=data["note"], seen=data["seen"])
    return gettext("Marked as dealt with.")


def _confirm(payment: Payment, user: User, data: Data) -> str:
    staff.confirm(
        payment,
        user=user,
        reason=data["reason"],
        amount=data["amount"],
        operation_number=data["operation_number"],
    )
    return gettext("Confirmed: %s was paid.") % money(payment.paid_amount, payment.currency)


def _give_up(payment: Payment, user: User, data: Data) -> str:
    staff.give_up(payment, user=user, reason=data["reason"])
    return gettext("Given up. A new code can be made for the order.")


def _accept(payment: Payment, user: User, data: Data) -> str:
    staff.accept_amount(payment, user=user, event=data["event"], note=data["note"])
    return gettext("Accepted: %s was paid.") % money(payment.paid_amount, payment.currency)


def _nothing_to_accept(payment: Payment) -> str:
    if staff.mismatch_of(payment) is not None:
        return ""
    return gettext(
        "No notification says which amount was paid. If PagoEfectivo's panel shows it, confirm "
        "the payment by hand."
    )


def _always(payment: Payment) -> bool:
    return True


PAYMENT_ACTS: tuple[Act[Payment], ...] = (
    Act(
        "accept-amount",
        _("Accept the amount as paid"),
        _("Take what was paid as the whole price? The shop is told that the order is paid."),
        run=_accept,
        offered=lambda payment: (
            payment.attention == Attention.AMOUNT_MISMATCH
            and payment.status not in staff.PAID_STATUSES
        ),
        permission=CONFIRM,
        form=AcceptForm,
        obstacle=_nothing_to_accept,
    ),
    Act(
        "give-up",
        _("Give it up"),
        _(
            "Did PagoEfectivo make no code? Look the transaction code up in its panel first. The "
            "payment fails, and a new code can be made for the order."
        ),
        run=_give_up,
        offered=lambda payment: (
            payment.attention == Attention.OUTCOME_UNKNOWN and payment.status == Status.CREATED
        ),
        form=GiveUpForm,
        grave=True,
    ),
    Act(
        "settle",
        _("Mark as dealt with"),
        _("Say what was done. It leaves the inbox; the timeline keeps it."),
        run=_settle,
        offered=lambda payment: bool(payment.attention),
        form=SettleForm,
    ),
    Act(
        "sync",
        _("Ask PagoEfectivo now"),
        _("Ask PagoEfectivo how this payment stands?"),
        run=_sync,
        offered=lambda payment: bool(payment.cip or payment.remote_id) or payment.is_open,
    ),
    Act(
        "extend",
        _("Move the deadline"),
        _("Until when can the code be paid?"),
        run=_extend,
        offered=lambda payment: (
            payment.cip is not None and payment.status in (Status.PENDING, Status.EXPIRED)
        ),
        form=ExtendOneForm,
    ),
    Act(
        "reconcile",
        _("Mark as reconciled"),
        _("Does it agree with what PagoEfectivo settled?"),
        run=_reconcile,
        offered=lambda payment: (
            payment.reconciled_at is None and payment.status in staff.PAID_STATUSES
        ),
    ),
    Act(
        "note",
        _("Add a note"),
        _("The note stands in the timeline with your name."),
        run=_note,
        offered=_always,
        form=NoteForm,
    ),
    Act(
        "confirm",
        _("Confirm by hand"),
        _("Is it certain that the money came? The shop is told that the order is paid."),
        run=_confirm,
        offered=lambda payment: payment.status not in staff.PAID_STATUSES,
        permission=CONFIRM,
        form=ConfirmForm,
        grave=True,
    ),
    Act(
        "cancel",
        _("Cancel"),
        _("Cancel this payment? Its code is deleted at PagoEfectivo. This cannot be undone."),
        run=_cancel,
        offered=lambda payment: payment.cip is not None and payment.status == Status.PENDING,
        grave=True,
    ),
)

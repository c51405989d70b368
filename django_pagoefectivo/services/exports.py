"""Tables of payments, notifications and statement lines, for a spreadsheet.

A table is made row by row, a few hundred rows in memory at a time, however many there are.
Without the right to personal data its columns are left out and free text is masked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import get_language, override
from django.utils.translation import gettext_lazy as _

from ..discretion import Discretion
from ..models import Payment, StatementLine, WebhookEvent
from .batches import in_batches
from .cells import Cell

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

_M = TypeVar("_M", bound=Model)
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Column(Generic[_M]):
    """One column: its heading and what stands in it for a row.

    ``personal`` columns are for those who may export personal data.
    """

    heading: _StrOrPromise
    value: Callable[[_M, Discretion], Cell]
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Table(Generic[_M]):
    """What an export of one kind of rows consists of."""

    name: str
    columns: tuple[Column[_M], ...]
    related: tuple[str, ...]

    def headings(self, *, personal: bool) -> list[str]:
        """The first row."""
        return [str(column.heading) for column in self._chosen(personal)]

    def rows(self, rows: QuerySet[_M], *, personal: bool) -> Iterator[list[Cell]]:
        """The others, in the order of their ids and in the language of now."""
        # A list defers what it does not show.
        whole = rows.defer(None).select_related(*self.related)
        return self._rows(whole, self._chosen(personal), Discretion(whole=personal), get_language())

    def _rows(
        self,
        rows: QuerySet[_M],
        columns: list[Column[_M]],
        discretion: Discretion,
        language: str | None,
    ) -> Iterator[list[Cell]]:
        for batch in in_batches(rows, _BATCH):
            # Rows are made while the file is sent, when the request's language may be gone.
            with override(language):
                made = [[column.value(row, discretion) for column in columns] for row in batch]
            yield from made

    def _chosen(self, personal: bool) -> list[Column[_M]]:
        return [column for column in self.columns if personal or not column.personal]


def _plain(heading: _StrOrPromise, name: str, *, personal: bool = False) -> Column[Any]:
    return Column(heading, lambda row, _discretion: getattr(row, name), personal)


def _shown(heading: _StrOrPromise, name: str) -> Column[Any]:
    """A field with choices, in the reader's words."""
    return Column(heading, lambda row, _discretion: str(getattr(row, f"get_{name}_display")()))


def _payment_text(heading: _StrOrPromise, name: str) -> Column[Payment]:
    """Free text, where a name or number may stand anywhere."""
    return Column(heading, lambda row, discretion: discretion.text(getattr(row, name), row))


def _metadata(payment: Payment, discretion: Discretion) -> str:
    return json.dumps(payment.metadata, ensure_ascii=False) if payment.metadata else ""


def _person(heading: _StrOrPromise, name: str) -> Column[Any]:
    """Who of the staff did it: a user name, which may be an e-mail address."""

    def name_of(row: Any, discretion: Discretion) -> str:
        by = getattr(row, name)
        return discretion.text(by.get_username(), None) if by else ""

    return Column(heading, name_of)


PAYMENTS: Table[Payment] = Table(
    "payments",
    (
        _plain(_("Order"), "order_reference"),
        _plain(_("Transaction code"), "transaction_code"),
        _plain("CIP", "cip"),
        _plain(_("Merchant"), "merchant"),
        _shown(_("Status"), "status"),
        _plain(_("Amount"), "amount"),
        _plain(_("Currency"), "currency"),
        _plain(_("Paid amount"), "paid_amount"),
        _plain(_("Operation number"), "operation_number"),
        _plain(_("Created (Lima)"), "created_at"),
        _plain(_("Deadline (Lima)"), "expires_at"),
        _plain(_("Paid (Lima)"), "paid_at"),
        _plain(_("Cancelled (Lima)"), "cancelled_at"),
        _plain(_("Refunded (Lima)"), "refunded_at"),
        _payment_text(_("Description"), "description"),
        _plain(_("Failure code"), "failure_code"),
        _payment_text(_("Failure"), "failure_message"),
        _shown(_("Needs attention"), "attention"),
        _payment_text(_("Why"), "attention_note"),
        _plain(_("Reconciled (Lima)"), "reconciled_at"),
        _person(_("Reconciled by"), "reconciled_by"),
        _plain(_("E-mail"), "customer_email", personal=True),
        _plain(_("First name"), "customer_first_name", personal=True),
        _plain(_("Last name"), "customer_last_name", personal=True),
        _plain(_("Document type"), "customer_document_type", personal=True),
        _plain(_("Document number"), "customer_document_number", personal=True),
        _plain(_("Country code of the phone"), "customer_phone_country_code", personal=True),
        _plain(_("Phone"), "customer_phone", personal=True),
        _plain(_("Country"), "customer_country", personal=True),
        _plain(_("Ubigeo"), "customer_ubigeo", personal=True),
        _plain(_("Customer id"), "customer_id_in_shop", personal=True),
        Column(_("Metadata"), _metadata, personal=True),
    ),
    related=("reconciled_by",),
)


def _order(row: Any, discretion: Discretion) -> str:
    return row.payment.order_reference if row.payment else ""


def _line_text(heading: _StrOrPromise, name: str) -> Column[StatementLine]:
    return Column(heading, lambda row, discretion: discretion.text(getattr(row, name), row.payment))


LINES: Table[StatementLine] = Table(
    "lines",
    (
        _plain(_("Line"), "number"),
        _shown(_("State"), "state"),
        _line_text(_("Problem"), "problem"),
        _plain("CIP", "cip"),
        _plain(_("Transaction code"), "transaction_code"),
        _plain(_("Operation number"), "operation_number"),
        _plain(_("Refund"), "is_refund"),
        _plain(_("Amount"), "amount"),
        _plain(_("Commission"), "commission"),
        _plain(_("Net"), "net"),
        _plain(_("Currency"), "currency"),
        _plain(_("Paid (Lima)"), "paid_at"),
        Column(_("Order"), _order),
        Column(
            _("Paid amount here"),
            lambda row, _discretion: row.payment.paid_amount if row.payment else None,
        ),
        _line_text(_("Comment"), "comment"),
        _plain(_("Put aside (Lima)"), "settled_at"),
        _person(_("Put aside by"), "settled_by"),
    ),
    related=("payment", "settled_by"),
)


def _event_text(event: WebhookEvent, discretion: Discretion) -> str:
    return discretion.text(event.error, event.payment)


EVENTS: Table[WebhookEvent] = Table(
    "notifications",
    (
        _plain(_("Received (Lima)"), "received_at"),
        _plain(_("Times received"), "times_received"),
        _plain(_("Merchant"), "merchant"),
        _plain(_("Event type"), "event_type"),
        _plain("CIP", "cip"),
        _plain(_("Transaction code"), "transaction_code"),
        _plain(_("Operation number"), "operation_number"),
        _plain(_("Amount"), "amount"),
        _plain(_("Currency"), "currency"),
        _plain(_("Paid (Lima)"), "paid_at"),
        _shown(_("Outcome"), "outcome"),
        _shown(_("Flag"), "flag"),
        Column(_("Explanation"), _event_text),
        Column(_("Order"), _order),
        Column(_("Body"), lambda row, _discretion: row.body_text, personal=True),
    ),
    related=("payment",),
)

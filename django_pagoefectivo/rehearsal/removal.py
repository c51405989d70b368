"""Taking payments away again, and naming those that cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import Error as DatabaseError
from django.db import router, transaction
from django.db.models import Model, ProtectedError, RestrictedError

from ..models import ApiExchange, Payment, WebhookEvent
from .lines import END, Line, Verdict, text_of

#: More references would not be read.
_NAMED = 10
DID = "the rehearsal's own rows are removed"
_MUST = "nothing of them is left"


@dataclass
class Removal:
    """What became of the payments: those that are gone, and why the others stay."""

    gone: list[Payment] = field(default_factory=list)
    staying: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> list[Line]:
        """A line for each reason."""
        return [_staying(why, references) for why, references in self.staying.items()]


def remove(payments: Iterable[Payment]) -> Removal:
    """Delete each payment with what was exchanged about it. Raises nothing."""
    removal = Removal()
    for payment in payments:
        try:
            with transaction.atomic(using=router.db_for_write(Payment)):
                WebhookEvent.objects.filter(payment=payment.pk).delete()
                ApiExchange.objects.filter(payment=payment.pk).delete()
                Payment.objects.filter(pk=payment.pk).delete()
        except ProtectedError as error:
            why = f"rows of {_models(error.protected_objects)} point at them"
        except RestrictedError as error:
            why = f"rows of {_models(error.restricted_objects)} point at them"
        except DatabaseError as error:
            why = f"the database does not let them go ({type(error).__name__}: {error})"
        except Exception as error:  # noqa: BLE001 - signals of the shop's own run in it
            why = f"deleting them broke off with {text_of(error)}"
        else:
            removal.gone.append(payment)
            continue
        removal.staying.setdefault(why, []).append(payment.order_reference)
    return removal


def failed(did: str, saw: str, mend: str) -> Line:
    """The line of something that could not be cleared up."""
    return Line(END, did, _MUST, saw, Verdict.FAILED, mend)


def _models(rows: Iterable[Model]) -> str:
    return ", ".join(sorted({row._meta.label for row in rows}))  # noqa: SLF001 - documented


def _staying(why: str, references: Sequence[str]) -> Line:
    named = ", ".join(references[:_NAMED])
    more = f" and {len(references) - _NAMED} more" if len(references) > _NAMED else ""
    return failed(
        DID,
        f"the payments of orders {named}{more} stay: {why}",
        'Delete what points at them, then the payments, which have "rehearsal" in their '
        "metadata. What receivers write can be cleared up by the context manager that --orders "
        "names, and a table that is missing is made by manage.py migrate.",
    )

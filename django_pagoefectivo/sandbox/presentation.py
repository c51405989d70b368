"""Codes and notifications as the pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from .faults import NotificationFault
from .models import SandboxCode, SandboxNotification

_LIMA = timezone(timedelta(hours=-5))
_SYMBOLS = {"PEN": "S/", "USD": "US$"}
_WORDS = {
    SandboxCode.Status.EXPIRED: ("expired", "Expired"),
    SandboxCode.Status.GENERATED: ("generated", "Waiting for payment"),
    SandboxCode.Status.PAID: ("paid", "Paid"),
    SandboxCode.Status.ANNULLED: ("deleted", "Annulled"),
    SandboxCode.Status.DELETED: ("deleted", "Deleted"),
}


@dataclass(frozen=True, slots=True)
class ShownCode:
    """A code with its state at one moment, its amount and its dates as text."""

    code: SandboxCode
    state: str
    state_text: str
    amount: str
    deadline: str
    paid_at: str
    refunded_at: str

    @classmethod
    def of(cls, code: SandboxCode, now: datetime) -> ShownCode:
        """``code`` as it is at ``now``."""
        state, text = _WORDS[code.status_at(now)]
        if code.refunded_at is not None:
            state, text = "refunded", "Refunded"
        return cls(
            code,
            state,
            text,
            f"{_SYMBOLS.get(code.currency, code.currency)} {code.amount:,.2f}",
            in_lima(code.date_expiry),
            in_lima(code.paid_at),
            in_lima(code.refunded_at),
        )

    @property
    def address(self) -> str:
        """The hosted page's address; empty once it answers 404."""
        return "" if self.state == "deleted" else self.code.get_absolute_url()


@dataclass(frozen=True, slots=True)
class ShownNotification:
    """A notification, how it was sent and what the shop answered, as text."""

    notification: SandboxNotification
    at: str
    manner: str
    tries: str
    accepted: bool

    @classmethod
    def of(cls, notification: SandboxNotification) -> ShownNotification:
        """``notification`` in words."""
        statuses = [notification.first_status]
        if notification.second_status is not None:
            statuses.append(notification.second_status)
        return cls(
            notification,
            in_lima(notification.at),
            NotificationFault(notification.fault).label,
            ", then ".join(str(status) if status else "no answer" for status in statuses),
            statuses[-1] == 200,
        )


def in_lima(moment: datetime | None) -> str:
    """A date of the pages, in Lima time; empty for ``None``."""
    return "" if moment is None else f"{moment.astimezone(_LIMA):%d %b %Y, %H:%M:%S}"

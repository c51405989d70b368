"""PagoEfectivo from here: can it be reached, does it take the keys, do the clocks agree?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import requests
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ..conf import Config, Merchant
from ..exceptions import AuthenticationFailed, PagoEfectivoError, RequestRejected
from ..gateways import CodeRef, gateway_for
from .findings import Finding, Severity, ok
from .room import TIMEOUT, Room

#: No code of this number or name was ever made; asking about it changes nothing.
_NOBODYS = CodeRef(transaction_code="pagoefectivo-doctor", cip="1", remote_id="")
_SERVICE_INVALID = "508"
#: The header has whole seconds, and an answer takes its time.
CLOSE_ENOUGH = timedelta(seconds=10)
#: A token request carries the time, and a deadline that is off is one the shopper misses.
TOO_FAR = timedelta(minutes=2)


def check_clock(room: Room) -> Iterator[Finding]:
    """This machine's clock against the ``Date`` that PagoEfectivo's servers send."""
    if room.offline or room.config is None:
        return
    for url in dict.fromkeys(_base_url(one, room.config) for one in room.merchants):
        date = _date_of(room, url)
        if date is None:
            yield Finding(
                "clock",
                Severity.ADVICE,
                f"This machine's clock could not be compared with that of {url}: it sent no "
                "answer with a date.",
                "See that the clock is set by NTP (timedatectl says so): deadlines are off by as "
                "much as it is.",
                "howto/troubleshooting#times-are-five-hours-off",
            )
            continue
        off = timezone.now() - date
        minutes = f"{abs(off).total_seconds() / 60:.0f} minutes"
        if abs(off) <= CLOSE_ENOUGH:
            yield ok("clock", f"This machine's clock agrees with that of {url}.")
            continue
        yield Finding(
            "clock",
            Severity.ERROR if abs(off) > TOO_FAR else Severity.WARNING,
            f"This machine's clock is {minutes if abs(off) > TOO_FAR else 'some seconds'} "
            f"{'ahead of' if off > timedelta(0) else 'behind'} that of {url}: deadlines are off "
            "by as much, and PagoEfectivo may refuse the token request.",
            "Set the clock by NTP (timedatectl set-ntp true) and see that the system's time zone "
            "is what its clock shows.",
            "howto/troubleshooting#times-are-five-hours-off",
        )


def _base_url(merchant: Merchant, config: Config) -> str:
    return gateway_for(merchant, config).base_url


def _date_of(room: Room, url: str) -> datetime | None:
    """The ``Date`` of any answer, ``None`` where there is none."""
    try:
        response = room.http.head(url, timeout=TIMEOUT, allow_redirects=False)
        date = parsedate_to_datetime(response.headers.get("Date", ""))
    except (requests.RequestException, ValueError, TypeError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def check_keys(room: Room) -> Iterator[Finding]:
    """Whether PagoEfectivo takes each merchant's keys, by asking about a code of nobody's."""
    if room.offline or room.config is None:
        return
    for merchant in room.merchants:
        yield _asked(merchant, room.config)


def _asked(merchant: Merchant, config: Config) -> Finding:
    name = merchant.name
    try:
        gateway = gateway_for(merchant, config)
        gateway.states([_NOBODYS])
    except AuthenticationFailed as error:
        return _refused(name, str(error))
    except RequestRejected as error:
        if error.code == _SERVICE_INVALID:
            return _refused(name, str(error))
        # It read the question, so it took the keys; what it thinks of the code does not matter.
    except (PagoEfectivoError, ImproperlyConfigured) as error:
        return Finding(
            "far-end",
            Severity.ERROR,
            f"PagoEfectivo cannot be asked for merchant {name}: {error}",
            "See that this machine may call out to it over https, and that BASE_URL and "
            "ENVIRONMENT name the right one.",
            "howto/troubleshooting",
        )
    return ok("keys", f"PagoEfectivo takes the keys of merchant {name} at {gateway.base_url}.")


def _refused(name: str, words: str) -> Finding:
    return Finding(
        "keys",
        Severity.ERROR,
        f"PagoEfectivo does not take the keys of merchant {name}: {words}",
        "Compare SERVICE_ID, ACCESS_KEY and SECRET_KEY with PagoEfectivo's letter, and see that "
        "they are those of ENVIRONMENT: integration and production have different ones.",
        "howto/troubleshooting#a-notification-is-answered-403",
    )

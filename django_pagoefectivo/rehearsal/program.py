"""The whole rehearsal: is it safe, does the set stand, every scenario, and clearing up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.test import override_settings

from ..conf import Config, Merchant, get_config
from ..doctor import Finding, Room, Severity
from ..doctor.callback import probed
from ..doctor.configuration import check_settings
from ..doctor.examination import NO_DATABASE, run_checks
from ..doctor.storage import check_migrations
from ..exceptions import PagoEfectivoError
from ..models import Payment
from ..signals import payment_confirmed
from ..testing.hosting import APP, require_sandbox, setting_towards, urls_with_sandbox
from . import integration
from .lines import Line, Seen, Verdict
from .server import serving

#: Scenarios of the built-in sandbox: their name and where they are played, by dotted name,
#: since what they need exists only where the sandbox is installed.
SCENARIOS: tuple[tuple[str, str], ...] = (
    ("success", "notifications.success"),
    ("unpaid until expiry", "notifications.unpaid"),
    ("same notification twice", "notifications.twice"),
    ("same notification at the same instant", "notifications.at_once"),
    ("forged notification", "notifications.forged"),
    ("missing fields", "notifications.missing_fields"),
    ("wrong amount", "notifications.wrong_amount"),
    ("late payment", "notifications.late"),
    ("out of order", "notifications.out_of_order"),
    ("lost notification", "notifications.lost"),
    ("network cut before the code is made", "calls.cut_before"),
    ("network cut after the code is made", "calls.cut_after"),
    ("PagoEfectivo down", "calls.down"),
    ("a receiver that raises", "notifications.raising_receiver"),
    ("return before payment", "calls.return_before_payment"),
)
#: What must be right before anything can be tried at all.
_HOPELESS = (
    "pagoefectivo.E001",
    "pagoefectivo.E002",
    "pagoefectivo.E006",
    "pagoefectivo.E010",
    "migrations",
    NO_DATABASE,
)


class Unsafe(Exception):
    """The rehearsal would touch what is real; the message says what to do instead."""


@dataclass
class Rehearsal:
    """What to rehearse. ``patience`` is in seconds, ``make_order`` the shop's own."""

    merchant: str = "default"
    #: ``"built-in"``: the sandbox of this package; ``"sandbox"``: PagoEfectivo's integration.
    environment: str = "built-in"
    email: str = "rehearsal@example.com"
    keep: bool = False
    patience: float = 15.0
    make_order: Callable[[], Any] | None = None
    #: The scenarios of the built-in sandbox to play; empty: all of them.
    only: tuple[str, ...] = ()


def rehearse(wish: Rehearsal) -> Iterator[Line]:
    """Play every scenario and yield a line for each thing that must be true.

    Raises ``Unsafe`` before anything was done where it must not be done here.
    """
    refuse_if_unsafe(wish)
    faults = list(_preflight())
    yield from (_line_of(one) for one in faults)
    if any(one.id in _HOPELESS for one in faults):
        yield _skipped("every scenario", "nothing can be tried before the lines above are mended")
        return
    merchant = get_config().merchant(wish.merchant)
    if wish.environment == "sandbox":
        yield from integration.play(merchant, wish.email, keep=wish.keep)
    else:
        yield from _play_built_in(wish, merchant)


def refuse_if_unsafe(wish: Rehearsal) -> None:
    """Raise ``Unsafe`` with a sentence unless the rehearsal can do no harm."""
    try:
        config: Config | None = get_config()
        merchants = config.merchants() if config else ()
    except ImproperlyConfigured:
        # Nothing can be called with settings like these; the lines say so.
        return
    names = [merchant.name for merchant in merchants]
    if wish.merchant not in names:
        raise Unsafe(f'There is no merchant "{wish.merchant}"; known: {", ".join(names)}.')
    production = [merchant.name for merchant in merchants if merchant.is_production]
    if production and (wish.environment != "sandbox" or wish.merchant in production):
        raise Unsafe(
            f"Merchant {', '.join(production)} is in production: a rehearsal would mix made-up "
            "payments with real ones, and your receivers would send real goods. Rehearse on an "
            'installation like this one with ENVIRONMENT = "sandbox" and a database of its '
            "own, and ask pagoefectivo_doctor here."
        )
    if wish.environment != "sandbox":
        try:
            require_sandbox()
        except ImproperlyConfigured:
            raise Unsafe(
                f'The built-in sandbox is not installed. Add "{APP}" to INSTALLED_APPS of this '
                "installation (never of production) and migrate, or rehearse with "
                "--environment sandbox."
            ) from None


def remarks(wish: Rehearsal) -> list[str]:
    """What whoever starts it should know before."""
    names = payment_confirmed.receiver_names(Payment)
    said = []
    if wish.environment != "sandbox":
        said.append(
            "Your receivers run for real: what they send, book or write elsewhere is not taken "
            f"back. payment_confirmed is heard by {', '.join(names) or 'nobody'}."
        )
    said.append(
        "The rehearsal's payments stay (--keep)."
        if wish.keep
        else "The rehearsal's own rows are removed at the end; --keep leaves them."
    )
    return said


def _preflight() -> Iterator[Finding]:
    room = Room(offline=True)
    for finding in run_checks((check_settings, check_migrations), room):
        # The sandbox is there to rehearse with; that it must not be in production was said.
        if finding.severity is Severity.ERROR and finding.id != "pagoefectivo.E005":
            yield finding


def _play_built_in(wish: Rehearsal, merchant: Merchant) -> Iterator[Line]:
    # Its models exist only where the sandbox is installed.
    from . import calls, notifications  # noqa: PLC0415
    from .stage import Stage  # noqa: PLC0415

    homes = {"calls": calls, "notifications": notifications}
    options = get_config().options_of(merchant.name)
    with ExitStack() as stack:
        stack.enter_context(override_settings(ROOT_URLCONF=urls_with_sandbox()))
        url = stack.enter_context(serving(options))
        stack.enter_context(override_settings(PAGOEFECTIVO=setting_towards(url)))
        stage = Stage(merchant, url, wish.email, wish.patience, wish.make_order)
        stack.callback(stage.close)
        if not wish.keep:
            stack.callback(stage.remove)
        finding = probed(stage.http, merchant, stage.webhook_url)
        yield _line_of(finding)
        for name, where in SCENARIOS:
            if wish.only and name not in wish.only:
                continue
            home, _, function = where.partition(".")
            yield from _played(name, getattr(homes[home], function), stage)


def _played(name: str, play: Callable[[Any], Iterator[Seen]], stage: Any) -> Iterator[Line]:
    """The lines of one scenario; what breaks it off is a line too."""
    try:
        for seen in play(stage):
            yield seen.line(name)
    except (PagoEfectivoError, ImproperlyConfigured, DatabaseError) as error:
        yield _broken_off(name, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - the shop's own code runs in it
        # Its text may hold anything of the shop's.
        yield _broken_off(name, type(error).__name__)


def _broken_off(name: str, words: str) -> Line:
    return Line(
        name,
        "it was played",
        "it comes to its end",
        f"it broke off: {words}",
        Verdict.FAILED,
        "Mend what it says; if it comes from --orders, the function that makes the orders.",
    )


def _line_of(finding: Finding) -> Line:
    right = finding.severity in (Severity.OK, Severity.ADVICE)
    return Line(
        "before it begins",
        "the settings and the way to the webhook are looked at",
        "notifications arrive, and payments can be made",
        finding.sentence,
        Verdict.PASSED if right else Verdict.FAILED,
        "" if right else f"{finding.mend} ({finding.link})",
    )


def _skipped(name: str, why: str) -> Line:
    return Line(name, "it was not played", "it comes to its end", why, Verdict.SKIPPED)

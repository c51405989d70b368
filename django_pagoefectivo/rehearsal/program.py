"""The whole rehearsal: is it safe, does the set stand, every scenario, and clearing up."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.test import override_settings

from ..conf import Merchant, get_config
from ..doctor.callback import probed
from ..exceptions import PagoEfectivoError
from ..logs import logger_for
from ..models import Payment
from ..signals import payment_confirmed
from ..testing.hosting import setting_towards
from . import integration
from .limits import limited
from .lines import Line, Seen, Verdict, not_played, skipped, text_of
from .preflight import Obstacle, line_of, look
from .safety import merchant_of, safe_setting
from .server import far_end, serving, shop, without_proxy
from .wishes import Rehearsal

logger = logger_for("django_pagoefectivo.rehearsal")

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
_FIRST_MEND = "nothing can be tried before the lines above are mended"


def rehearse(wish: Rehearsal) -> Iterator[Line]:
    """Play every scenario and yield a line for each thing that must be true.

    Where nothing can be played the last line says so, with ``Verdict.ERROR``. Raises
    ``Unsafe`` before anything was done where it must not be done here.
    """
    setting = safe_setting(wish)
    with ExitStack() as stack:
        if setting is not None:
            stack.enter_context(override_settings(PAGOEFECTIVO=setting))
        lines, can_be_played = look()
        yield from lines
        if not can_be_played:
            yield not_played(_FIRST_MEND)
            return
        merchant = merchant_of(wish)
        if wish.is_built_in:
            play = _play_built_in(wish, merchant)
        else:
            play = integration.play(merchant, wish.email, keep=wish.keep)
        try:
            yield from limited(play)
        except Exception as error:
            logger.debug("The rehearsal broke off", exc_info=True)
            yield not_played(
                f"the rehearsal itself broke off with {text_of(error)}; at the level DEBUG the "
                f"logger {logger.name} says where"
            )


def remarks(wish: Rehearsal) -> list[str]:
    """What whoever starts it should know before."""
    names = payment_confirmed.receiver_names(Payment)
    said = []
    if wish.is_built_in:
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


def _play_built_in(wish: Rehearsal, merchant: Merchant) -> Generator[Line, None, None]:
    # Its models exist only where the sandbox is installed.
    from .clearing import clear_up  # noqa: PLC0415

    at_end: list[Line] = []
    with ExitStack() as stack:
        try:
            stage = _set(stack, wish, merchant)
        except Obstacle as obstacle:
            yield obstacle.line()
            yield not_played(_FIRST_MEND)
            return
        stack.callback(lambda: at_end.extend(clear_up(stage, keep=wish.keep)))
        yield line_of(probed(stage.http, merchant, stage.webhook_url))
        yield from _scenarios(wish, stage)
    yield from at_end


def _set(stack: ExitStack, wish: Rehearsal, merchant: Merchant) -> Any:
    """The stage, with its servers; raises ``Obstacle`` where it cannot be set."""
    from .stage import Stage, refuse_armed_faults  # noqa: PLC0415

    refuse_armed_faults()
    url = stack.enter_context(serving(shop(get_config().options_of(merchant.name))))
    stage = Stage(merchant, url, wish.email, wish.patience, wish.make_order)
    stack.enter_context(without_proxy())
    pagoefectivo = stack.enter_context(serving(far_end(stage.mark)))
    setting = setting_towards(f"{pagoefectivo}/{stage.mark}/")
    stack.enter_context(override_settings(PAGOEFECTIVO=setting))
    return stage


def _scenarios(wish: Rehearsal, stage: Any) -> Iterator[Line]:
    from . import calls, notifications  # noqa: PLC0415

    homes = {"calls": calls, "notifications": notifications}
    worker_was_missing = False
    for name, where in SCENARIOS:
        if wish.only and name not in wish.only:
            continue
        if stage.hanging:
            yield skipped(name, "it would wait for the receiver that does not come back")
            continue
        home, _, function = where.partition(".")
        yield from _played(name, getattr(homes[home], function), stage)
        if stage.hanging:
            yield _never_back(stage.hanging).line(name)
        if stage.worker_is_missing and not worker_was_missing:
            worker_was_missing = True
            yield _no_worker(stage.patience).line(name)


def _played(name: str, play: Callable[[Any], Iterator[Seen]], stage: Any) -> Iterator[Line]:
    """The lines of one scenario; what breaks it off is a line too."""
    try:
        for seen in play(stage):
            yield seen.line(name)
    except (PagoEfectivoError, ImproperlyConfigured, DatabaseError) as error:
        yield _broken_off(name, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - the shop's own code runs in it
        # Its text may hold anything of the shop's.
        yield _broken_off(name, text_of(error))


def _broken_off(name: str, words: str) -> Line:
    return Line(
        name,
        "it was played",
        "it comes to its end",
        f"it broke off: {words}",
        Verdict.FAILED,
        "Mend what it says; if it comes from --orders, the function that makes the orders.",
    )


def _never_back(words: str) -> Seen:
    return Seen(
        "the shop's receivers are called",
        "each comes back in time",
        words,
        passed=False,
        mend="A receiver must come back at once, or PagoEfectivo waits for its answer: let it "
        "hand long work to a queue, and give every call over the network a timeout.",
    )


def _no_worker(patience: float) -> Seen:
    return Seen(
        "the calls of receivers are left to the delivery worker",
        f"it makes them within {patience:g} seconds",
        "nobody made them; the rehearsal does so itself from here on",
        passed=False,
        mend="Run manage.py pagoefectivo_deliver --loop as a service, or with "
        'SIGNAL_DELIVERY = "celery" or "tasks" a worker of that queue.',
    )

"""Merchants that come from elsewhere: ``MERCHANTS`` as a callable or its dotted path.

What it gave is kept for ``MERCHANTS_MAX_AGE`` in each process. While the callable fails the
last answer goes on being used: a vault that is away for an hour must not cost a
notification, of which PagoEfectivo sends just two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ..exceptions import MerchantsUnavailable
from ..logs import logger_for

logger = logger_for("django_pagoefectivo.conf")

#: Seconds before a callable that failed, or lacked a key or a name, is asked again.
ASK_AGAIN_AFTER = 5.0

Source = Callable[[], Mapping[str, Any]]


@dataclass(slots=True)
class _Answer:
    """What a source gave, when, and when it was last asked."""

    source: Source
    merchants: Mapping[str, Any]
    given_at: float
    asked_at: float


class _Kept:
    """The last answer of this process's source."""

    answer: _Answer | None = None


def is_elsewhere(setting: object) -> bool:
    """Whether ``MERCHANTS`` is no dict of merchants but says where they come from."""
    return callable(setting) or (isinstance(setting, str) and "." in setting)


def source_of(setting: object) -> Source:
    """The callable that ``MERCHANTS`` is or names. Raises ``ImproperlyConfigured``."""
    found: Any = setting
    if isinstance(setting, str):
        try:
            found = import_string(setting)
        except (ImportError, ValueError) as error:
            raise ImproperlyConfigured(
                f'PAGOEFECTIVO["MERCHANTS"] is {setting!r}, which cannot be imported: {error}.'
            ) from None
    if not callable(found):
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO["MERCHANTS"] is {setting!r}, which is not callable. Give a dict of '
            "merchants, or a callable without arguments that returns one."
        )
    source: Source = found
    return source


def read(setting: object, max_age: float) -> Mapping[str, Any]:
    """What the source gives, at most ``max_age`` seconds old unless it fails.

    Raises ``MerchantsUnavailable`` if it fails and never answered before.
    """
    source = source_of(setting)
    now = time.monotonic()
    kept = _Kept.answer
    if kept is not None and kept.source != source:
        kept = None
    if kept is not None and (
        now - kept.given_at < max_age
        # It failed a moment ago: nobody waits for its timeout again so soon.
        or (kept.asked_at > kept.given_at and now - kept.asked_at < ASK_AGAIN_AFTER)
    ):
        return kept.merchants
    try:
        merchants = _called(source)
    except Exception as error:  # noqa: BLE001
        # Whatever a database or a vault raises. Its text may show a key or a password.
        logger.error(  # noqa: TRY400
            "The callable in PAGOEFECTIVO['MERCHANTS'] failed (%s)%s",
            type(error).__name__,
            "" if kept is None else "; the merchants it gave before stay in force",
        )
        if kept is None:
            raise MerchantsUnavailable(
                'The callable in PAGOEFECTIVO["MERCHANTS"] failed '
                f"({type(error).__name__}), so no merchant is known."
            ) from None
        kept.asked_at = now
        return kept.merchants
    _Kept.answer = _Answer(source, merchants, now, now)
    return merchants


def _called(source: Callable[[], object]) -> Mapping[str, Any]:
    answer = source()
    if not isinstance(answer, Mapping):
        # Not just dict(): a list of pairs is no answer.
        raise TypeError(f"it returned {type(answer).__name__}, no dict")
    return answer


def forget_merchants(**kwargs: Any) -> None:
    """Have the callable in ``MERCHANTS`` asked again at its next use in this process.

    Call it, or connect it to ``post_save``, where a merchant is edited.
    """
    _Kept.answer = None


def _on_setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting == "PAGOEFECTIVO":
        forget_merchants()


setting_changed.connect(_on_setting_changed, dispatch_uid="django_pagoefectivo.conf.sources")

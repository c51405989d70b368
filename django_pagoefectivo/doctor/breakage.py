"""What to say of a check that broke off: the error as far as it may be shown, and where."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from .findings import Finding, Severity

#: Code that is nobody's to mend here: Python's, what is installed, and this package's.
_NOT_THE_SHOPS = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    str(Path(__file__).resolve().parents[1]),
    "<",
)


def broke_off(check: str, error: Exception) -> Finding:
    """The finding that ``check`` raised ``error``, which leaves unknown what it looks for."""
    return Finding(
        "doctor",
        Severity.ERROR,
        f"The check {check} broke off with {_words_of(error)}{_place_of(error)}, so what it "
        "looks for is not known.",
        f"{_mend_of(error)} Then run the doctor again.",
    )


def _words_of(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f'{name}: there is no module "{error.name}"'
    if isinstance(error, ImportError):
        return f"{name}: {error}"
    # The text of any other may show a key, a line of the settings or an address with a password.
    return name


def _mend_of(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f'Install "{error.name}" in the environment that the doctor runs in, or correct the '
            "name where it is imported or where a setting names it (MIDDLEWARE, ROOT_URLCONF, …)."
        )
    if isinstance(error, ImportError):
        return "Correct the import, or the setting that names it (MIDDLEWARE, ROOT_URLCONF, …)."
    return "Mend what raises it: manage.py check, or a request to the shop, shows the whole error."


def _place_of(error: Exception) -> str:
    """The innermost line of the shop's own, ``""`` if the error passed none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" in {error.filename}, line {error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(_NOT_THE_SHOPS):
            return f" in {frame.filename}, line {frame.lineno}"
    return ""

"""The report's own way out: what the shop prints meanwhile must not get into it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import TextIO

_STDOUT, _STDERR = 1, 2


class Output:
    """Writes text to a stream whose reader may go away, as ``head`` does."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._reader_is_gone = False

    @property
    def is_unicode(self) -> bool:
        """Whether every character can be written as it is."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig")

    def write(self, text: str) -> None:
        """Write a line."""
        if self._reader_is_gone:
            return
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except BrokenPipeError:
            # The rehearsal goes on: its status, its JUnit report and clearing up are wanted.
            self._reader_is_gone = True


@contextmanager
def kept_apart(given: TextIO | None = None) -> Iterator[Output]:
    """Where the report goes: to ``given``, or to standard output.

    Whatever else is printed in the block, by receivers or by a handler of the log, goes to
    standard error.
    """
    with ExitStack() as stack:
        stream = given or _standard_output(stack)
        stack.enter_context(redirect_stdout(sys.stderr))
        yield Output(stream)


def _standard_output(stack: ExitStack) -> TextIO:
    """A stream of the report's own to standard output, which leads elsewhere meanwhile.

    By its descriptor, since a handler of the log may hold the stream itself.
    """
    before = sys.stdout
    try:
        before.flush()
        if before.fileno() != _STDOUT:
            return before
        kept = os.dup(_STDOUT)
        os.dup2(_STDERR, _STDOUT)
    except (OSError, ValueError):
        # It is no file, or there is no standard error.
        return before

    def restore() -> None:
        with suppress(OSError, ValueError):
            before.flush()
        os.dup2(kept, _STDOUT)
        with suppress(BrokenPipeError):
            stream.close()

    # What its encoding cannot say must not end the rehearsal.
    stream = os.fdopen(kept, "w", encoding=before.encoding, errors="backslashreplace")
    stack.callback(restore)
    return stream

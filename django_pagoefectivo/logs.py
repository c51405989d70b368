"""The app's loggers: whatever a record holds, it stays on its line."""

from __future__ import annotations

import logging


def one_line(text: str) -> str:
    """``text`` with its line breaks and all else that does not print as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def logger_for(name: str) -> logging.Logger:
    """The logger called ``name``; a traceback below the line stays as it is."""
    logger = logging.getLogger(name)
    logger.addFilter(_ON_ITS_LINE)
    return logger


class _OnItsLine(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001
            # Handlers report that, and raise nothing to whoever only wanted to log.
            return True
        # Only then, since collectors group records by what they were before formatting.
        if not message.isprintable():
            record.msg, record.args = one_line(message), None
        return True


_ON_ITS_LINE = _OnItsLine()

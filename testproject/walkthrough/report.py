"""What the demo prints: numbered steps, each with what happened and what to look at."""

from __future__ import annotations

import textwrap


class Deviation(Exception):
    """Something is not as it should be; the message is a sentence for a person."""


def expect(condition: object, sentence: str) -> None:
    """Raise ``Deviation`` with ``sentence`` unless ``condition`` holds."""
    if not condition:
        raise Deviation(sentence)


class Report:
    """Prints the steps as they are done."""

    def __init__(self) -> None:
        self._steps = 0

    def step(self, title: str, happened: str, look_at: str = "") -> None:
        """One step that went as it should."""
        self._steps += 1
        print(f"{self._steps:>2}. {title}")
        print(textwrap.indent(textwrap.fill(happened, 84, break_on_hyphens=False), " " * 4))
        if look_at:
            print(f"    → {look_at}")
        print(flush=True)

    def end(self, seconds: float) -> None:
        """All of it went as it should."""
        print(f"Done in {seconds:.1f} s: {self._steps} steps, all as they should be.")

    def failed(self, sentence: str, server_log: str) -> None:
        """It ended here."""
        print(f"\nThe demo failed after step {self._steps}: {sentence}")
        if server_log:
            print(f"The end of the server's log:\n{server_log}")

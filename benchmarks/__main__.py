"""Run every measurement in turn: ``python -m benchmarks``, or ``make bench``.

Half an hour on two cores. ``--short`` takes fewer rounds and rows, to see that all of it works.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

#: Each command with its options for a short run.
COMMANDS = {
    "notifications": ["--rounds", "2", "--each", "40"],
    "calls": ["--creates", "20", "--polled", "1000", "--delivered", "100"],
    "statements": ["--lines", "2000", "--lines", "20000", "--rounds", "1"],
    "flood": ["--forged", "1000", "--genuine", "1000"],
    "screens": ["--payments", "50000", "--rounds", "3"],
}


def main() -> int:
    """Run them; 1 if one of them found its bounds broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    failed = []
    for name, short in COMMANDS.items():
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *(short if options.short else [])]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print("Every bound holds." if not failed else f"Broken: {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python
"""Play a whole purchase over real HTTP: ``make demo``, or ``python testproject/demo.py``.

In a database of its own, on a free port of the loopback address, against the built-in
sandbox. Each step is printed with what happened and what to look at, and checked: the first
thing that is not as it should be ends the demo with exit code 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import django
import requests
from django.core.management import call_command
from walkthrough.report import Deviation, Report
from walkthrough.server import ServerFailed, free_port, log_end, running

#: Longer than a purchase takes on the slowest machine; then the server ends by itself.
LIMIT = 120


def play(*, keep: bool) -> None:
    """Set everything up, play the purchase and take everything down again."""
    began = time.monotonic()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="pagoefectivo-demo-") as directory:
        folder = Path(directory)
        home = _set_up(folder)
        from walkthrough.purchase import play_purchase  # noqa: PLC0415 - not before set-up

        log = folder / "server.log"
        try:
            port = int(home.rpartition(":")[2])
            with running(port, os.environ, log, limit=0 if keep else LIMIT):
                play_purchase(home, report)
                report.end(time.monotonic() - began)
                if keep:
                    _wait_at(home)
        except (Deviation, requests.RequestException) as deviation:
            report.failed(str(deviation), log_end(log))
            sys.exit(1)
        except ServerFailed as error:
            report.failed(str(error), "")
            sys.exit(1)


def _set_up(folder: Path) -> str:
    """A new database and the addresses of this run in the environment; the shop's address."""
    home = f"http://127.0.0.1:{free_port()}"
    # The demo plays with made-up money whatever this machine is set up for.
    for name in [name for name in os.environ if name.startswith(("PAGOEFECTIVO_", "SECURE_"))]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ENV_FILE": os.devnull,
        "DATABASE_URL": f"sqlite:///{folder / 'demo.sqlite3'}",
        "CACHE_URL": "locmemcache://",
        "SHOP_URL": home,
        "DEBUG": "on",
        "ALLOWED_HOSTS": "127.0.0.1",
        # The shop and the sandbox call each other on this machine, past any proxy.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    django.setup()
    call_command("migrate", verbosity=0)
    return home


def _wait_at(home: str) -> None:
    from walkthrough.accounts import NAME, make_staff_account  # noqa: PLC0415 - as above

    make_staff_account()
    print(f"The staff's account is {NAME}, its password too.")
    print(f"The shop stays at {home}/ until Ctrl-C.", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def main() -> None:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(description="Play a whole purchase over real HTTP.")
    parser.add_argument("--keep", action="store_true", help="leave the shop running to look around")
    options = parser.parse_args()
    # Ended from outside, it still takes its server and its folder away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    play(keep=options.keep)


if __name__ == "__main__":
    main()

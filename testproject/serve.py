#!/usr/bin/env python
"""Serve the shop for the browser: ``make shop``, or ``python testproject/serve.py``.

Migrates, makes a staff account where there is none and ``DEBUG`` is on, and serves on the
loopback address. PagoEfectivo is played by the sandbox on the same server.
"""

from __future__ import annotations

import argparse
import os

import django
from django.core.management import call_command


def prepare(url: str) -> None:
    """Bring the database up to date and say where everything is."""
    from django.conf import settings  # noqa: PLC0415 - not before django.setup()
    from walkthrough.accounts import NAME, make_staff_account  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    print(f"The shop       {url}/")
    print(f"By API alone   {url}/headless/")
    print(f"Its staff      {url}/admin/")
    if make_staff_account():
        print(f"               new account: user {NAME}, password {NAME}")
    if settings.USES_BUILT_IN_SANDBOX:
        print(f"PagoEfectivo   {url}/sandbox/ (the built-in sandbox: no real money)")
    print("Overdue codes  expire when manage.py pagoefectivo_poll runs")
    print("Ctrl-C ends it.\n", flush=True)


def main() -> None:
    """Prepare once and serve; the reloader starts this script again for each change."""
    parser = argparse.ArgumentParser(description="Serve the example shop on this machine.")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    parser.add_argument(
        "--noreload", action="store_true", help="do not restart when a source file changes"
    )
    options = parser.parse_args()
    url = f"http://127.0.0.1:{options.port}"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("SHOP_URL", url)
    django.setup()
    # The reloader's child finds everything prepared.
    if "RUN_MAIN" not in os.environ:
        prepare(url)
    call_command("runserver", f"127.0.0.1:{options.port}", use_reloader=not options.noreload)


if __name__ == "__main__":
    main()

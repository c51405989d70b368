"""A process of its own that can be killed: ``python -m tests.promises.child COMMAND …``.

Its receivers write a line to the file ``TOLD`` each time they are called. Also the WSGI
application of the tests that kill a server.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402

from django_pagoefectivo import signals  # noqa: E402
from django_pagoefectivo.services import delivery  # noqa: E402

from .kit import post  # noqa: E402

settings.ROOT_URLCONF = "tests.promises.urls"
settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, **json.loads(os.environ.get("CHANGED", "{}"))}


def tell(name: str) -> None:
    """One line a call, appended whole."""
    file = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{name} {os.getpid()}\n".encode())
    os.close(file)


def _receiver(name: str, how: str) -> Any:
    def receive(sender: Any, payment: Any, **kwargs: Any) -> None:
        assert payment.status == "paid"
        tell(name)
        if how == "exit":
            os._exit(7)
        if how == "sleep" and not Path(os.environ["TOLD"] + ".wake").exists():
            time.sleep(60)
        if how == "raise":
            raise ValueError(f"{name} does not work")

    return receive


# "a:ok,b:sleep": the receivers of payment_confirmed, in the order they are connected.
for _pair in filter(None, os.environ.get("RECEIVERS", "a:ok").split(",")):
    _name, _, _how = _pair.partition(":")
    signals.payment_confirmed.connect(
        _receiver(_name, _how), weak=False, dispatch_uid=f"child.{_name}"
    )

application = get_wsgi_application()


def _die(*args: Any, **kwargs: Any) -> NoReturn:
    os._exit(9)


def _die_uncommitted(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Die when all is written and nothing committed; what is one statement is not sent."""
    if sql.startswith("WITH"):
        os._exit(9)
    result = execute(sql, params, many, context)
    if sql.startswith("INSERT") and "signaldelivery" in sql:
        os._exit(9)
    return result


def main(command: str, *arguments: str) -> None:
    """Run one command."""
    if command == "notify":
        body, when = arguments
        if when == "after commit":
            delivery._deliver_claimed = _die
        elif when == "before commit":
            connection.execute_wrappers.append(_die_uncommitted)
        elif when == "before bookkeeping":
            delivery._mine = _die
        print(post(body.encode()).status_code)  # noqa: T201
    else:
        call_command(command, *arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])

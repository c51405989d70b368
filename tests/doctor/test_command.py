"""``manage.py pagoefectivo_doctor``: what it writes and how it ends."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command, load_command_class

from django_pagoefectivo.models import SignalDelivery
from django_pagoefectivo.testing.factories import SignalDeliveryFactory


def run(*arguments: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("pagoefectivo_doctor", "--offline", *arguments, stdout=out)
    except SystemExit as end:
        return out.getvalue(), int(end.code or 0)
    return out.getvalue(), 0


@pytest.fixture
def _overdue(db: None, _known_receiver: None) -> None:
    from datetime import timedelta

    from django.utils import timezone

    SignalDeliveryFactory.create(due_at=timezone.now() - timedelta(hours=1))


@pytest.mark.django_db(transaction=True)
def test_ready(settings: Any) -> None:
    text, status = run()
    assert status == 0, text
    assert "OK      Every migration has been run." in text
    assert "0 to be mended" in text
    assert run("--fail-on", "warning")[1] == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_overdue")
def test_not_ready_says_what_to_do_and_where_to_read() -> None:
    text, status = run()
    assert status == 1
    assert "ERROR   1 calls of receivers are overdue" in text
    assert "To mend it: Run manage.py pagoefectivo_deliver every minute" in text
    assert "docs/howto/troubleshooting.rst" in text or "troubleshooting.html" in text
    assert "[delivery]" in text
    assert max(map(len, text.splitlines())) <= 120
    assert SignalDelivery.objects.get().attempts == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_overdue")
def test_json_is_for_machines() -> None:
    text, status = run("--format", "json")
    data = json.loads(text)
    assert (status, data["ready"]) == (1, False)
    (found,) = [one for one in data["findings"] if one["id"] == "delivery"]
    assert set(found) == {"id", "severity", "sentence", "mend", "page", "link"}
    assert found["severity"] == "error"


@pytest.mark.django_db(transaction=True)
def test_quiet_leaves_out_what_is_fine() -> None:
    assert "OK  " not in run("-v", "0")[0]


@pytest.mark.django_db
def test_arguments_are_checked() -> None:
    with pytest.raises(CommandError, match=r'no merchant "usd"; known: default') as caught:
        run("--merchant", "usd")
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="is no address"):
        run("--url", "shop.example")
    assert "default" in run("--merchant", "default")[0]


def test_help_tells_what_it_does() -> None:
    command: Any = load_command_class("django_pagoefectivo", "pagoefectivo_doctor")
    text = " ".join(command.create_parser("manage.py", "pagoefectivo_doctor").format_help().split())
    for words in ("changes nothing", "Exits with 1", "--as-production", "--offline", "--fail-on"):
        assert words in text

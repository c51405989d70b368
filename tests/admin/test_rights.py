"""Every address of the staff's screens, and who may look and act there.

The addresses and acts are taken from the admin itself: one without a rule fails.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_pagoefectivo.models import (
    ApiExchange,
    BulkJob,
    Payment,
    SignalDelivery,
    Statement,
    StatementLine,
    WebhookEvent,
)
from django_pagoefectivo.services import jobs, staff, statements
from django_pagoefectivo.testing import make_payment

from .conftest import Pago, make_event, make_failing, make_flagged, make_mismatch
from .test_payment_bulk import lima_input

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.once]
LOOK = (
    *("view_payment", "view_webhookevent", "view_signaldelivery"),
    *("view_apiexchange", "view_statement", "view_bulkjob", "view_statementline"),
)
RIGHTS: dict[str, tuple[str, ...]] = {
    "outsider": (),
    "viewer": LOOK,
    "privy": (*LOOK, "view_personal_data", "export_personal_data"),
    "clerk": (*LOOK, "reconcile_payment"),
    "boss": (*LOOK, "reconcile_payment", "confirm_payment"),
    # Rights to act without the right to look.
    "blind": ("reconcile_payment", "confirm_payment", "export_personal_data"),
    # Rights that Django offers and these screens do not heed.
    "editor": tuple(
        f"{verb}_{model}"
        for verb in ("add", "change", "delete")
        for model in ("payment", "webhookevent", "signaldelivery", "statement", "bulkjob")
    ),
}
SEERS = {"viewer", "privy", "clerk", "boss"}
CLERKS = {"clerk", "boss"}
NOBODY: set[str] = set()


@dataclass(frozen=True)
class Rule:
    """Who may look at an address and who may change something by posting to it."""

    see: set[str]
    change: set[str]


READ = Rule(SEERS, NOBODY)
#: Django shows a row to those who could change it elsewhere.
SHOWN = Rule({*SEERS, "editor"}, NOBODY)
ACT = Rule(CLERKS, CLERKS)
NEVER = Rule(NOBODY, NOBODY)
#: By the name of the URL, and for acts and actions by their own name.
RULES: dict[str, Rule] = {
    **{
        f"{model}_{page}": SHOWN
        for model in ("payment", "webhookevent", "signaldelivery")
        for page in ("changelist", "change", "history")
    },
    **{
        f"{model}_{page}": READ
        for model in ("apiexchange", "statement", "statementline", "bulkjob")
        for page in ("changelist", "change", "history")
    },
    **{
        f"{model}_{page}": NEVER
        for model in (
            *("payment", "webhookevent", "signaldelivery", "apiexchange"),
            *("statement", "statementline", "bulkjob"),
        )
        for page in ("add", "delete")
    },
    "payment_inbox": SHOWN,
    "dashboard": SHOWN,
    "bulkjob_progress": READ,
    "statement_totals": READ,
    "statement_missing": READ,
    "statement_export": READ,
    "statement_import": ACT,
    "statement_reconcile": ACT,
    "payment_act:accept-amount": Rule({"boss"}, {"boss"}),
    "payment_act:confirm": Rule({"boss"}, {"boss"}),
    **{
        f"payment_act:{act}": ACT
        for act in ("give-up", "settle", "sync", "extend", "reconcile", "note", "cancel")
    },
    "webhookevent_act:link": ACT,
    "webhookevent_act:dismiss": ACT,
    "signaldelivery_act:retry": ACT,
    "statementline_act:ask": ACT,
    "statementline_act:link": ACT,
    "statementline_act:discard": ACT,
    "bulkjob_act:stop": ACT,
    "bulkjob_act:resume": ACT,
    **{
        f"payment_action:{action}": ACT
        for action in ("sync_payments", "extend_payments", "cancel_payments", "mark_reconciled")
    },
    # Exports change nothing; what they leave out is tested with them.
    "payment_action:export_rows": SHOWN,
    "webhookevent_action:export_rows": SHOWN,
}


@dataclass(frozen=True)
class Address:
    """One thing that can be asked of the admin."""

    name: str
    url_name: str
    act: str = ""
    action: str = ""

    def __str__(self) -> str:
        return self.name


def addresses() -> Iterator[Address]:
    """Everything under the app's screens, as the admin itself has it."""
    admin.autodiscover()
    for model, screen in admin.site._registry.items():
        if model._meta.app_label != "pagoefectivo":
            continue
        for pattern in screen.get_urls():
            if pattern.name is None:
                continue  # Django's redirect from a row's bare id
            short = pattern.name.removeprefix("pagoefectivo_")
            if short.endswith("_act"):
                for act in screen.acts:  # type: ignore[attr-defined]
                    yield Address(f"{short}:{act.name}", pattern.name, act=act.name)
            else:
                yield Address(short, pattern.name)
        for action in screen.actions or ():
            called = action if isinstance(action, str) else action.__name__
            name = f"{model._meta.model_name}_action:{called}"
            listed = f"pagoefectivo_{model._meta.model_name}_changelist"
            yield Address(name, listed, action=called)


ALL = {address.name: address for address in addresses()}


def login(role: str) -> Client:
    user, _ = User.objects.get_or_create(username=role, defaults={"is_staff": True})
    wanted = Permission.objects.filter(
        codename__in=RIGHTS[role], content_type__app_label="pagoefectivo"
    )
    assert wanted.count() == len(RIGHTS[role])
    user.user_permissions.set(wanted)
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return client


def everything() -> dict[str, list[Any]]:
    """All rows of the app, and what Django's log has."""
    models: list[type[Model]] = [*apps.get_app_config("pagoefectivo").get_models(), LogEntry]
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values_list())
        for model in models
    }


# -- rows for which something makes sense ----------------------------------------------------


def _payment(address: Address) -> Payment:
    if address.name == "payment_act:give-up":
        return make_flagged("outcome_unknown", "created")
    if address.name in ("payment_act:accept-amount", "payment_act:settle"):
        return make_mismatch()[0]
    if address.name in ("payment_act:reconcile", "payment_action:mark_reconciled"):
        return make_payment("paid")
    return make_payment()


def _statement() -> Statement:
    paid = make_payment("paid", cip="1001")
    rows = f"CIP;Monto;Moneda;Fecha de pago\n1001;{paid.amount};PEN;10/11/2026\n999;5.00;PEN;\n"
    file = io.BytesIO(rows.encode())
    return statements.import_statement(file, file_name="r.csv", merchant="default")


def _line(address: Address) -> StatementLine:
    if address.act == "ask":
        pending = make_payment(cip="999", amount="5.00")
        line = _statement().lines.get(cip="999")
        assert line.payment == pending
        return line
    return _statement().lines.get(cip="999")


def _job(address: Address) -> BulkJob:
    make_payment("paid")
    user, _ = User.objects.get_or_create(username="clerk", defaults={"is_staff": True})
    job = jobs.make_job("reconcile", Payment.objects.all(), user=user)
    if address.act == "resume":
        jobs.stop(job)
    return job


ROW_OF: dict[str, Callable[[Address], Any]] = {
    "payment": _payment,
    "webhookevent": lambda _: make_event(),
    "signaldelivery": lambda _: make_failing(),
    "apiexchange": lambda _: ApiExchange.objects.create(merchant="default", operation="search"),
    "statement": lambda _: _statement(),
    "statementline": _line,
    "bulkjob": _job,
    "dashboard": lambda _: make_payment(),
}


def posted(address: Address, row: Any) -> dict[str, Any]:
    """Enough for every form and every confirmation page."""
    data: dict[str, Any] = {
        "note": "Seen.",
        "reason": "Seen.",
        "amount": "22.05",
        "kind": "csv",
        "merchant": "default",
        "expires_at": lima_input(timezone.now() + timedelta(days=2)),
        "payment": make_payment().transaction_code,
        "post": "yes",
        "confirmed": "yes",
        "file": SimpleUploadedFile("x.csv", b"CIP;Monto\n1;1.00\n"),
    }
    if isinstance(row, Payment):
        event = staff.mismatch_of(row)
        data |= {"seen": staff.seen_key(row), "event": event.pk if event else ""}
    if address.action:
        data |= {"action": address.action, "_selected_action": row.pk, "pks": str(row.pk)}
    return data


def url_of(address: Address, row: Any) -> str:
    name = f"admin:{address.url_name}"
    if address.act:
        return reverse(name, args=[row.pk, address.act])
    kind = address.name.rpartition("_")[2]
    if address.action or kind in ("changelist", "add", "inbox", "dashboard", "import"):
        return reverse(name)
    return reverse(name, args=[row.pk])


def row_for(address: Address) -> Any:
    return ROW_OF[address.name.partition("_")[0].partition(":")[0]](address)


def knows(pago: Pago) -> None:
    for payment in Payment.objects.exclude(cip=None):
        pago.knows(payment)


# -- the tests -------------------------------------------------------------------------------


def test_every_address_and_act_has_a_rule_and_every_rule_an_address() -> None:
    assert set(ALL) == set(RULES)


@pytest.mark.parametrize("name", sorted(name for name in ALL if not ALL[name].action))
def test_who_may_look(name: str, pago: Pago) -> None:
    address, rule = ALL[name], RULES[name]
    row = row_for(address)
    knows(pago)
    url = url_of(address, row)
    clients = {role: login(role) for role in RIGHTS}
    before = everything()
    for role, client in clients.items():
        answer = client.get(url)
        seen = answer.status_code in (200, 302)
        assert seen == (role in rule.see), (role, answer.status_code)
        assert answer.status_code in (200, 302, 403)
    assert "login" in Client().get(url)["Location"]
    assert everything() == before
    assert not pago.calls


@pytest.mark.parametrize("name", sorted(ALL))
def test_who_may_change_something(name: str, pago: Pago) -> None:
    """The wrong people change nothing whatever they post; the right ones do with the same."""
    address, rule = ALL[name], RULES[name]
    row = row_for(address)
    data = posted(address, row)
    knows(pago)
    url = url_of(address, row)
    clients = {role: login(role) for role in RIGHTS}
    before = everything()

    def post(client: Client) -> int:
        if (file := data.get("file")) is not None:
            file.seek(0)
        answer = client.post(url, data)
        if answer.streaming:
            answer.getvalue()
        return answer.status_code

    for role in RIGHTS.keys() - rule.change:
        status = post(clients[role])
        after = everything()
        if "export" in name and role in rule.see:
            after["admin.LogEntry"] = before["admin.LogEntry"]
            LogEntry.objects.all().delete()
        assert after == before, (role, status)
        assert not pago.calls, role
    assert "login" in Client().post(url, data)["Location"]
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="boss"))
    assert post(strict) in (403, 405)
    assert everything() == before
    if not rule.change:
        return
    # The first who may is one of them, not a superuser.
    allowed = max(rule.change)
    if name == "statement_import":
        data["file"].seek(0)
        token = clients[allowed].post(url, data).context["page"].upload.token
        data = {"token": token, "do": "import"}
    assert post(clients[allowed]) in (200, 302)
    assert everything() != before


def test_rows_that_are_not_there_are_told_only_to_those_who_may_look() -> None:
    viewer, outsider = login("viewer"), login("outsider")
    for model in (Payment, WebhookEvent, SignalDelivery, ApiExchange, Statement, BulkJob):
        url = reverse(f"admin:pagoefectivo_{model._meta.model_name}_change", args=[987654])
        assert viewer.get(url).status_code in (302, 404)
        assert outsider.get(url).status_code == 403


@pytest.mark.parametrize("number", ["²", "٣²", "0", "9" * 40, "-1", "1.5", "x"])
@pytest.mark.parametrize("model", ["payment", "bulkjob", "statement"])
def test_an_address_that_names_no_row(admin_client: Client, model: str, number: str) -> None:
    answer = admin_client.get(f"/admin/pagoefectivo/{model}/{number}/change/")
    assert answer.status_code == 404

"""The probe: who can ask and answer, and what became of it on its way."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import signing
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings

from django_pagoefectivo.conf import get_config
from django_pagoefectivo.doctor import Severity
from django_pagoefectivo.gateways.signing import sign
from django_pagoefectivo.models import WebhookEvent
from django_pagoefectivo.probing import make_probe, read_answer

from .conftest import Report

Doctor = Callable[..., Report]
Middleware = Callable[[HttpRequest], HttpResponse]
Factory = Callable[[Middleware], Middleware]


# -- what changes it on its way ------------------------------------------------------------


def _changing(change: Callable[[bytes], bytes]) -> Factory:
    def factory(get_response: Middleware) -> Middleware:
        def middleware(request: HttpRequest) -> HttpResponse:
            body = change(request.body)
            request._body = body
            request.META["CONTENT_LENGTH"] = str(len(body))
            return get_response(request)

        return middleware

    return factory


indented = _changing(
    lambda body: json.dumps(json.loads(body), ensure_ascii=False, indent=1).encode()
)
dumped_again = _changing(lambda body: json.dumps(json.loads(body)).encode())
in_latin = _changing(lambda body: body.decode().encode("latin-1"))
cut = _changing(lambda body: body[:-4])
sorted_again = _changing(
    lambda body: json.dumps(dict(reversed(json.loads(body).items())), ensure_ascii=False).encode()
)
emptied = _changing(lambda body: body[:0])
garbled = _changing(lambda body: body[::-1])


def reads_first(get_response: Middleware) -> Middleware:
    def middleware(request: HttpRequest) -> HttpResponse:
        request.read()
        return get_response(request)

    return middleware


def autocommit_off(get_response: Middleware) -> Middleware:
    def middleware(request: HttpRequest) -> HttpResponse:
        transaction.set_autocommit(False)
        try:
            return get_response(request)
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)

    return middleware


@pytest.mark.django_db(transaction=True)
def test_a_body_that_is_only_indented_arrives(doctor: Doctor, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.indented", *settings.MIDDLEWARE]
    assert doctor().of("callback").severity is Severity.OK


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["dumped_again", "in_latin", "cut", "sorted_again"])
def test_a_body_that_is_changed_is_named(doctor: Doctor, settings: Any, change: str) -> None:
    settings.MIDDLEWARE = [f"{__name__}.{change}", *settings.MIDDLEWARE]
    found = doctor().of("callback.signature")
    assert "no longer right" in found.sentence
    assert "the body untouched" in found.mend
    assert WebhookEvent.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["reads_first", "emptied"])
def test_a_body_that_is_gone_is_named(doctor: Doctor, settings: Any, change: str) -> None:
    settings.MIDDLEWARE = [f"{__name__}.{change}", *settings.MIDDLEWARE]
    found = doctor().of("callback.signature")
    assert "the body was gone" in found.sentence
    assert "request.read()" in found.mend


@pytest.mark.django_db(transaction=True)
def test_a_body_that_is_no_probe_any_more_is_named(doctor: Doctor, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.garbled", *settings.MIDDLEWARE]
    assert "did not arrive as it was sent" in doctor().of("callback.signature").sentence


@pytest.mark.django_db(transaction=True)
def test_autocommit_that_is_off_around_the_webhook(doctor: Doctor, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.autocommit_off", *settings.MIDDLEWARE]
    found = doctor().of("callback.transaction")
    assert "autocommit is off" in found.sentence
    assert "set_autocommit" in found.mend


@pytest.mark.django_db(transaction=True)
def test_autocommit_that_is_off_in_the_settings(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "AUTOCOMMIT", False)
    try:
        report = doctor()
    finally:
        connection.close()
    assert report.of("autocommit").severity is Severity.ERROR
    assert report.of("callback.transaction").severity is Severity.ERROR


# -- another environment than the server's -------------------------------------------------


def another_secret_key(get_response: Middleware) -> Middleware:
    def middleware(request: HttpRequest) -> HttpResponse:
        with override_settings(SECRET_KEY="another"):
            return get_response(request)

    return middleware


def answers_with_another_key(get_response: Middleware) -> Middleware:
    def middleware(request: HttpRequest) -> HttpResponse:
        with override_settings(
            SECRET_KEY="newer", SECRET_KEY_FALLBACKS=["not-a-secret-just-for-tests"]
        ):
            return get_response(request)

    return middleware


def another_key_of_pagoefectivo(get_response: Middleware) -> Middleware:
    def middleware(request: HttpRequest) -> HttpResponse:
        changed = copy.deepcopy(get_config().raw)
        changed["MERCHANTS"]["default"]["SECRET_KEY"] = "the-key-that-only-the-server-has"
        with override_settings(PAGOEFECTIVO=changed):
            return get_response(request)

    return middleware


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("middleware", ["another_secret_key", "answers_with_another_key"])
def test_a_server_with_another_secret_key(doctor: Doctor, settings: Any, middleware: str) -> None:
    settings.MIDDLEWARE = [f"{__name__}.{middleware}", *settings.MIDDLEWARE]
    report = doctor()
    found = report.of("callback.installation")
    assert "another Django SECRET_KEY" in found.sentence
    assert "the web server's settings module and environment" in found.mend
    assert WebhookEvent.objects.count() == 0
    assert "refused" not in report.faults


@pytest.mark.django_db(transaction=True)
def test_a_server_with_another_key_of_pagoefectivo(doctor: Doctor, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.another_key_of_pagoefectivo", *settings.MIDDLEWARE]
    found = doctor().of("callback.signature")
    assert "PagoEfectivo's SECRET_KEY for this merchant is another one there" in found.sentence
    assert "environment variables" in found.mend
    assert WebhookEvent.objects.count() == 0


@pytest.mark.django_db
def test_only_who_knows_the_secret_key_can_ask_and_answer() -> None:
    merchant = get_config().merchant("default")
    probe = make_probe(merchant)
    assert read_answer(signing.dumps([probe.nonce, "ok", ""]), probe) is None
    other = make_probe(merchant)
    answer = _post(other.body, dict(other.headers))
    assert answer.status_code == 200
    assert read_answer(answer.content.decode(), probe) is None
    assert read_answer(answer.content.decode(), other) is not None
    with override_settings(SECRET_KEY="another"):
        stranger = make_probe(merchant)
    answer = _post(stranger.body, dict(stranger.headers))
    assert (answer.status_code, answer.content) == (403, b"probe refused")
    assert WebhookEvent.objects.count() == 0


@pytest.mark.django_db
def test_a_signed_word_that_is_no_nonce_is_no_probe() -> None:
    token = signing.dumps(["a", "list"], salt="django_pagoefectivo.probe").encode()
    body = b'{"eventType":"django_pagoefectivo.probe","token":"' + token + b'","text":"x"}'
    assert _post(body, {}).content == b"probe refused"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        b'{"eventType":"cip.paid","token":"a","text":"django_pagoefectivo.probe"}',
        b'{"eventType":"django_pagoefectivo.probe"}',
        b'{"eventType":"django_pagoefectivo.probe","token":"a","text":"b","eventType":"cip.paid"}',
        b'{"eventType":"django_pagoefectivo.probe","token":"a","text":"b\\",\\"c"}',
    ],
)
def test_what_only_looks_like_a_probe_is_kept_like_any_refused(body: bytes) -> None:
    assert _post(body, {"PE-Signature": "0" * 64}).status_code == 403
    assert WebhookEvent.objects.get().outcome == WebhookEvent.Outcome.REJECTED


@pytest.mark.django_db
def test_a_genuine_notification_may_speak_of_it() -> None:
    body = (
        b'{"eventType":"cip.paid","operationNumber":"1","data":{"cip":"1154","currency":"PEN",'
        b'"amount":22.05,"transactionCode":"django_pagoefectivo.probe"}}'
    )
    signature = sign(body, get_config().merchant("default").secret_key)
    assert _post(body, {"PE-Signature": signature}).content == b"unmatched"


@pytest.mark.django_db
def test_a_probe_whose_body_was_changed_or_signature_lost() -> None:
    probe = make_probe(get_config().merchant("default"))
    headers = dict(probe.headers)
    changed = probe.body.replace("ñ".encode(), b"n")
    answer = read_answer(_post(changed, headers).content.decode(), probe)
    assert answer is not None
    assert answer.signature == "wrong"
    del headers["PE-Signature"]
    answer = read_answer(_post(probe.body, headers).content.decode(), probe)
    assert answer is not None
    assert answer.signature == "missing"
    assert WebhookEvent.objects.count() == 0


@pytest.mark.django_db
def test_a_probe_does_not_last() -> None:
    probe = make_probe(get_config().merchant("default"))
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5)):
        assert _post(probe.body, dict(probe.headers)).content == b"probe refused"
    assert WebhookEvent.objects.count() == 0


def _post(body: bytes, headers: dict[str, str]) -> Any:
    kind = headers.pop("Content-Type", "application/json")
    url = "/pagoefectivo/webhook/"
    return Client().post(url, body, content_type=kind, headers=headers)

"""What an answer to the probe says about the way to the webhook."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import SplitResult, urljoin, urlsplit

from django.conf import settings
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch

from ..probing import (
    MISSING,
    NO_AUTOCOMMIT,
    OK,
    OTHER_KEY,
    Probe,
    ProbeAnswer,
    read_answer,
)
from ..webhook_words import (
    ADDRESS_NOT_ALLOWED,
    NO_LENGTH,
    NO_MERCHANT,
    PROBE_REFUSED,
    REFUSED,
    REFUSED_EMPTY,
    TRY_AGAIN,
    UNREADABLE,
)
from .findings import Finding, Severity, ok

SYMPTOM = "howto/troubleshooting#no-notification-arrives"
_Fault = Callable[[str, str, str], Finding]
_REDIRECTS = (301, 302, 303, 307, 308)
#: The form of a signed answer, whoever signed it.
_SIGNED = re.compile(r"\A[\w.-]{1,400}:[\w-]{1,20}:[\w-]{1,200}\Z", re.ASCII)
_SAME_ENVIRONMENT = (
    "Run the doctor with the web server's settings module and environment variables, as its "
    "service file or container sets them."
)


def judge(url: str, status: int, location: str, text: str, probe: Probe) -> Finding:
    """The finding that the answer to ``probe`` from ``url`` makes."""

    def fault(name: str, sentence: str, mend: str) -> Finding:
        return Finding(f"callback.{name}", Severity.ERROR, f"{url} {sentence}", mend, SYMPTOM)

    answer = read_answer(text, probe) if status == 200 else None
    if answer is not None:
        found = _arrived_otherwise(answer, fault)
        return found or ok("callback", f"{url} is the webhook; a signed request arrives untouched.")
    if status in _REDIRECTS:
        return _redirected(url, location, fault)
    if status == 403 and text == ADDRESS_NOT_ALLOWED:
        return Finding(
            "callback.allowed-ips",
            Severity.ADVICE,
            f"{url} is the webhook; ALLOWED_IPS keeps this machine out, as it may.",
            "See that PagoEfectivo's own networks are in ALLOWED_IPS.",
        )
    return _of_a_webhook(status, text, fault) or _not_the_webhook(status, text, fault)


def _arrived_otherwise(answer: ProbeAnswer, fault: _Fault) -> Finding | None:
    """What is wrong where this installation's own webhook got the probe."""
    if answer.signature == OTHER_KEY:
        return fault(
            "signature",
            "is the webhook, but PagoEfectivo's SECRET_KEY for this merchant is another one there "
            "than here: one of the two would refuse every notification.",
            f"{_SAME_ENVIRONMENT} If they are the same, restart the server: it runs with an "
            "older key.",
        )
    if answer.signature != OK:
        what = "lost" if answer.signature == MISSING else "no longer right"
        return fault(
            "signature",
            f"is the webhook, but the signature was {what} when the request arrived: every "
            "notification would be refused.",
            "Let the proxy in front and every middleware pass the signature header and the body "
            "untouched.",
        )
    if answer.held_back_by == NO_AUTOCOMMIT:
        return fault(
            "transaction",
            "is the webhook, but autocommit is off around it: what is answered 200 is not "
            "committed and is lost.",
            "Leave AUTOCOMMIT on in DATABASES, and find the middleware that calls "
            "transaction.set_autocommit(False).",
        )
    if answer.held_back_by:
        return fault(
            "transaction",
            "is the webhook, but a transaction is open around it: what is answered 200 "
            "could still be rolled back and be lost.",
            "Find the middleware that opens it (transaction.atomic around get_response) "
            "and let it pass over the webhook.",
        )
    return None


def _of_a_webhook(status: int, text: str, fault: _Fault) -> Finding | None:
    """What the webhook of some installation says, by its own words; ``None`` if it is none's."""
    if (status, text) == (403, PROBE_REFUSED) or (status == 200 and _SIGNED.fullmatch(text)):
        return fault(
            "installation",
            "is a webhook of django-pagoefectivo, but has another Django SECRET_KEY than this "
            "process (or its clock is more than two minutes off), so it cannot be asked whether "
            "notifications arrive untouched.",
            f"{_SAME_ENVIRONMENT} If they are the same, another installation answers: correct "
            "SITE_URL or where the proxy leads.",
        )
    if status == 400 and text.startswith(UNREADABLE):
        return fault(
            "installation",
            "is a webhook of django-pagoefectivo that takes the signature but does not know the "
            "probe: an older version, or one with another Django SECRET_KEY.",
            f"Deploy the version that runs here. {_SAME_ENVIRONMENT}",
        )
    if (status, text) == (404, NO_MERCHANT):
        return fault(
            "installation",
            "is a webhook of django-pagoefectivo that knows no such merchant.",
            f"Deploy the settings that have it. {_SAME_ENVIRONMENT}",
        )
    if (status, text) == (503, TRY_AGAIN):
        return fault(
            "installation",
            "is a webhook of django-pagoefectivo that cannot read its own settings there: it "
            "answers 503.",
            'Read what the logger "django_pagoefectivo.webhook" says on the server.',
        )
    if (status, text) in ((403, REFUSED_EMPTY), (400, NO_LENGTH)):
        return fault(
            "signature",
            "is a webhook of django-pagoefectivo, but the body was gone when it was asked: every "
            "notification would be refused.",
            "Find the middleware that reads the request (request.read()) before the view, and let "
            "it use request.body; or the proxy that passes no body on.",
        )
    if (status, text) == (403, REFUSED):
        return fault(
            "signature",
            "is a webhook of django-pagoefectivo and refuses the probe: its body did not arrive "
            "as it was sent, or the server is of another version and has other keys.",
            "Let the proxy in front and every middleware pass the body untouched. "
            f"{_SAME_ENVIRONMENT}",
        )
    return None


def _redirected(url: str, location: str, fault: _Fault) -> Finding:
    target = urlsplit(urljoin(url, location))
    here = urlsplit(url)
    shown = target._replace(query="", fragment="").geturl()
    if target.path.rstrip("/") == here.path.rstrip("/") and target.path != here.path:
        return fault(
            "slash",
            f"redirects to {shown}, as APPEND_SLASH or the proxy does: a POST does not survive it.",
            "Tell PagoEfectivo the address with its final slash, as the doctor prints it, and "
            "let the proxy keep it.",
        )
    same_shop = (target.scheme, target.netloc) == (here.scheme, here.netloc)
    if target.path == here.path or (not same_shop and target.path in ("", "/")):
        return fault(
            "redirect",
            f"redirects to {shown}: PagoEfectivo does not follow, and a POST would be lost.",
            "Give SITE_URL the address that the redirect leads to (https, with or without www).",
        )
    what = f"the login page {shown}" if _is_login(target) else f"{shown}, as a login wall does"
    return fault(
        "login",
        f"redirects to {what}: PagoEfectivo has no account.",
        "Take the webhook out of what needs a login: it carries login_not_required, so look "
        "for a middleware of your own, a decorator around the include, or the proxy.",
    )


def _is_login(target: SplitResult) -> bool:
    try:
        path = urlsplit(resolve_url(settings.LOGIN_URL)).path
    except NoReverseMatch:
        path = ""
    return target.path == path or "login" in target.path or "next=" in target.query


#: By the status alone, where the answer has no word of the webhook's.
_BY_STATUS = {
    400: (
        "host",
        "is answered 400 before the webhook is asked, as Django does to a host it does not know.",
        (
            "See that the host is in the ALLOWED_HOSTS of the server, and let the proxy pass the "
            "Host header."
        ),
    ),
    401: (
        "login",
        "asks for a password (401): PagoEfectivo has none.",
        "Take the webhook out of the server's basic authentication.",
    ),
    404: (
        "not-found",
        "is not found there: the server runs other URLs, or the proxy leads elsewhere.",
        "Include django_pagoefectivo.urls in the URLconf that is served, and deploy it.",
    ),
}
#: What usually gives such an answer, and what to do.
_IN_FRONT = {
    200: (
        "PagoEfectivo would take each notification for delivered, and it would be lost",
        "See what serves it: a page for maintenance, another pattern of the URLconf, another site.",
    ),
    403: (
        "it keeps strangers out",
        (
            "Look for a firewall, a rule of the server, or a middleware that refuses requests, and "
            "let the webhook's address pass."
        ),
    ),
    500: (
        "it breaks down",
        (
            "Look in the server's log for the error; it is raised by a middleware, before or after "
            "the webhook."
        ),
    ),
    502: ("it cannot reach the shop", "See that the shop's processes run behind the proxy."),
    503: (
        "it is closed for maintenance, or overloaded",
        (
            "End the maintenance, or let the webhook's address pass: PagoEfectivo sends a "
            "notification only twice."
        ),
    ),
    504: ("it waits in vain for the shop", "See that the shop's processes run and answer in time."),
}


def _not_the_webhook(status: int, text: str, fault: _Fault) -> Finding:
    if status == 403 and "CSRF" in text:
        return fault(
            "csrf",
            "is refused for want of a CSRF token: something in front checks it in spite of the "
            "webhook's exemption.",
            "Look for a middleware of your own that checks CSRF tokens, or a decorator around "
            "the include of the URLs.",
        )
    if status in _BY_STATUS:
        return fault(*_BY_STATUS[status])
    why, mend = _IN_FRONT.get(
        status,
        ("it is not the webhook", "See what serves it: a firewall, the proxy, another site."),
    )
    return fault(
        "other", f"is answered {status} by something in front of the webhook: {why}.", mend
    )

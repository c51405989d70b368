"""One HTTP call: pooled, bounded in time and size, recorded and logged with masks.

The transport tells apart only what matters to a payment: the request never left
(``NotSent``), it may have been done but no whole answer came (``NoAnswer``), or here is
the answer. It repeats nothing.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from django.views.decorators.debug import sensitive_variables
from requests.adapters import HTTPAdapter

from .. import __version__, metrics
from ..logs import logger_for
from .base import Exchange
from .masking import masker
from .wire import read_json

logger = logger_for("django_pagoefectivo.gateway")

#: No answer of PagoEfectivo comes near; more is cut and counts as unreadable.
LARGEST_ANSWER = 4 * 1024 * 1024
#: Connections kept open to one host; more threads than that open and close their own.
POOL_SIZE = 32
#: What of an answer that is no JSON is kept for diagnosis.
_KEPT_TEXT = 2000
#: What of it is masked before the cut, which could leave half a key unknown otherwise.
_MASKED_TEXT = 64 * 1024
#: Failures that happen before a request leaves. Whatever is not listed may have left.
_NEVER_LEFT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.LocationParseError,
    ssl.SSLCertVerificationError,
)


class CallFailed(Exception):
    """No answer; ``timed_out`` says whether time ran out."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class NotSent(CallFailed):
    """The request never left this machine."""


class NoAnswer(CallFailed):
    """The request left, or may have left, and no whole answer came back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status and its parsed JSON (``None`` if it is none).

    ``mask`` masks this call's secrets and personal data in a text made from the answer.
    """

    status: int
    data: Any = field(repr=False)
    mask: Callable[[str], str]

    @property
    def is_readable(self) -> bool:
        """Whether the body was a JSON object."""
        return isinstance(self.data, dict)


class _Process:
    """The session of this process and the pid it was made in."""

    session: requests.Session | None = None
    pid: int = 0


def _session() -> requests.Session:
    """One keep-alive pool for all threads; sockets are not shared across a fork."""
    if _Process.session is None or _Process.pid != os.getpid():
        session = requests.Session()
        session.headers["User-Agent"] = f"django-pagoefectivo/{__version__}"
        # A cookie of one merchant's answer must not go out with another one's call.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        adapter = HTTPAdapter(pool_maxsize=POOL_SIZE, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        _Process.session, _Process.pid = session, os.getpid()
    return _Process.session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No authentication of requests' own: a .netrc entry would replace the bearer token."""
    return request


class Transport:
    """Sends JSON for one merchant and hands each masked ``Exchange`` to ``record``."""

    def __init__(
        self,
        *,
        merchant: str,
        timeout: tuple[float, float],
        secrets: Iterable[str],
        record: Callable[[Exchange], None],
    ) -> None:
        self.merchant = merchant
        self.timeout = timeout
        self.secrets = tuple(secrets)
        self.record = record

    @sensitive_variables()
    def send(
        self,
        operation: str,
        method: str,
        url: str,
        *,
        payload: Any = None,
        headers: Mapping[str, str] | None = None,
        sign: Callable[[bytes], Mapping[str, str]] | None = None,
        secrets: Iterable[str] = (),
        personal: Iterable[str] = (),
        api_code: Callable[[Any], str],
    ) -> Answer:
        """Send ``payload`` as JSON and read the whole answer.

        ``sign`` gives headers for the exact bytes that are sent. ``secrets`` and ``personal``
        are values of this call to mask. Raises ``NotSent`` or
        ``NoAnswer``; an answer of any status and form is returned.
        """
        mask_value, mask_text = masker((*self.secrets, *secrets), personal)
        exchange = Exchange(self.merchant, operation, method, mask_text(url))
        body: bytes | None = None
        if payload is not None:
            body = json.dumps(payload, ensure_ascii=False).encode()
            exchange.request = _as_text(mask_value(payload))
            headers = {**(headers or {}), **(sign(body) if sign else {})}
        started = time.monotonic()
        try:
            response = self._exchange(method, url, body, headers or {})
            status, raw = response.status_code, self._read(response, started)
            exchange.http_status = status
            try:
                data = read_json(raw)
                exchange.response = _as_text(mask_value(data))
            except (ValueError, RecursionError):
                # Nested deeper than can be masked is as good as unreadable.
                data = None
                text = raw[:_MASKED_TEXT].decode("utf-8", "replace").replace("\x00", "\ufffd")
                exchange.response = mask_text(text)[:_KEPT_TEXT]
            else:
                exchange.api_code = mask_text(api_code(data))[:50]
            return Answer(status, data, mask_text)
        except CallFailed as error:
            exchange.error = mask_text(str(error))
            raise
        finally:
            exchange.milliseconds = round((time.monotonic() - started) * 1000)
            self._log(exchange)
            if metrics.is_observed():
                metrics.tell(lambda observer: _count(observer, exchange))
            self.record(exchange)

    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> requests.Response:
        all_headers = {"Accept": "application/json", **headers}
        # What the caller is just dealing with says nothing about this call.
        before = sys.exception()
        if body is not None:
            all_headers["Content-Type"] = "application/json; charset=utf-8"
        try:
            return _session().request(
                method,
                url,
                data=body,
                headers=all_headers,
                auth=_as_it_is,
                timeout=self.timeout,
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            causes = list(_causes(error, before))
            kind = NotSent if _never_left(causes) else NoAnswer
            raise kind(_describe(causes), timed_out=_is_timeout(error)) from None

    def _read(self, response: requests.Response, started: float) -> bytes:
        """Read the body within the time of the whole call, however slowly it drips."""
        deadline = started + sum(self.timeout)
        before = sys.exception()
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := response.raw.read1(64 * 1024, decode_content=True):
                chunks.append(chunk)
                size += len(chunk)
                if size > LARGEST_ANSWER:
                    raise NoAnswer(f"the answer is longer than {LARGEST_ANSWER} bytes")
                if time.monotonic() > deadline:
                    raise NoAnswer("the answer took too long", timed_out=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            causes = list(_causes(error, before))
            raise NoAnswer(_describe(causes), timed_out=_is_timeout(error)) from None
        finally:
            # Gives the connection back to the pool when it was read to its end, and
            # drops it otherwise.
            response.close()
        return b"".join(chunks)

    def _log(self, exchange: Exchange) -> None:
        logger.log(
            logging.WARNING if exchange.failed else logging.INFO,
            "%s %s for merchant %s: %s in %d ms",
            exchange.method,
            exchange.url,
            exchange.merchant,
            exchange.error or f"HTTP {exchange.http_status}, code {exchange.api_code or 'none'}",
            exchange.milliseconds,
        )


def _count(observer: metrics.Observer, exchange: Exchange) -> None:
    status = exchange.http_status
    if exchange.error or status is None:
        outcome = "no_answer"
    elif status >= 500:
        outcome = "failed"
    else:
        outcome = "refused" if status >= 400 else "ok"
    observer.call_made(
        merchant=exchange.merchant,
        operation=exchange.operation,
        outcome=outcome,
        status=status,
        seconds=exchange.milliseconds / 1000,
    )


def _as_text(value: Any) -> str:
    """JSON as readable text; what no database keeps (lone surrogates) is replaced."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace").decode("utf-8")


def _causes(error: BaseException, before: BaseException | None) -> Iterable[BaseException]:
    """The error and all it wraps: causes, contexts, ``reason`` and wrapped arguments.

    Without ``before``, which was being handled when the call began and so is a context of
    whatever is raised in it.
    """
    seen: set[int] = {id(before)}
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [
            current.__cause__,
            current.__context__,
            getattr(current, "reason", None),
            *current.args,
        ]


def _never_left(causes: Sequence[BaseException]) -> bool:
    if isinstance(causes[0], requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return True
    return any(isinstance(cause, _NEVER_LEFT) for cause in causes)


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)


def _describe(causes: Sequence[BaseException]) -> str:
    """The innermost kind of failure, in words without addresses of objects or bodies."""
    error, innermost = causes[0], causes[-1]
    if _is_timeout(error):
        return f"no answer in time ({type(error).__name__})"
    return f"connection failed ({type(error).__name__}: {type(innermost).__name__})"

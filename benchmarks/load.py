"""Posting notifications as fast as they are answered, with as little work as can be."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SECRET = "bench-secret-not-real-default-0123456789"
#: Requests under way at a time: each of two workers has one at work and one waiting.
AT_ONCE = 4


def signature_of(body: bytes, secret: str = SECRET) -> str:
    """The signature that PagoEfectivo would send."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def notification(cip: str, amount: str, operation: str, code: str) -> bytes:
    """The body of a notification that a code was paid."""
    return (
        f'{{"eventType":"cip.paid","operationNumber":"{operation}","data":{{"cip":"{cip}",'
        f'"currency":"PEN","amount":{amount},"paymentDate":"2026-11-23T18:20:00-05:00",'
        f'"transactionCode":"{code}"}}}}'
    ).encode()


def request_of(path: str, body: bytes, *, signature: str | None = None) -> bytes:
    """The whole HTTP request, ready to be sent."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"PE-Signature: {signature or signature_of(body)}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode() + body


@dataclass(slots=True)
class Load:
    """How some requests fared: the seconds in all, those of each, the answers by status."""

    seconds: float = 0.0
    each: list[float] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.each) / self.seconds if self.seconds else 0.0

    def milliseconds(self, share: float) -> float:
        """The time that ``share`` of the requests stayed under."""
        ordered = sorted(self.each)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def send(port: int, requests: Sequence[bytes], *, at_once: int = AT_ONCE) -> Load:
    """Send all ``requests``, ``at_once`` at a time, and wait for all answers."""
    load = Load()
    lock = threading.Lock()
    waiting = iter(requests)

    def work() -> None:
        mine: list[float] = []
        answers: Counter[int] = Counter()
        while True:
            with lock:
                request = next(waiting, None)
            if request is None:
                break
            began = time.perf_counter()
            answers[_one(port, request)] += 1
            mine.append(time.perf_counter() - began)
        with lock:
            load.each += mine
            load.answers += answers

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - began
    return load


def _one(port: int, request: bytes) -> int:
    """The status of the answer."""
    with socket.create_connection(("127.0.0.1", port), 60) as line:
        line.sendall(request)
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
    return int(answer[9:12]) if answer else 0


def together(loads: Iterable[Load]) -> Load:
    """Several loads as one."""
    total = Load()
    for load in loads:
        total.seconds += load.seconds
        total.each += load.each
        total.answers += load.answers
    return total

"""The sandbox over real HTTP: a plain client that knows nothing of the project's own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

SERVICE_ID = 1234
ACCESS_KEY = "TESTACCESSKEY0000001"
SECRET_KEY = "test-secret-key-not-real-0123456789abcdef"
LIMA = timezone(timedelta(hours=-5))


def lima(delta: timedelta = timedelta(0)) -> str:
    return (datetime.now(LIMA) + delta).replace(microsecond=0).isoformat()


@dataclass
class Api:
    """The documented calls, spelt out."""

    base: str
    host: str
    http: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    def credentials(self, **changes: Any) -> dict[str, Any]:
        date = changes.get("dateRequest", lima())
        text = f"{SERVICE_ID}.{ACCESS_KEY}.{SECRET_KEY}.{date}"
        data = {
            "accessKey": ACCESS_KEY,
            "idService": SERVICE_ID,
            "dateRequest": date,
            "hashString": hashlib.sha256(text.encode()).hexdigest(),
        }
        return {**data, **changes}

    def call(self, method: str, path: str, json: Any = None, **kwargs: Any) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Origin": "web",
            "Accept-Language": "es-PE",
            **kwargs.pop("headers", {}),
        }
        kwargs.setdefault("timeout", 20)
        return self.http.request(method, self.base + path, json=json, headers=headers, **kwargs)

    def log_in(self) -> Api:
        answer = self.http.post(self.base + "/authorizations", json=self.credentials(), timeout=10)
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["data"]["token"]
        return self

    def order(self, **changes: Any) -> dict[str, Any]:
        data = {
            "currency": "PEN",
            "amount": 22.05,
            "transactionCode": "A-1001-1",
            "dateExpiry": lima(timedelta(hours=24)),
            "userEmail": "ana@shop.example",
        }
        return {name: value for name, value in {**data, **changes}.items() if value is not ...}

    def create(self, **changes: Any) -> requests.Response:
        return self.call("POST", "/cips", self.order(**changes))

    def make(self, **changes: Any) -> dict[str, Any]:
        answer = self.create(**changes)
        assert answer.status_code == 201, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def search(self, *cips: int) -> list[dict[str, Any]]:
        answer = self.call("POST", "/cips/search", {"data": [{"cip": cip} for cip in cips]})
        assert answer.status_code == 200, answer.text
        data: list[dict[str, Any]] = answer.json()["data"]
        return data

    def status(self, cip: int) -> int:
        (found,) = self.search(cip)
        return int(found["status"])


@pytest.fixture
def anonymous(live_server: Any, transactional_db: None) -> Any:
    with requests.Session() as session:
        yield Api(f"{live_server.url}/sandbox/v1", live_server.url, session)


@pytest.fixture
def api(anonymous: Api) -> Api:
    return anonymous.log_in()

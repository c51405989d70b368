"""What the OpenAPI document is good for, tried on a shop that is really served.

Schemathesis makes up requests and looks for answers that the document does not know;
openapi-python-client makes a client that buys. ``make test-api`` runs both.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from .conftest import PAYMENTS, body
from .live import ACCOUNT, live_shop
from .openapi_file import PATH

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not os.environ.get("REQUIRE_API"), reason="make test-api installs what this needs"
    ),
]
BIN = Path(sys.executable).parent
#: Payments for schemathesis to read, ask about, extend and cancel.
PREPARED = 40


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("shop")
    with live_shop(folder) as url:
        yield url, folder / "shop.log"


def answers(log: Path) -> Counter[tuple[str, str, str]]:
    """Method, address without its token and status of each answer in the server's log."""
    found: Counter[tuple[str, str, str]] = Counter()
    line = re.compile(r'"(\w+) /pagoefectivo/api/(\S*?)(?:\?\S*)? HTTP/1.1" (\d+)')
    for method, path, status in line.findall(log.read_text(errors="replace")):
        found[method, re.sub(r"^payments/[^/]+/", "payments/TOKEN/", path), status] += 1
    return found


def test_schemathesis_finds_nothing(shop: tuple[str, Path], tmp_path: Path) -> None:
    url, log = shop
    tokens = []
    for number in range(PREPARED):
        made = requests.post(
            url + PAYMENTS, json=body(f"S-{number}"), auth=(ACCOUNT, ACCOUNT), timeout=30
        )
        assert made.status_code == 201, made.text
        tokens.append(made.json()["token"])
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        f"[dictionaries.tokens]\nvalues = {json.dumps(tokens)}\n\n"
        '[parameters]\n"path.token" = { dictionary = "tokens", probability = 0.8 }\n'
    )
    run = subprocess.run(
        [
            str(BIN / "schemathesis"),
            "--config-file",
            str(config),
            "run",
            str(PATH),
            f"--url={url}",
            f"--auth={ACCOUNT}:{ACCOUNT}",
            f"--max-examples={os.environ.get('API_EXAMPLES', '10')}",
            f"--seed={os.environ.get('API_SEED', '1')}",
            # Rules between fields, such as "either days, or first and last", are not the
            # schema's to say.
            "--exclude-checks=positive_data_acceptance",
            "--no-color",
        ],
        cwd=tmp_path,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    found = answers(log)
    assert not [answer for answer in found if answer[2] >= "500"]
    # It came as far as what each endpoint is there for.
    for method, path in (
        ("GET", "payments/"),
        ("GET", "payments/TOKEN/"),
        ("GET", "statistics/"),
        ("POST", "payments/TOKEN/sync/"),
        ("POST", "payments/TOKEN/extend/"),
        ("POST", "payments/TOKEN/cancel/"),
    ):
        assert found[method, path, "200"], (method, path, found)


BUYER = """
import sys
from buyer.client import AuthenticatedClient
from buyer.api.pago_efectivo import create_payment, list_payments, read_payment
from buyer.models import Customer, FreePayment, OrderPayment, Problem
import base64

url, account = sys.argv[1:]
login = base64.b64encode(f"{account}:{account}".encode()).decode()
client = AuthenticatedClient(base_url=url, token=login, prefix="Basic")
wish = FreePayment(order_reference="C-1", amount="22.05", customer=Customer(email="ana@shop.pe"))
made = create_payment.sync(client=client, body=wish, idempotency_key="one")
again = create_payment.sync(client=client, body=wish, idempotency_key="one")
read = read_payment.sync(made.token, client=client)
assert made == again == read, (made, again, read)
assert (read.amount, read.status.value, read.paid) == ("22.05", "pending", False)
assert read.cip and read.staff is not None
page = list_payments.sync(client=client, order_reference="C-1")
assert [payment.token for payment in page.results] == [made.token]
none = create_payment.sync(client=client, body=OrderPayment(order_reference="nobody's"))
assert isinstance(none, Problem) and none.code.value == "not_found", none
print("bought", read.cip)
"""


def test_a_generated_client_creates_and_reads(shop: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = shop
    config = tmp_path / "config.yaml"
    config.write_text("post_hooks: []\n")
    made = subprocess.run(
        [
            str(BIN / "openapi-python-client"),
            "generate",
            f"--path={PATH}",
            "--meta=none",
            f"--output-path={tmp_path / 'buyer'}",
            f"--config={config}",
            "--fail-on-warning",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    bought = subprocess.run(
        [sys.executable, "-c", BUYER, url, ACCOUNT],
        cwd=tmp_path,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert bought.returncode == 0, bought.stdout + bought.stderr
    assert bought.stdout.startswith("bought ")

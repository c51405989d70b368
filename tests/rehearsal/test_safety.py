"""What a rehearsal refuses, and that it refuses what it cannot be sure of."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from django_pagoefectivo.gateways import CipGateway
from django_pagoefectivo.models import ApiExchange, Payment
from django_pagoefectivo.rehearsal import Rehearsal, Unsafe
from django_pagoefectivo.rehearsal.safety import safe_setting

from .test_rehearsal import play

pytestmark = [pytest.mark.django_db(transaction=True)]
BOTH = pytest.mark.parametrize("environment", ["built-in", "sandbox"])
REAL = CipGateway.base_urls["production"]


@pytest.fixture(autouse=True)
def nobody_is_called(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing may leave this machine, even where a refusal fails: these addresses are real."""
    asked: list[str] = []
    real_lookup = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("127.0.0.1", "localhost"):
            asked.append(str(host))
            raise socket.gaierror(socket.EAI_NONAME, "blocked by the test")
        return real_lookup(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    yield
    assert asked == []


def own(settings: Any, **changes: Any) -> dict[str, Any]:
    return {**settings.PAGOEFECTIVO["MERCHANTS"]["default"], **changes}


def real(settings: Any, **changes: Any) -> dict[str, Any]:
    return own(settings, ENVIRONMENT="production", BASE_URL=None, **changes)


def refused(**wishes: Any) -> str:
    with pytest.raises(Unsafe) as caught:
        play(**wishes)
    assert Payment.objects.count() == ApiExchange.objects.count() == 0
    return str(caught.value)


@BOTH
@pytest.mark.parametrize("is_elsewhere", [True, False])
def test_a_broken_merchant_does_not_hide_one_in_production(
    environment: str, configure: Callable[..., None], settings: Any, *, is_elsewhere: bool
) -> None:
    merchants = {"default": real(settings), "usd": real(settings, SECRET_KEY="")}
    configure(MERCHANTS=(lambda: merchants) if is_elsewhere else merchants)
    assert "Merchant default" in refused(environment=environment)
    assert "is in production" in refused(environment=environment)


@BOTH
def test_a_merchant_in_production_that_cannot_be_read(
    environment: str, configure: Callable[..., None], settings: Any
) -> None:
    configure(MERCHANTS={"default": real(settings, SECRET_KEY="")})
    assert "Merchant default is in production" in refused(environment=environment)


@BOTH
@pytest.mark.parametrize("entry", [None, {"ENVIRONMENT": "prod", "SERVICE_ID": "1"}])
def test_what_nobody_can_be_sure_of_is_refused(
    environment: str, entry: Any, configure: Callable[..., None]
) -> None:
    configure(MERCHANTS=lambda: {"default": entry})
    assert "Merchant default may be in production" in refused(environment=environment)


@BOTH
def test_a_callable_that_fails_is_refused(environment: str, configure: Callable[..., None]) -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("vault away, password=secret")

    configure(MERCHANTS=broken)
    said = refused(environment=environment)
    assert "failed (RuntimeError)" in said
    assert "secret" not in said


@BOTH
@pytest.mark.parametrize(
    "changes",
    [
        {"BASE_URL": REAL},
        {"BASE_URL": REAL.replace("services", "SERVICES").replace("/v1", ":443/other/v1")},
        {"BASE_URL": REAL, "API": "payment"},
        {"BASE_URL": REAL, "SECRET_KEY": ""},
        {"BASE_URL": REAL, "API": "no.such.Gateway"},
    ],
)
def test_the_address_of_production_is_refused(
    environment: str, changes: dict[str, Any], configure: Callable[..., None], settings: Any
) -> None:
    configure(MERCHANTS={"default": own(settings, **changes)})
    assert "production address (services.pagoefectivo.pe)" in refused(environment=environment)


class OneHost(CipGateway):
    """A contract whose environments differ by their path."""

    base_urls = {"sandbox": "https://pay.example/trial", "production": "https://pay.example/real"}


class Unsure(CipGateway):
    """A gateway that cannot say where its calls go."""

    @property
    def base_url(self) -> str:
        raise LookupError("no route")


def test_a_gateway_of_the_shops_own(configure: Callable[..., None], settings: Any) -> None:
    wish: dict[str, Any] = {"environment": "sandbox"}
    api = f"{__name__}.OneHost"
    configure(MERCHANTS={"default": own(settings, API=api, BASE_URL="https://pay.example/real/")})
    assert "production address (pay.example)" in refused(**wish)
    configure(MERCHANTS={"default": own(settings, API=api, BASE_URL="https://pay.example/trial")})
    assert safe_setting(Rehearsal(**wish)) is not None
    configure(MERCHANTS={"default": own(settings, API=f"{__name__}.Unsure")})
    assert "does not say where its calls go (LookupError)" in refused(**wish)


def test_another_merchant_in_production_does_not_matter_to_integration(
    configure: Callable[..., None], settings: Any
) -> None:
    configure(MERCHANTS={"default": own(settings), "real": real(settings)})
    (line,) = play(environment="sandbox")
    assert "connection failed" in line.saw


def test_a_callable_is_not_asked_again_meanwhile(
    configure: Callable[..., None], settings: Any, heard: list[Payment]
) -> None:
    answers, later = [{"default": own(settings)}], {"default": real(settings)}

    def merchants() -> dict[str, Any]:
        return answers.pop(0) if answers else later

    configure(MERCHANTS=merchants, MERCHANTS_MAX_AGE=timedelta(0))
    (line,) = play(environment="sandbox")
    assert "connection failed" in line.saw

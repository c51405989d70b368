"""The project's own gateway and services against the sandbox."""

from __future__ import annotations

import copy
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from django_pagoefectivo.conf import get_config
from django_pagoefectivo.exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    OutcomeUnknown,
    RequestRejected,
)
from django_pagoefectivo.gateways import (
    Charge,
    CipGateway,
    CodeRef,
    Customer,
    RemoteStatus,
    gateway_for,
)
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.control import ApiFault

pytestmark = pytest.mark.django_db(transaction=True)

CUSTOMER = Customer(
    email="ana@shop.example",
    first_name="Ana",
    last_name="Ñahui",
    document_type="DNI",
    document_number="12345678",
    phone="999888777",
    phone_country_code="+51",
    country="PERU",
    ubigeo="150101",
    customer_id="42",
)


@pytest.fixture
def gateway(live_server: Any, transactional_db: None, settings: Any) -> Any:
    changed = copy.deepcopy(settings.PAGOEFECTIVO)
    changed["MERCHANTS"]["default"]["BASE_URL"] = f"{live_server.url}/sandbox/v1"
    changed["MERCHANTS"]["default"]["ADMIN_EMAIL"] = "ventas@shop.example"
    settings.PAGOEFECTIVO = changed
    cache.clear()
    config = get_config()
    yield gateway_for(config.merchant("default"), config)
    cache.clear()


def charge(**changes: Any) -> Charge:
    values: dict[str, Any] = {
        "transaction_code": "A-1001-1",
        "amount": Decimal("22.50"),
        "currency": "PEN",
        "expires_at": timezone.now() + timedelta(hours=24),
        "description": "Dos polos de algodón",
        "customer": CUSTOMER,
    }
    return Charge(**{**values, **changes})


def test_create_ask_extend_cancel(gateway: CipGateway) -> None:
    issued = gateway.create(charge())
    code = control.code(issued.cip)
    assert issued.cip_url.endswith(f"/sandbox/{code.uuid}.html")
    assert issued.remote_id == str(code.uuid)
    assert issued.expires_at == code.date_expiry
    assert code.details["userLastName"] == "Ñahui"
    assert code.details["adminEmail"] == "ventas@shop.example"

    ref = CodeRef("A-1001-1", cip=issued.cip)
    stranger = CodeRef("B", cip="12345")
    state, nobody = gateway.states([ref, stranger])
    assert nobody is None
    assert state is not None
    assert state.status is RemoteStatus.PENDING
    assert (state.amount, state.currency) == (Decimal("22.5"), "PEN")
    assert state.transaction_code == "A-1001-1"
    assert state.paid_at is None

    until = timezone.now().replace(microsecond=0) + timedelta(days=3)
    gateway.extend(ref, until)
    assert control.code(issued.cip).date_expiry == until

    gateway.cancel(ref)
    (state,) = gateway.states([ref])
    assert state is not None
    assert state.status is RemoteStatus.CANCELLED
    with pytest.raises(RequestRejected) as caught:
        gateway.cancel(ref)
    assert caught.value.code == "111"
    assert control.calls("authorize").count() == 1


def test_paid_and_expired(gateway: CipGateway) -> None:
    paid, expired = gateway.create(charge()), gateway.create(charge())
    control.pay(paid.cip, notify=False)
    control.expire(expired.cip)
    one, two = gateway.states([CodeRef("", cip=paid.cip), CodeRef("", cip=expired.cip)])
    assert one is not None
    assert two is not None
    assert (one.status, two.status) == (RemoteStatus.PAID, RemoteStatus.EXPIRED)
    assert one.paid_at is not None


def test_the_greatest_amount(gateway: CipGateway) -> None:
    issued = gateway.create(charge(amount=Decimal("9999999999999.99")))
    (state,) = gateway.states([CodeRef("", cip=issued.cip)])
    assert state is not None
    assert state.amount == Decimal("9999999999999.99")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (ApiFault.CUT_BEFORE, OutcomeUnknown),
        (ApiFault.CUT_AFTER, OutcomeUnknown),
        (ApiFault.ERROR_500, OutcomeUnknown),
        (ApiFault.ERROR_500_AFTER, OutcomeUnknown),
        (ApiFault.HTML_500, OutcomeUnknown),
        (ApiFault.HTML_200, OutcomeUnknown),
        (ApiFault.TRUNCATED, OutcomeUnknown),
        (ApiFault.SLOW, OutcomeUnknown),
        (ApiFault.WRONG_AMOUNT, OutcomeUnknown),
        (ApiFault.REJECTED, RequestRejected),
        (ApiFault.OVER_LIMIT, RequestRejected),
        (ApiFault.WRONG_SERVICE, RequestRejected),
        (ApiFault.TOKEN_REFUSED, None),
        (ApiFault.CODE_AS_TEXT, None),
        (ApiFault.CODE_AS_NUMBER, None),
    ],
)
def test_faults_of_a_create(
    gateway: CipGateway, fault: ApiFault, error: type[Exception] | None
) -> None:
    control.arm(fault, seconds=4)
    if error is None:
        gateway.create(charge())
        assert control.SandboxCode.objects.count() == 1
    else:
        with pytest.raises(error):
            gateway.create(charge())
        assert control.SandboxCode.objects.count() == int(fault.is_done)
    assert control.calls("create").count() == (2 if fault is ApiFault.TOKEN_REFUSED else 1)


def test_credentials_that_are_refused(gateway: CipGateway) -> None:
    control.arm(ApiFault.TOKEN_REFUSED, "authorize", times=2)
    with pytest.raises(AuthenticationFailed):
        gateway.create(charge())


def test_a_search_that_fails_for_good(gateway: CipGateway) -> None:
    control.arm(ApiFault.HTML_500, "search", times=2)
    with pytest.raises(GatewayUnavailable):
        gateway.states([CodeRef("", cip="12345678")])
    assert gateway.states([CodeRef("", cip="12345678")]) == [None]

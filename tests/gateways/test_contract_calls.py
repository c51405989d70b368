"""Every gateway against the sandbox that plays its contract, over real HTTP, faults included."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from django_pagoefectivo.conf import get_config
from django_pagoefectivo.exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    NotSupported,
    OutcomeUnknown,
    PagoEfectivoError,
    RequestRejected,
)
from django_pagoefectivo.gateways import (
    Charge,
    CodeRef,
    Exchange,
    Gateway,
    IssuedCode,
    RemoteStatus,
    gateway_for,
)
from django_pagoefectivo.sandbox import control
from django_pagoefectivo.sandbox.control import ApiFault

from .contracts import Contract
from .samples import ANA

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.once]


@pytest.fixture
def make(installed: Contract, exchanges: list[Exchange]) -> Callable[[], Gateway]:
    def gateway() -> Gateway:
        config = get_config()
        return gateway_for(config.merchant("default"), config, exchanges.append)

    return gateway


@pytest.fixture
def gateway(make: Callable[[], Gateway]) -> Gateway:
    return make()


def charge(code: str = "A-1001-1", **changes: Any) -> Charge:
    values: dict[str, Any] = {
        "transaction_code": code,
        "amount": Decimal("22.50"),
        "currency": "PEN",
        "expires_at": timezone.now().replace(microsecond=0) + timedelta(hours=24),
        "description": "Dos polos de algodón",
        "customer": ANA,
    }
    return Charge(**{**values, **changes})


def name_of(issued: IssuedCode) -> str:
    """What the sandbox's control knows the code by."""
    return issued.cip or issued.remote_id


def ref_of(issued: IssuedCode, code: str = "A-1001-1") -> CodeRef:
    return CodeRef(code, cip=issued.cip, remote_id=issued.remote_id)


def status_of(gateway: Gateway, ref: CodeRef) -> RemoteStatus:
    (state,) = gateway.states([ref])
    assert state is not None
    return state.status


class TestProperAnswers:
    def test_create(self, gateway: Gateway) -> None:
        asked = charge()
        issued = gateway.create(asked)
        code = control.code(name_of(issued))
        assert issued.cip_url.endswith(f"/sandbox/{code.uuid}.html")
        assert code.date_expiry == asked.expires_at
        assert (code.transaction_code, code.amount, code.currency) == (
            "A-1001-1",
            Decimal("22.50"),
            "PEN",
        )
        assert (code.user_email, code.concept) == (ANA.email, asked.description)

    def test_the_greatest_amount_and_names_of_any_script(self, gateway: Gateway) -> None:
        issued = gateway.create(charge(amount=Decimal("9999999999999.99"), description="水 ñ €"))
        (state,) = gateway.states([ref_of(issued)])
        assert state is not None
        assert state.amount == Decimal("9999999999999.99")
        assert control.code(name_of(issued)).concept == "水 ñ €"

    def test_status_of_many_in_their_order(self, contract: Contract, gateway: Gateway) -> None:
        paid, open_, expired = (gateway.create(charge(code)) for code in ("A", "B", "C"))
        control.pay(name_of(paid), notify=False)
        control.expire(name_of(expired))
        before = control.calls("search").count()
        one, two, three = gateway.states(
            [ref_of(paid, "A"), ref_of(open_, "B"), ref_of(expired, "C")]
        )
        assert one is not None
        assert two is not None
        assert three is not None
        assert (one.status, two.status, three.status) == (
            RemoteStatus.PAID,
            RemoteStatus.PENDING,
            RemoteStatus.EXPIRED,
        )
        assert (one.transaction_code, two.transaction_code) == ("A", "B")
        assert (one.amount, one.currency) == (Decimal("22.50"), "PEN")
        assert one.paid_at is not None
        assert two.paid_at is None
        assert control.calls("search").count() - before == contract.calls_to_ask[3]

    def test_one_that_is_not_known_there(self, gateway: Gateway) -> None:
        issued = gateway.create(charge())
        stranger = CodeRef("STRANGER", cip="12345", remote_id="no-such-id")
        known, unknown = gateway.states([ref_of(issued), stranger])
        assert known is not None
        assert unknown is None

    def test_one_that_was_cancelled_there(self, gateway: Gateway) -> None:
        issued = gateway.create(charge())
        assert control.delete(name_of(issued))
        assert status_of(gateway, ref_of(issued)) is RemoteStatus.CANCELLED

    def test_a_code_past_its_term_is_expired_by_itself(self, gateway: Gateway) -> None:
        issued = gateway.create(charge())
        control.SandboxCode.objects.update(date_expiry=timezone.now() - timedelta(seconds=1))
        assert status_of(gateway, ref_of(issued)) is RemoteStatus.EXPIRED

    def test_without_a_code_only_some_can_ask(self, contract: Contract, gateway: Gateway) -> None:
        gateway.create(charge())
        ref = CodeRef("A-1001-1")
        assert gateway.can_ask(ref) is contract.settles_itself
        (state,) = gateway.states([ref])
        assert (state is not None) is contract.settles_itself

    def test_extend_and_cancel(self, contract: Contract, gateway: Gateway) -> None:
        issued = gateway.create(charge())
        until = timezone.now().replace(microsecond=0) + timedelta(days=3)
        assert (gateway.can_extend, gateway.can_cancel) == (contract.can_change,) * 2
        if not contract.can_change:
            calls: list[Callable[[], object]] = [
                lambda: gateway.extend(ref_of(issued), until),
                lambda: gateway.cancel(ref_of(issued)),
            ]
            for call in calls:
                with pytest.raises(NotSupported):
                    call()
            return
        gateway.extend(ref_of(issued), until)
        assert control.code(name_of(issued)).date_expiry == until
        gateway.cancel(ref_of(issued))
        assert status_of(gateway, ref_of(issued)) is RemoteStatus.CANCELLED

    def test_a_repeated_transaction_code(self, contract: Contract, gateway: Gateway) -> None:
        gateway.create(charge())
        if contract.repeated is None:
            gateway.create(charge())
            assert control.SandboxCode.objects.count() == 2
        else:
            with pytest.raises(contract.repeated):
                gateway.create(charge())
            assert control.SandboxCode.objects.count() == 1


class TestRefusals:
    def test_field_errors_are_named(self, gateway: Gateway) -> None:
        with pytest.raises(RequestRejected) as caught:
            gateway.create(charge(expires_at=timezone.now() - timedelta(hours=1)))
        (error,) = caught.value.errors
        assert error.field in ("dateExpiry", "expiresAt")
        assert error.message == "Valor inválido."
        assert caught.value.code
        assert control.SandboxCode.objects.count() == 0

    @pytest.mark.parametrize(
        "changes", [{"SECRET_KEY": "another-secret-key-not-real"}, {"SERVICE_ID": "999"}], ids=str
    )
    def test_wrong_credentials(
        self, installed: Contract, gateway: Gateway, settings: Any, changes: dict[str, str]
    ) -> None:
        # The gateway was made before: PagoEfectivo's side changes, the shop's does not.
        entry = {**settings.PAGOEFECTIVO["MERCHANTS"]["default"], **changes}
        settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "MERCHANTS": {"default": entry}}
        with pytest.raises(AuthenticationFailed) as caught:
            gateway.create(charge())
        assert "not-real" not in str(caught.value)
        assert control.SandboxCode.objects.count() == 0

    def test_nobody_listens(self, installed: Contract, settings: Any, make: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        entry = {
            **settings.PAGOEFECTIVO["MERCHANTS"]["default"],
            "BASE_URL": f"http://127.0.0.1:{port}/v1",
        }
        settings.PAGOEFECTIVO = {**settings.PAGOEFECTIVO, "MERCHANTS": {"default": entry}}
        gateway = make()
        with pytest.raises(GatewayUnavailable):
            gateway.create(charge())
        with pytest.raises(GatewayUnavailable):
            gateway.states([CodeRef("A-1001-1", cip="12345", remote_id="x")])


#: Fault → what a create call raises.
CREATE_FAULTS: list[tuple[ApiFault, type[PagoEfectivoError]]] = [
    (ApiFault.CUT_BEFORE, OutcomeUnknown),
    (ApiFault.CUT_AFTER, OutcomeUnknown),
    (ApiFault.ERROR_500, OutcomeUnknown),
    (ApiFault.ERROR_500_AFTER, OutcomeUnknown),
    (ApiFault.HTML_500, OutcomeUnknown),
    (ApiFault.HTML_200, OutcomeUnknown),
    (ApiFault.TRUNCATED, OutcomeUnknown),
    (ApiFault.SLOW, OutcomeUnknown),
    (ApiFault.REJECTED, RequestRejected),
    (ApiFault.OVER_LIMIT, RequestRejected),
]


class TestFaults:
    @pytest.mark.parametrize(("fault", "error"), CREATE_FAULTS, ids=str)
    def test_of_a_create_which_is_sent_once(
        self, gateway: Gateway, fault: ApiFault, error: type[PagoEfectivoError]
    ) -> None:
        control.arm(fault, seconds=2)
        with pytest.raises(error):
            gateway.create(charge())
        assert control.calls("create").count() == 1
        assert control.SandboxCode.objects.count() == int(fault.is_done)

    def test_an_answer_about_another_amount(self, contract: Contract, gateway: Gateway) -> None:
        control.arm(ApiFault.WRONG_AMOUNT)
        if contract.echoes_amount:
            with pytest.raises(OutcomeUnknown):
                gateway.create(charge())
        else:
            gateway.create(charge())

    def test_a_401(self, contract: Contract, gateway: Gateway) -> None:
        control.arm(ApiFault.TOKEN_REFUSED)
        if contract.refused_once is None:
            gateway.create(charge())
            assert control.calls("authorize").count() == 2
        else:
            with pytest.raises(contract.refused_once):
                gateway.create(charge())

    @pytest.mark.parametrize(
        "fault",
        [ApiFault.CUT_BEFORE, ApiFault.CUT_AFTER, ApiFault.ERROR_500, ApiFault.HTML_500],
        ids=str,
    )
    def test_of_a_question_that_is_put_once_more(self, gateway: Gateway, fault: ApiFault) -> None:
        issued = gateway.create(charge())
        control.arm(fault, "search")
        assert status_of(gateway, ref_of(issued)) is RemoteStatus.PENDING
        control.arm(fault, "search", times=2)
        with pytest.raises(GatewayUnavailable):
            gateway.states([ref_of(issued)])
        assert control.calls("search").count() == 4

    @pytest.mark.parametrize("fault", [ApiFault.HTML_200, ApiFault.TRUNCATED], ids=str)
    def test_an_unreadable_answer_to_a_question(self, gateway: Gateway, fault: ApiFault) -> None:
        issued = gateway.create(charge())
        control.pay(name_of(issued), notify=False)
        control.arm(fault, "search")
        with pytest.raises(GatewayUnavailable):
            gateway.states([ref_of(issued)])
        assert status_of(gateway, ref_of(issued)) is RemoteStatus.PAID

    def test_a_question_that_is_answered_too_late(self, gateway: Gateway) -> None:
        issued = gateway.create(charge())
        control.arm(ApiFault.SLOW, "search", seconds=2)
        with pytest.raises(GatewayUnavailable):
            gateway.states([ref_of(issued)])
        # Waiting twice as long would keep the shopper.
        assert control.calls("search").count() == 1

    def test_another_amount_in_a_status_answer_is_passed_on(self, gateway: Gateway) -> None:
        issued = gateway.create(charge())
        control.arm(ApiFault.WRONG_AMOUNT, "search")
        (state,) = gateway.states([ref_of(issued)])
        assert state is not None
        assert state.amount == Decimal("23.50")


def test_nothing_secret_and_nothing_personal_is_recorded(
    gateway: Gateway, exchanges: list[Exchange], installed: Contract
) -> None:
    issued = gateway.create(charge())
    gateway.states([ref_of(issued)])
    control.arm(ApiFault.REJECTED)
    with pytest.raises(RequestRejected):
        gateway.create(charge("B"))
    assert len(exchanges) >= 3
    merchant = gateway.merchant
    for exchange in exchanges:
        text = f"{exchange.url} {exchange.request} {exchange.response} {exchange.error}"
        for secret in (
            *merchant.secret_keys,
            merchant.access_key or "no access key",
            ANA.email,
            ANA.phone,
            ANA.document_number,
        ):
            assert secret not in text

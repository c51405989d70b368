"""The CIP API: PagoEfectivo's public REST API v1.

Facts from PagoEfectivo's public technical document (REST API v1.1). Status numbers other
than 22 come from the older web service of the same platform.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ..conf import Merchant
from ..exceptions import (
    AuthenticationFailed,
    GatewayUnavailable,
    InvalidNotification,
    InvalidPayment,
    OutcomeUnknown,
    RequestRejected,
)
from .base import (
    Charge,
    CodeRef,
    Gateway,
    IssuedCode,
    Notification,
    RemoteState,
    RemoteStatus,
)
from .calls import (
    ask_twice,
    hosted_page,
    no_word,
    notification_root,
    rejection,
    require_bound,
    require_money,
    send_once,
    unreadable,
)
from .signing import token_hash
from .tokens import Token, TokenStore
from .transport import Answer, Transport
from .wire import (
    field_of,
    read_amount,
    read_cip,
    read_moment,
    read_text,
    to_lima_text,
)

DOCUMENT_TYPES = ("DNI", "PAR", "PAS", "LMI", "NAN")
SUCCESS = "100"

#: Where there is no number, the name decides, without accents, case or final dot.
STATUS_BY_NUMBER: dict[str, RemoteStatus] = {
    "21": RemoteStatus.EXPIRED,
    "22": RemoteStatus.PENDING,
    "23": RemoteStatus.PAID,
    "24": RemoteStatus.CANCELLED,
    "25": RemoteStatus.CANCELLED,
}
STATUS_BY_NAME: dict[str, RemoteStatus] = {
    "generado": RemoteStatus.PENDING,
    "pendiente": RemoteStatus.PENDING,
    "expirado": RemoteStatus.EXPIRED,
    "vencido": RemoteStatus.EXPIRED,
    # In Peru "cancelado" means paid off.
    "cancelado": RemoteStatus.PAID,
    "pagado": RemoteStatus.PAID,
    "anulado": RemoteStatus.CANCELLED,
    "eliminado": RemoteStatus.CANCELLED,
}
STATUS_BY_EVENT: dict[str, RemoteStatus] = {
    "cip.paid": RemoteStatus.PAID,
    "cip.expired": RemoteStatus.EXPIRED,
    "cip.refunded": RemoteStatus.REFUNDED,
}
#: What an HTTP header can carry; a token outside it would break every call.
_TOKEN = re.compile(r"[!-~]+")
_CIP = re.compile(r"[1-9][0-9]{0,13}")
_UBIGEO = re.compile(r"[0-9]{6}")
_PHONE = re.compile(r"[0-9]{1,15}")
_COUNTRY_CODE = re.compile(r"\+?[0-9]{1,4}")


def read_status(number: object, name: object) -> RemoteStatus:
    """The status of a search answer's ``status`` and ``statusName``.

    A number that is not known is unknown whatever the name says.
    """
    if number is not None and number != "":
        return STATUS_BY_NUMBER.get(read_text(number), RemoteStatus.UNKNOWN)
    plain = unicodedata.normalize("NFKD", read_text(name))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return STATUS_BY_NAME.get(plain.casefold().strip().rstrip(".").strip(), RemoteStatus.UNKNOWN)


def _api_code(data: Any) -> str:
    return read_text(data.get("code")) if isinstance(data, dict) else ""


def _succeeded(answer: Answer) -> bool:
    return _api_code(answer.data) == SUCCESS


def _refused(answer: Answer) -> bool:
    """Whether it is a refusal in the API's own form; a proxy's page is none."""
    return 400 <= answer.status < 500 and bool(_api_code(answer.data))


@dataclass
class CipGateway(Gateway):
    """PagoEfectivo's CIP API for one merchant."""

    signature_header: ClassVar[str] = "PE-Signature"
    base_urls: ClassVar[Mapping[str, str]] = {
        "sandbox": "https://pre1a.services.pagoefectivo.pe/v1",
        "production": "https://services.pagoefectivo.pe/v1",
    }
    can_extend: ClassVar[bool] = True
    can_cancel: ClassVar[bool] = True
    #: Lengths of the wire; longer names are sent cut.
    longest_name: ClassVar[int] = 30
    longest_country: ClassVar[int] = 20
    access_key_length: ClassVar[int | None] = 20

    @classmethod
    def check_credentials(cls, merchant: Merchant) -> None:
        """The service id must be a number, and there must be an access key."""
        where = f'PAGOEFECTIVO["MERCHANTS"]["{merchant.name}"]'
        if not merchant.service_id.isascii() or not merchant.service_id.isdigit():
            # Not shown, for it may be a key that was put into the wrong place.
            raise ImproperlyConfigured(
                f'{where}["SERVICE_ID"] must be digits only: the CIP API\'s idService is a number.'
            )
        if not merchant.access_key.strip():
            raise ImproperlyConfigured(
                f'{where}["ACCESS_KEY"] is missing; the CIP API needs it. Put it in the '
                "environment as PAGOEFECTIVO_ACCESS_KEY."
            )

    @cached_property
    def _transport(self) -> Transport:
        return Transport(
            merchant=self.merchant.name,
            timeout=self.timeout,
            secrets=(self.merchant.access_key, *self.merchant.secret_keys),
            record=self.record,
        )

    @cached_property
    def _tokens(self) -> TokenStore:
        identity, *former = (
            (self.base_url, self.merchant.service_id, self.merchant.access_key, secret_key)
            for secret_key in self.merchant.secret_keys
        )
        return TokenStore(
            alias=self.cache, identity=identity, patience=sum(self.timeout), former=former
        )

    # -- notifications -----------------------------------------------------------------

    @classmethod
    def parse_notification(cls, body: bytes) -> Notification:
        """Read a notification (``eventType``, ``data``); see ``Gateway``."""
        root, event_type = notification_root(body)
        data = field_of(root, "data")
        if not isinstance(data, dict):
            raise InvalidNotification("data is missing or no object")
        status = STATUS_BY_EVENT.get(event_type, RemoteStatus.UNKNOWN)
        notification = Notification(
            event_type=event_type,
            status=status,
            cip=read_cip(field_of(data, "cip")),
            transaction_code=read_text(field_of(data, "transactionCode")),
            operation_number=(
                read_text(field_of(root, "operationNumber"))
                or read_text(field_of(data, "operationNumber"))
            )[:64],
            amount=read_amount(field_of(data, "amount")),
            currency=read_text(field_of(data, "currency")).upper(),
            paid_at=read_moment(field_of(data, "paymentDate")),
        )
        if not notification.cip and not notification.transaction_code:
            raise InvalidNotification("data has neither cip nor transactionCode")
        return require_money(notification, "data.")

    # -- calls -------------------------------------------------------------------------

    def validate(self, charge: Charge) -> None:
        """Refuse what the CIP API's field lengths would make mean something else."""
        customer = charge.customer
        if charge.currency not in ("PEN", "USD"):
            raise InvalidPayment(
                "currency", f"{charge.currency!r} is not taken by PagoEfectivo; use PEN or USD."
            )
        if not 1 <= len(charge.transaction_code) <= 36:
            raise InvalidPayment("transaction_code", "must have 1 to 36 characters.")
        if customer.document_type and customer.document_type not in DOCUMENT_TYPES:
            raise InvalidPayment(
                "document_type",
                f"{customer.document_type!r} is not one of {', '.join(DOCUMENT_TYPES)}.",
            )
        if len(customer.document_number) > 14:
            raise InvalidPayment("document_number", "is longer than 14 characters.")
        if customer.phone and not _PHONE.fullmatch(customer.phone):
            raise InvalidPayment(
                "phone",
                "must be 1 to 15 digits; put the country's prefix into phone_country_code.",
            )
        if customer.phone_country_code and not _COUNTRY_CODE.fullmatch(customer.phone_country_code):
            raise InvalidPayment("phone_country_code", "must look like +51.")
        if customer.ubigeo and not _UBIGEO.fullmatch(customer.ubigeo):
            raise InvalidPayment("ubigeo", "must be the six digits of an INEI code.")

    def create(self, charge: Charge) -> IssuedCode:
        """``POST /cips``; see ``Gateway``."""
        customer = charge.customer
        payload: dict[str, Any] = {
            "currency": charge.currency,
            # The wire wants a number. A float keeps the 15 digits an amount can have.
            "amount": float(charge.amount),
            "transactionCode": charge.transaction_code,
            "dateExpiry": to_lima_text(charge.expires_at),
            "userEmail": customer.email,
        }
        optional = {
            "paymentConcept": charge.description,
            "adminEmail": self.merchant.admin_email,
            "userId": customer.customer_id,
            "userName": customer.first_name[: self.longest_name],
            "userLastName": customer.last_name[: self.longest_name],
            "userUbigeo": customer.ubigeo,
            "userCountry": customer.country[: self.longest_country],
            "userDocumentType": customer.document_type,
            "userDocumentNumber": customer.document_number,
            "userPhone": customer.phone,
            "userCodeCountry": customer.phone_country_code,
        }
        payload.update({name: value for name, value in optional.items() if value})
        personal = (
            customer.email,
            customer.phone,
            customer.document_number,
            customer.first_name,
            customer.last_name,
            self.merchant.admin_email,
        )
        answer = self._change("create", "POST", "/cips", payload, personal)
        return self._issued(answer, charge)

    def _issued(self, answer: Answer, charge: Charge) -> IssuedCode:
        data = answer.data.get("data")
        data = data if isinstance(data, dict) else {}
        cip = read_cip(field_of(data, "cip"))
        if not _CIP.fullmatch(cip):
            raise OutcomeUnknown("PagoEfectivo's answer to the create call has no CIP in it.")
        require_bound(f"CIP {cip}", data, charge, transaction_code="transactionCode")
        cip_url = hosted_page(field_of(data, "cipUrl"))
        return IssuedCode(
            cip=cip,
            cip_url=cip_url,
            remote_id=cip_url.rpartition("/")[2].removesuffix(".html")[:64],
            expires_at=read_moment(field_of(data, "dateExpiry")),
        )

    def can_ask(self, ref: CodeRef) -> bool:
        """The CIP API answers only about CIPs."""
        return ref.cip.isascii() and ref.cip.isdigit()

    def states(self, refs: Sequence[CodeRef]) -> list[RemoteState | None]:
        """``POST /cips/search`` with all CIPs in one call; see ``Gateway``."""
        cips = [int(ref.cip) for ref in refs if self.can_ask(ref)]
        if not cips:
            return [None] * len(refs)
        payload = {"data": [{"cip": cip} for cip in cips]}
        answer = self._ask("search", "POST", "/cips/search", payload)
        items = answer.data.get("data")
        if not isinstance(items, list):
            raise GatewayUnavailable("PagoEfectivo's answer to the status query has no list.")
        found = {state.cip: state for state in map(self._state, items) if state is not None}
        return [found.get(str(int(ref.cip))) if self.can_ask(ref) else None for ref in refs]

    def _state(self, item: object) -> RemoteState | None:
        if not isinstance(item, dict):
            return None
        number, name = field_of(item, "status"), field_of(item, "statusName")
        return RemoteState(
            status=read_status(number, name),
            status_text=f"{read_text(number)} {read_text(name)}".strip()[:100],
            cip=read_cip(field_of(item, "cip")),
            transaction_code=read_text(field_of(item, "transactionCode")),
            remote_id=read_text(field_of(item, "token"))[:64],
            amount=read_amount(field_of(item, "amount")),
            currency=read_text(field_of(item, "currency")).upper(),
            operation_number=read_text(field_of(item, "operationNumber"))[:64],
            expires_at=read_moment(field_of(item, "dateExpiry")),
            paid_at=read_moment(field_of(item, "datePayment")),
        )

    def extend(self, ref: CodeRef, expires_at: datetime) -> None:
        """``PATCH /cips/{cip}``; see ``Gateway``."""
        payload = {"dateExpiry": to_lima_text(expires_at)}
        self._change("extend", "PATCH", f"/cips/{ref.cip}", payload)

    def cancel(self, ref: CodeRef) -> None:
        """``DELETE /cips/{cip}``; see ``Gateway``."""
        self._change("cancel", "DELETE", f"/cips/{ref.cip}", None)

    # -- how calls fail ----------------------------------------------------------------

    def _change(
        self,
        operation: str,
        method: str,
        path: str,
        payload: Any,
        personal: Sequence[str] = (),
    ) -> Answer:
        """A call that changes something there: sent once, and doubt is said as doubt."""
        answer = send_once(
            operation, lambda: self._authorized(operation, method, path, payload, personal)
        )
        if answer.status in (200, 201) and _succeeded(answer):
            return answer
        if _refused(answer):
            raise self._rejection(operation, answer)
        raise no_word(operation, answer)

    def _ask(self, operation: str, method: str, path: str, payload: Any) -> Answer:
        """A call that only asks: repeated once after a broken connection or a 5xx."""
        answer = ask_twice(lambda: self._authorized(operation, method, path, payload))
        if answer.status == 200 and _succeeded(answer):
            return answer
        if _refused(answer):
            raise self._rejection(operation, answer)
        raise unreadable(operation, answer)

    def _rejection(self, operation: str, answer: Answer) -> RequestRejected:
        return rejection(operation, answer, _api_code(answer.data), answer.data.get("data"))

    # -- the token ---------------------------------------------------------------------

    def _authorized(
        self,
        operation: str,
        method: str,
        path: str,
        payload: Any,
        personal: Sequence[str] = (),
    ) -> Answer:
        """Send with a token; after a 401 once more with a new one."""
        token = self._tokens.get(self._new_token)
        answer = self._send(operation, method, path, payload, personal, token)
        if answer.status != 401:
            return answer
        token = self._tokens.renew(token, self._new_token)
        answer = self._send(operation, method, path, payload, personal, token)
        if answer.status == 401:
            raise AuthenticationFailed(
                f"PagoEfectivo refused a new token of merchant {self.merchant.name}.",
                code=answer.mask(_api_code(answer.data)),
            )
        return answer

    def _send(
        self,
        operation: str,
        method: str,
        path: str,
        payload: Any,
        personal: Sequence[str],
        token: str,
    ) -> Answer:
        return self._transport.send(
            operation,
            method,
            self.base_url + path,
            payload=payload,
            headers={
                "Authorization": f"Bearer {token}",
                "Origin": "web",
                "Accept-Language": "es-PE",
            },
            secrets=(token,),
            personal=personal,
            api_code=_api_code,
        )

    def _new_token(self) -> Token:
        """``POST /authorizations``."""
        merchant = self.merchant
        date_request = to_lima_text(timezone.now())
        # The number that is sent is the one that is hashed: "0123" goes out as 123.
        service_id = int(merchant.service_id)
        hashed = token_hash(str(service_id), merchant.access_key, merchant.secret_key, date_request)
        payload = {
            "accessKey": merchant.access_key,
            "idService": service_id,
            "dateRequest": date_request,
            "hashString": hashed,
        }
        answer = ask_twice(
            lambda: self._transport.send(
                "authorize",
                "POST",
                f"{self.base_url}/authorizations",
                payload=payload,
                secrets=(hashed,),
                api_code=_api_code,
            )
        )
        if answer.is_readable and answer.status in (200, 201):
            data = answer.data.get("data")
            token = read_text(field_of(data, "token")) if isinstance(data, dict) else ""
            if _TOKEN.fullmatch(token):
                start = read_moment(field_of(data, "tokenStart"))
                end = read_moment(field_of(data, "tokenExpires"))
                lifetime = (end - start).total_seconds() if start and end else None
                return Token(token, lifetime)
        if answer.status == 401 or (
            400 <= answer.status < 500 and answer.is_readable and _api_code(answer.data)
        ):
            code = answer.mask(_api_code(answer.data))
            raise AuthenticationFailed(
                f"PagoEfectivo refused the credentials of merchant {merchant.name} "
                f"(HTTP {answer.status}, code {code or 'none'}). Check "
                "SERVICE_ID, ACCESS_KEY, SECRET_KEY, ENVIRONMENT and this machine's clock.",
                code=code,
            )
        raise GatewayUnavailable(
            f"PagoEfectivo answered the token call with HTTP {answer.status} and no usable token."
        )

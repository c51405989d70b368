"""Creating a payment: what may be asked for, and one answer for one key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import QuerySet
from django.http import Http404
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.request import Request

from ..conf import Config, get_config
from ..exceptions import OutcomeUnknown, PagoEfectivoError, RequestRejected
from ..models import Payment, Status
from ..services import create_payment, sync_payment
from ..services.idempotency import LONGEST_KEY, Answer, Keyed, answer_once
from .base import PaymentsAPIView
from .errors import answer_to
from .representation import with_what_is_shown
from .serializers import FreePaymentSerializer, OrderPaymentSerializer

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
#: What ``PAYMENT_FOR_ORDER`` may say; the rest of ``create_payment`` is the API's to say.
FROM_THE_SHOP = frozenset(
    {
        "amount",
        "currency",
        "customer",
        "description",
        "expires_at",
        "expires_in",
        "merchant",
        "metadata",
        "order",
        "order_reference",
        "user",
    }
)
#: Not kept with a key: it does not change, is the payment's own, and may be about a person.
_NOT_KEPT = ("customer", "description")
_NOT_KEPT_OF_STAFF = ("attention_note", "failure_message", "metadata")


class PaymentCreation:
    """One request to create a payment, for ``view``."""

    def __init__(self, view: PaymentsAPIView, request: Request) -> None:
        self.view = view
        self.request = request

    @sensitive_variables()
    def answer(self) -> tuple[int, dict[str, Any], bool]:
        """HTTP status, body, and whether it was given before to the same key.

        Raises what ``errors.answer_to`` makes problems of.
        """
        key = self._key()
        # What cannot be right needs no key; what may not be done takes none.
        wanted = self._wanted()
        if key is None:
            status, body, _token = self._create(wanted, uuid4(), None)
            return status, body, False
        answer, before = answer_once(
            Keyed(f"user-{self.request.user.pk}", key, self._canonical()),
            lambda token, left: self._answer(wanted, token, left),
        )
        return answer.status, self._restored(answer), before

    # -- what is asked for -----------------------------------------------------------------

    def _key(self) -> str | None:
        key = self.request.headers.get(KEY_HEADER)
        if key is None:
            return None
        if not key.strip() or len(key) > LONGEST_KEY or not (key.isascii() and key.isprintable()):
            raise ParseError(
                _("%(header)s must have 1 to %(longest)s printable ASCII characters.")
                % {"header": KEY_HEADER, "longest": LONGEST_KEY}
            )
        if not self.request.user.is_authenticated:
            # Keys belong to somebody: a stranger could otherwise read another one's answer.
            raise ParseError(
                _("%(header)s is for those who are logged in.") % {"header": KEY_HEADER}
            )
        return key

    def _canonical(self) -> bytes:
        """The body, alike for all ways to write the same JSON."""
        return json.dumps(self.request.data, sort_keys=True).encode()

    def _wanted(self) -> dict[str, Any]:
        """The arguments of ``create_payment`` as far as the request says them."""
        body = self.request.data
        free = isinstance(body, Mapping) and "amount" in body
        if free and not self.view.permission.may_set_amount(self.request):
            raise PermissionDenied(
                _("You may not name an amount. Send the order's reference; the shop prices it.")
            )
        serializer = FreePaymentSerializer if free else OrderPaymentSerializer
        read = serializer(data=body)
        read.is_valid(raise_exception=True)
        wanted = dict(read.validated_data)
        config = get_config()
        if free:
            wanted["merchant"] = _merchant(wanted, config)
        elif config.rest_api.payment_for_order is None:
            self._no_hook()
        return wanted

    def _no_hook(self) -> None:
        if self.view.permission.may_set_amount(self.request):
            raise ValidationError({"amount": [_("This field is required.")]}, code="required")
        raise PermissionDenied(
            _("This shop takes no payments for orders here (PAYMENT_FOR_ORDER is not set).")
        )

    def _terms(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """All that ``create_payment`` takes: the request's, or what the shop says of it."""
        if "amount" in wanted:
            return {"user": self._user(), **wanted}
        said = payment_for_order()(self.request, dict(wanted))
        if said is None:
            raise Http404
        unknown = set(said) - FROM_THE_SHOP if isinstance(said, Mapping) else {repr(said)}
        if unknown or "amount" not in said:
            raise ImproperlyConfigured(
                'PAGOEFECTIVO["REST_API"]["PAYMENT_FOR_ORDER"] must return None or a dict with '
                f"an amount and others of {', '.join(sorted(FROM_THE_SHOP))}; "
                + (f"not {', '.join(sorted(unknown))}." if unknown else "the amount is missing.")
            )
        terms = {"user": self._user(), **wanted, **said}
        if "customer" not in terms:
            raise ValidationError({"customer": [_("This field is required.")]}, code="required")
        return terms

    def _user(self) -> AbstractBaseUser | None:
        user = self.request.user
        return user if isinstance(user, AbstractBaseUser) else None

    # -- the answer ------------------------------------------------------------------------

    def _create(
        self, wanted: dict[str, Any], token: UUID, left: Payment | None
    ) -> tuple[int, dict[str, Any], UUID]:
        """Make the payment, or find the one that an earlier attempt ``left``."""
        payment = left
        if payment is None:
            payment = create_payment(**self._terms(wanted), request=self.request, token=token)
        elif payment.status == Status.CREATED:
            # Where the contract can tell how the earlier call ended, it does.
            with suppress(PagoEfectivoError):
                payment = sync_payment(payment)
            if payment.status == Status.CREATED:
                raise OutcomeUnknown("An earlier attempt has had no answer.", payment=payment)
        found: QuerySet[Payment] = Payment.objects.filter(pk=payment.pk)
        if payment.token != token:
            found = self.view.permission.visible(self.request, found)
        shown = with_what_is_shown(found).first()
        if shown is None:
            # The order's open payment was made for somebody else.
            raise PermissionDenied(_("This order is being paid by somebody else."))
        if shown.status == Status.CREATED:
            return 202, self.view.body_of(shown), shown.token
        return (201 if shown.token == token else 200), self.view.body_of(shown), shown.token

    def _answer(self, wanted: dict[str, Any], token: UUID, left: Payment | None) -> Answer:
        """The same, to be kept with a key; PagoEfectivo's refusal is an answer, too."""
        try:
            status, body, about = self._create(wanted, token, left)
        except RequestRejected as error:
            response = answer_to(error)
            if response is None or error.payment is None:
                raise
            return Answer(response.status_code, error.payment.token, {"problem": response.data})
        kept = {name: value for name, value in body.items() if name not in _NOT_KEPT}
        if kept["staff"] is not None:
            kept["staff"] = {
                name: value
                for name, value in kept["staff"].items()
                if name not in _NOT_KEPT_OF_STAFF
            }
        return Answer(status, about, {"payment": kept})

    def _restored(self, answer: Answer) -> dict[str, Any]:
        """The body of a kept answer, with what is read from the payment again."""
        # Whoever has the key has had this answer, so nothing is asked about seeing it.
        payment = with_what_is_shown(Payment.objects.filter(token=answer.token)).first()
        if payment is None:
            raise Http404
        if "problem" in answer.kept:
            named = {"token": str(payment.token), "status": payment.status}
            return {**answer.kept["problem"], "payment": named}
        now = self.view.body_of(payment)
        body = {**now, **answer.kept["payment"]}
        if now["staff"] is None:
            body["staff"] = None
        elif body["staff"] is not None:
            body["staff"] = {**now["staff"], **body["staff"]}
        return body


def _merchant(wanted: Mapping[str, Any], config: Config) -> str:
    """The merchant named, else ``default``, else the only one that takes the currency."""
    named = wanted.get("merchant")
    if named is None and "default" in config.merchant_names:
        return "default"
    if named is None:
        currency = wanted.get("currency", "PEN")
        takers = [shop.name for shop in config.merchants() if currency in shop.currencies]
        if len(takers) == 1:
            return takers[0]
        raise ValidationError({"merchant": [_("This field is required.")]}, code="required")
    if named not in config.merchant_names:
        raise ValidationError({"merchant": [_("There is no such merchant.")]})
    return str(named)


def payment_for_order() -> Any:
    """The shop's callable that says what an order costs.

    Raises ``ImproperlyConfigured`` if there is none or it cannot be imported.
    """
    named = get_config().rest_api.payment_for_order
    try:
        hook = import_string(named) if isinstance(named, str) else named
    except ImportError as error:
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO["REST_API"]["PAYMENT_FOR_ORDER"] cannot be imported: {error}'
        ) from None
    if not callable(hook):
        raise ImproperlyConfigured(
            f'PAGOEFECTIVO["REST_API"]["PAYMENT_FOR_ORDER"] is {named!r}; it must be callable.'
        )
    return hook

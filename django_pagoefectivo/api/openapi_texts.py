"""Sentences and examples of the OpenAPI document. English, as code is."""

from __future__ import annotations

from typing import Any

DESCRIPTION = """\
Take PagoEfectivo payments from a headless shop.

Everything is JSON in UTF-8. Amounts are text in the currency's major unit, such as `"22.05"`;
times have their distance from UTC and are answered in UTC. Every error is a problem by
RFC 9457, `application/problem+json`, with a `code` for programs.

How to log in is up to the shop. A payment that you may not see does not exist for you."""

#: Problems that any endpoint can answer with.
EVERYWHERE = ("not_authenticated", "method_not_allowed", "throttled", "misconfigured", "busy")

KEY = (
    "A text of your own, new for each payment you want. Sent again with the same body, whatever "
    "happened to the first answer, it makes no second payment and gets the same answer. Kept for "
    "a day unless the shop says otherwise."
)
LIST = (
    "Your own payments, or everybody's for staff who may see them (`mine=true` for the own). "
    "Follow `next`; pages stay right while new payments come in. `attention` and `reconciled` are "
    "for staff."
)
CREATE = (
    "Asks PagoEfectivo for a payment code. Name the order and the shop says what it costs. Staff "
    "with the permission to add payments may name an `amount` instead. While the order has an "
    "open payment over the same amount, that one is the answer (200).\n\n"
    "After `outcome_unknown` do not repeat it blindly: read the payment that is named, or send "
    "the same `Idempotency-Key` again. `supersede` says that a person chose to try again."
)
READ = (
    "The payment as the shop knows it. PagoEfectivo is not asked; notifications come by themselves."
)
SYNC = "Asks PagoEfectivo how the payment stands, and applies what it says."
EXTEND = (
    "Moves the deadline of a pending payment, or brings an expired one back, to the shop's own "
    "term from now. Staff may name the deadline instead."
)
CANCEL = "Deletes the code of a pending payment at PagoEfectivo."
STATISTICS = (
    "Counts, sums and delays of whole days in Lima: `days` up to today, or from `first` to "
    "`last`, at most two years. For staff who may see all payments."
)

FOR_ORDER: dict[str, Any] = {"order_reference": "A-1001"}
FREE: dict[str, Any] = {
    "order_reference": "A-1001",
    "amount": "22.05",
    "currency": "PEN",
    "description": "Two tickets",
    "customer": {"email": "ana@shop.example", "first_name": "Ana", "last_name": "Quispe"},
}
PAYMENT: dict[str, Any] = {
    "token": "6f1c6f0e-6f0b-4e55-9d2b-0a2d1c7f9c11",
    "merchant": "default",
    "order_reference": "A-1001",
    "order": {"type": "shop.order", "id": "17"},
    "transaction_code": "A-1001-7K2M9QW4TX3B",
    "status": "pending",
    "paid": False,
    "final": False,
    "amount": "22.05",
    "currency": "PEN",
    "description": "Two tickets",
    "cip": "11546901",
    "cip_url": "https://payment.pagoefectivo.pe/0F0B1A527D6E4D8A9A392F1CBD2A3B4C.html",
    "page_url": "https://shop.example/pagoefectivo/payment/6f1c6f0e-6f0b-4e55-9d2b-0a2d1c7f9c11/",
    "expires_at": "2026-11-24T15:20:00Z",
    "paid_at": None,
    "paid_amount": None,
    "operation_number": "",
    "cancelled_at": None,
    "refunded_at": None,
    "created_at": "2026-11-23T15:20:00.251904Z",
    "updated_at": "2026-11-23T15:20:00.801273Z",
    "customer": {
        "email": "ana@shop.example",
        "first_name": "Ana",
        "last_name": "Quispe",
        "document_type": "",
        "document_number": "",
        "phone": "",
        "phone_country_code": "",
        "country": "",
        "ubigeo": "",
        "customer_id": "",
    },
    "staff": None,
}

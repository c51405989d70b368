"""What can go wrong, by name: of the API's answers and of the notifications.

Each fault has a value for URLs and rows, a label, and an ``explanation`` of one line.
"""

from __future__ import annotations

from django.db import models

#: No fault waits longer, so that none holds a server's thread for good.
LONGEST_WAIT = 30.0


class Operation(models.TextChoices):
    """The API's calls, by the names that the client's exchange log gives them."""

    AUTHORIZE = "authorize", "Token"
    CREATE = "create", "Create"
    SEARCH = "search", "Search"
    EXTEND = "extend", "Extend"
    CANCEL = "cancel", "Delete"
    ANY = "any", "Any call"


class ApiFault(models.TextChoices):
    """What the API does instead of its proper answer."""

    CUT_BEFORE = "cut-before", "Connection cut before"
    CUT_AFTER = "cut-after", "Connection cut after"
    ERROR_500 = "error-500", "Error 500"
    ERROR_500_AFTER = "error-500-after", "Error 500 after"
    HTML_500 = "html-500", "Error 500 in HTML"
    HTML_200 = "html-200", "HTML with 200"
    SLOW = "slow", "Slow answer"
    TRUNCATED = "truncated", "Truncated JSON"
    TOKEN_REFUSED = "token-refused", "401"
    REJECTED = "rejected", "Rejected: 111"
    OVER_LIMIT = "over-limit", "Over the limit: 511"
    WRONG_SERVICE = "wrong-service", "Service invalid: 508"
    WRONG_AMOUNT = "wrong-amount", "Wrong amount"
    CODE_AS_TEXT = "code-as-text", "Code as text"
    CODE_AS_NUMBER = "code-as-number", "Code as number"

    @property
    def explanation(self) -> str:
        """What the caller gets, in one line."""
        return _API_EXPLANATIONS[self]

    @property
    def is_done(self) -> bool:
        """Whether the call does its work all the same: the code is made, extended, deleted."""
        return self not in _NOT_DONE


class NotificationFault(models.TextChoices):
    """How a notification reaches the shop."""

    NONE = "none", "As it should be"
    TWICE = "twice", "Twice"
    TWICE_AT_ONCE = "twice-at-once", "Twice at the same instant"
    LATE = "late", "Late"
    LATE_AFTER_EXPIRY = "late-after-expiry", "Late, after expiry"
    NEVER = "never", "Never"
    EXPIRED_THEN_PAID = "expired-then-paid", "Expired, then paid"
    PAID_THEN_EXPIRED = "paid-then-expired", "Paid, then an older expired"
    WRONG_SIGNATURE = "wrong-signature", "Wrong signature"
    MISSING_FIELD = "missing-field", "Field missing"
    WRONG_AMOUNT = "wrong-amount", "Wrong amount"
    WRONG_CURRENCY = "wrong-currency", "Wrong currency"
    INDENTED = "indented", "Indented body"
    NUMBERS_AS_TEXT = "numbers-as-text", "Numbers as text"
    TEXT_AS_NUMBERS = "text-as-numbers", "Text as numbers"
    CAPITAL_KEYS = "capital-keys", "Capital keys"
    NEWER_FORM = "newer-form", "Newer form"
    UPPER_CASE_SIGNATURE = "upper-case-signature", "Signature in capitals"
    UNKNOWN_EVENT = "unknown-event", "Unknown event"
    SECOND_OPERATION = "second-operation", "Paid twice"

    @property
    def explanation(self) -> str:
        """What the shop gets, in one line."""
        return _NOTIFICATION_EXPLANATIONS[self]


_NOT_DONE = {
    ApiFault.CUT_BEFORE,
    ApiFault.ERROR_500,
    ApiFault.HTML_500,
    ApiFault.HTML_200,
    ApiFault.TOKEN_REFUSED,
    ApiFault.REJECTED,
    ApiFault.OVER_LIMIT,
    ApiFault.WRONG_SERVICE,
}

_API_EXPLANATIONS: dict[ApiFault, str] = {
    ApiFault.CUT_BEFORE: "The connection drops and nothing was done.",
    ApiFault.CUT_AFTER: "The connection drops although it was done.",
    ApiFault.ERROR_500: "500 with code 166, and nothing was done.",
    ApiFault.ERROR_500_AFTER: "500 with code 166, although it was done.",
    ApiFault.HTML_500: "A server's HTML page with 500, and nothing was done.",
    ApiFault.HTML_200: "A proxy's HTML page with 200, and nothing was done.",
    ApiFault.SLOW: "It is done at once, and the answer comes some seconds later.",
    ApiFault.TRUNCATED: "It is done, and the answer's JSON stops in the middle.",
    ApiFault.TOKEN_REFUSED: "401, as if the token had expired; nothing was done.",
    ApiFault.REJECTED: "400 with code 111, as if a field were invalid; nothing was done.",
    ApiFault.OVER_LIMIT: "400 with code 511; nothing was done.",
    ApiFault.WRONG_SERVICE: "400 with code 508; nothing was done.",
    ApiFault.WRONG_AMOUNT: "It is done, and every amount in the answer is one unit too high.",
    ApiFault.CODE_AS_TEXT: 'It is done, and "code" is text whatever this call else answers.',
    ApiFault.CODE_AS_NUMBER: 'It is done, and "code" is a number whatever this call else answers.',
}

_NOTIFICATION_EXPLANATIONS: dict[NotificationFault, str] = {
    NotificationFault.NONE: "One notification, signed, at once.",
    NotificationFault.TWICE: "The same notification, one after the other.",
    NotificationFault.TWICE_AT_ONCE: "The same notification on two connections at once.",
    NotificationFault.LATE: "The notification comes some seconds after the payment.",
    NotificationFault.LATE_AFTER_EXPIRY: "Paid in time; the shop is told when the term is over.",
    NotificationFault.NEVER: "Only a status query tells that it is paid.",
    NotificationFault.EXPIRED_THEN_PAID: "The shop is told it expired, then that it is paid.",
    NotificationFault.PAID_THEN_EXPIRED: "The news of an earlier expiry comes after the payment.",
    NotificationFault.WRONG_SIGNATURE: "Signed with another key.",
    NotificationFault.MISSING_FIELD: "Signed, but without the amount.",
    NotificationFault.WRONG_AMOUNT: "Signed, with one unit less than the code's amount.",
    NotificationFault.WRONG_CURRENCY: "Signed, with the other currency.",
    NotificationFault.INDENTED: "The body is indented; the signature is over its compact form.",
    NotificationFault.NUMBERS_AS_TEXT: "The amount is text.",
    NotificationFault.TEXT_AS_NUMBERS: "CIP and operation number are numbers.",
    NotificationFault.CAPITAL_KEYS: 'Keys in "data" begin with a capital.',
    NotificationFault.NEWER_FORM: "With paymentDate and transactionCode.",
    NotificationFault.UPPER_CASE_SIGNATURE: "The signature's hex digits are A to F.",
    NotificationFault.UNKNOWN_EVENT: "An event that nobody has heard of, instead of cip.paid.",
    NotificationFault.SECOND_OPERATION: "A second payment of the same code: two operation numbers.",
}

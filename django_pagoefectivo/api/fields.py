"""Fields that take what JSON says and nothing that merely resembles it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

#: Money as this API writes and reads it: digits, and a dot with one or two more.
AMOUNT_PATTERN = r"^([1-9][0-9]{0,12}(\.[0-9]{1,2})?|0\.(0[1-9]|[1-9][0-9]?))$"


class TextField(serializers.CharField):
    """Text and only text: a number is no reference."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        if not kwargs.get("allow_blank"):
            kwargs.setdefault("min_length", 1)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        """The text as it came."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class AmountField(serializers.Field[Decimal, Any, str, Any]):
    """Money as text, ``"22.05"``: a JSON number has been through binary on its way."""

    default_error_messages = {
        "no_text": _(
            'Write the amount as text, like "22.05": as a JSON number it is not exact enough '
            "for money."
        ),
        "invalid": _(
            'Write the amount like "22.05": above zero, digits, a dot, at most 2 decimals and at '
            "most 13 digits before them."
        ),
    }

    def to_internal_value(self, data: Any) -> Decimal:
        """The amount in the currency's major unit."""
        if not isinstance(data, str):
            self.fail("no_text")
        if not re.fullmatch(AMOUNT_PATTERN, data) or data.endswith("\n"):
            self.fail("invalid")
        return Decimal(data)

    def to_representation(self, value: Decimal) -> str:
        """Two decimals, as text."""
        return f"{value:.2f}"


class MomentField(serializers.DateTimeField):
    """A date and time that says how far from UTC it is."""

    default_error_messages = {
        "naive": _("Say how far from UTC it is, like 2026-11-23T10:15:30-05:00."),
    }

    def to_internal_value(self, value: Any) -> datetime:
        """The moment in UTC."""
        if not isinstance(value, str):
            self.fail("invalid", format="YYYY-MM-DDThh:mm:ss-05:00")
        return super().to_internal_value(value)

    def enforce_timezone(self, value: datetime) -> datetime:
        """Refuse what could be any of several moments."""
        if timezone.is_naive(value):
            self.fail("naive")
        try:
            return value.astimezone(UTC)
        except (OverflowError, ValueError):
            self.fail("overflow")

    def to_representation(self, value: Any) -> Any:
        """The moment in UTC, whatever time zone the shop thinks in."""
        return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class SwitchField(serializers.Field[bool, Any, bool, Any]):
    """``true`` or ``false``; in an address the same as words."""

    default_error_messages = {"invalid": _("Must be true or false.")}
    _WORDS = {"true": True, "false": False}

    def __init__(self, *, in_address: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.in_address = in_address

    def to_internal_value(self, data: Any) -> bool:
        """What it says."""
        if self.in_address and isinstance(data, str) and data in self._WORDS:
            return self._WORDS[data]
        if not isinstance(data, bool) or self.in_address:
            self.fail("invalid")
        return data

    def to_representation(self, value: bool) -> bool:
        """The same."""
        return value


class SecondsField(serializers.IntegerField):
    """A whole number of seconds, not written as text."""

    def to_internal_value(self, data: Any) -> int:
        """The number."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses names that it does not know: what is misspelt must not be passed over."""

    default_error_messages = {"unknown": _("There is no such field here.")}

    def to_internal_value(self, data: Any) -> Any:
        """The values; an error for each that is wrong or not known."""
        if not isinstance(data, Mapping):
            # DRF's own sentence for what is no object.
            return super().to_internal_value(data)
        unknown = [str(name) for name in data if name not in self.fields]
        if not unknown:
            return super().to_internal_value(data)
        problems: dict[str, Any] = {
            name: [serializers.ErrorDetail(str(self.error_messages["unknown"]), "unknown")]
            for name in unknown
        }
        try:
            super().to_internal_value({k: v for k, v in data.items() if k in self.fields})
        except serializers.ValidationError as error:
            if isinstance(error.detail, dict):
                problems |= error.detail
        raise serializers.ValidationError(problems)

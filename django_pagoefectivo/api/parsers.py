"""Reading a request's body: small, JSON, and refused with a sentence if it is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils.translation import gettext_lazy as _
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

LARGEST_BODY = 64 * 1024


class BodyTooLarge(APIException):
    """The body is longer than any request of this API needs."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = _("The body is longer than 64 KiB.")
    default_code = "too_large"


class SmallJSONParser(BaseParser):
    """UTF-8 JSON of at most 64 KiB, by RFC 8259: no NaN, and no name twice in an object."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The parsed body. Raises ``BodyTooLarge`` or ``ParseError``."""
        try:
            body = stream.read(LARGEST_BODY + 1)
        except RequestDataTooBig:
            raise BodyTooLarge from None
        except (UnreadablePostError, RawPostDataException, OSError):
            raise ParseError(_("The body broke off.")) from None
        if len(body) > LARGEST_BODY:
            raise BodyTooLarge
        try:
            return json.loads(
                body.decode(), parse_constant=_no_constant, object_pairs_hook=_no_name_twice
            )
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise ParseError(_("The body is not JSON: %(reason)s.") % {"reason": reason}) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return values

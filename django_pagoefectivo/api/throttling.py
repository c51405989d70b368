"""How often one caller may ask, by what they ask for: ``REST_API["THROTTLE_RATES"]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.cache import caches
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from ..client_address import client_address
from ..conf import get_config
from ..logs import logger_for

if TYPE_CHECKING:
    from rest_framework.views import APIView

logger = logger_for("django_pagoefectivo.api")


class PaymentThrottle(SimpleRateThrottle):
    """Counts a user's requests, or an address's without one, for each scope by itself.

    ``scope`` is ``create``, ``read`` or ``act``.
    """

    cache_format = "pagoefectivo:throttle:%(scope)s:%(ident)s"

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self.config = get_config()
        self.cache = caches[self.config.cache]
        super().__init__()

    def get_rate(self) -> str | None:
        """The scope's rate, ``None`` for no limit."""
        return self.config.rest_api.throttle_rates[self.scope or ""]

    def get_cache_key(self, request: Request, view: APIView) -> str:
        """By user, else by address."""
        if request.user is not None and request.user.is_authenticated:
            ident = f"user-{request.user.pk}"
        else:
            ident = client_address(request.META, self.config) or "unknown"
        return self.cache_format % {"scope": self.scope, "ident": ident}

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Whether this one may pass; anyone may while the cache is away."""
        try:
            return super().allow_request(request, view)
        except Exception:
            # Every cache backend has errors of its own. Payments matter more than counting.
            logger.exception("The cache is away, so requests to the REST API are not counted")
            return True

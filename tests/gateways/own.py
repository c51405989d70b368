"""A contract of a shop's own, named by its dotted path, as the documentation shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django_pagoefectivo.gateways import PaymentGateway, RemoteStatus


class OwnGateway(PaymentGateway):
    """The Payment API of a merchant whose document knows one more status word."""

    statuses: ClassVar[Mapping[str, RemoteStatus]] = {
        **PaymentGateway.statuses,
        "SETTLED": RemoteStatus.PAID,
    }

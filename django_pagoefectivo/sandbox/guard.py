"""What every view of the sandbox goes through."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache

from .credentials import is_available

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def sandbox_view(view: View[P]) -> View[P]:
    """Serve ``view`` to anybody, and to nobody while a merchant is in production.

    PagoEfectivo does not know the shop's accounts, so there is no login; and what it has
    noted stays noted, so there is no transaction around the request.
    """

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not is_available():
            raise Http404("The sandbox serves nothing while a merchant is in production.")
        return view(request, *args, **kwargs)

    return transaction.non_atomic_requests(login_not_required(never_cache(guarded)))
